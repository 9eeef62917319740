"""Asks programs for their version; run by slim's Python in the sandbox.

Standard input: ``{"programs": [[index, path], ...], "seconds": number}``. One JSON line a program
goes to standard output: ``[index, code, output in base64]``; the code is null where it had to be
killed, or couldn't be started.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys

_KEPT = 1 << 16


def main() -> None:
    """Ask every program of the job."""
    job = json.load(sys.stdin)
    for index, path in job["programs"]:
        code, output = _ask(path, job["seconds"])
        answer = [index, code, base64.b64encode(output[:_KEPT]).decode("ascii")]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _ask(path: str, seconds: float) -> tuple[int | None, bytes]:
    try:
        process = subprocess.Popen(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return None, str(error).encode("utf-8", "replace")
    output = b""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None, b"didn't answer in time"
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    return process.wait(), output


if __name__ == "__main__":
    main()
