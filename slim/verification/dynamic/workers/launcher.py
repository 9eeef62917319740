"""Runs one command, or one server with its requests; run by slim's Python in the sandbox.

Standard input: the job as JSON (see :mod:`slim.verification.dynamic.launch`). One JSON object goes
to standard output: ``code`` (null: it had to be killed), ``stdout``, ``stderr`` (base64), ``files``
(name: SHA-256 or null), ``ready``, ``answers`` ([status, base64 body, error] for each request),
``ended`` (how a server went away), ``left`` (how many processes it left behind).
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

_KEPT = 4 << 20
_STEP = 0.02
_STOP_SECONDS = 10.0
_FILE_LIMIT = 64 << 20


class _Output:
    """One stream of the command, read as it comes; the beginning is kept."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.data = bytearray()
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while piece := os.read(self._stream.fileno(), 65536):
                self.data += piece[: max(_KEPT - len(self.data), 0)]

    def text(self) -> str:
        """Return what came so far."""
        return bytes(self.data).decode("utf-8", "replace")

    def finish(self) -> str:
        """Wait for the end of the stream and return it in base64.

        Not for ever: a daemon may hold it.
        """
        self._thread.join(timeout=2)
        return base64.b64encode(bytes(self.data)).decode("ascii")


def main() -> None:
    """Do the job."""
    job: dict[str, Any] = json.load(sys.stdin)
    deadline = time.monotonic() + job["timeout"]
    result: dict[str, Any] = {
        "code": None,
        "ready": None,
        "answers": [],
        "ended": "",
        "files": {},
        "left": 0,
    }
    try:
        process = subprocess.Popen(
            job["argv"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **job["environment"]},
        )
    except OSError as error:
        result.update(code=127, stdout="", stderr=base64.b64encode(str(error).encode()).decode())
        json.dump(result, sys.stdout)
        return
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = _Output(process.stdout), _Output(process.stderr)
    try:
        if job["ready"] is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                result["code"] = process.wait(timeout=max(deadline - time.monotonic(), 0))
        else:
            _serve(job, process, (out, err), deadline, result)
    finally:
        result["left"] = _others()
        for _ in range(3):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    result["stdout"], result["stderr"] = out.finish(), err.finish()
    result["files"] = {name: _file(Path(name)) for name in job["files"]}
    json.dump(result, sys.stdout)


def _serve(
    job: dict[str, Any],
    process: subprocess.Popen[bytes],
    streams: tuple[_Output, _Output],
    deadline: float,
    result: dict[str, Any],
) -> None:
    result["ready"] = _wait(job["ready"], process, streams, deadline)
    if result["ready"]:
        result["answers"] = [_ask(request, deadline) for request in job["requests"]]
    if process.poll() is not None:
        result["code"], result["ended"] = process.returncode, "by itself"
        return
    process.send_signal(signal.SIGTERM)
    try:
        result["code"] = process.wait(timeout=_STOP_SECONDS)
        result["ended"] = "when asked to"
    except subprocess.TimeoutExpired:
        result["ended"] = "killed: it didn't stop when asked to"


def _wait(
    ready: dict[str, Any],
    process: subprocess.Popen[bytes],
    streams: tuple[_Output, _Output],
    deadline: float,
) -> bool:
    """Return whether the server became ready in time."""
    line = re.compile(ready["line"]) if ready["line"] is not None else None
    while time.monotonic() < deadline and process.poll() is None:
        if line is not None and any(
            line.search(text) for stream in streams for text in stream.text().splitlines()
        ):
            return True
        if ready["port"] is not None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", ready["port"]), timeout=1),
            ):
                return True
        time.sleep(_STEP)
    return False


def _ask(request: dict[str, Any], deadline: float) -> list[Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request["url"], timeout=max(deadline - time.monotonic(), 0.1)) as answer:
            return [answer.status, base64.b64encode(answer.read(_KEPT)).decode("ascii"), ""]
    except urllib.error.HTTPError as error:
        with error:
            return [error.code, base64.b64encode(error.read(_KEPT)).decode("ascii"), ""]
    except (OSError, http.client.HTTPException, ValueError) as error:
        return [0, "", f"{type(error).__name__}: {error}"]


def _others() -> int:
    """Count what the command left running.

    That is all processes of this sandbox but its first one, this one and zombies.
    """
    count = 0
    if os.getppid() != 1:
        return 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) not in (1, os.getpid()):
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                count += state not in "ZX"
    return count


def _file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return base64.b64encode(file.read(_FILE_LIMIT)).decode("ascii")
    except OSError:
        return None


if __name__ == "__main__":
    main()
