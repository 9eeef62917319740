"""The parent's side of a task's process: started, waited for, and ended with all that it started.

A child works in a session of its own (setsid(2)), so that a terminal's Ctrl-C reaches only the
parent, and that killing its process group leaves nothing behind. Its temporary files lie in a
private folder that goes with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from slim.errors import SlimError, StorageError
from slim.fleet.child import SCRATCH
from slim.fleet.task_errors import error_of
from slim.model.fleet import KILLED, TaskError
from slim.reports.fleet.task_json import error_document
from slim.system.json_text import Json
from slim.system.worker import command
from slim.system.workspace import workspace

_MODULE: Final = "slim.fleet.child"
_GRACE: Final = 30.0
"""Seconds that a child may take to tidy up when it is asked to end."""
_LONGEST_ANSWER: Final = 64 << 20
_LAST_WORDS: Final = 2000
_TEMPORARY: Final = ("TMPDIR", "TEMP", "TMP")


class TaskProcess:
    """Child process that works on one request."""

    def __init__(self, request: Json, scratch: Path) -> None:
        environ = {**os.environ, **dict.fromkeys(_TEMPORARY, str(scratch)), SCRATCH: str(scratch)}
        self._stderr = scratch / "stderr"
        self._ended = threading.Event()
        self._timer = threading.Timer(_GRACE, self.kill)
        self._timer.daemon = True
        with self._stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                command(_MODULE),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environ,
                start_new_session=sys.platform != "win32",
            )
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    @property
    def number(self) -> int:
        """Number of the process."""
        return self._process.pid

    def answer(self) -> Json:
        """Wait for the answer; what the process has left running is ended."""
        assert self._process.stdout is not None
        raw = self._process.stdout.read(_LONGEST_ANSWER)
        if len(raw) >= _LONGEST_ANSWER:
            raw = b""
        code = self._process.wait()
        self._timer.cancel()
        self._kill_group()
        self._close()
        with contextlib.suppress(ValueError):
            answer = json.loads(raw)
            if isinstance(answer, dict):
                return answer
        return {"error": error_document(self._killed(code))}

    def ask_to_end(self) -> None:
        """Let the child interrupt itself, and kill it where that takes too long."""
        self._ended.set()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        with contextlib.suppress(RuntimeError):  # it was asked before
            self._timer.start()

    def kill(self) -> None:
        """Kill the child and all that it started."""
        if self._process.poll() is None:
            self._process.kill()
            self._kill_group()

    def _kill_group(self) -> None:
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _killed(self, code: int) -> TaskError:
        if self._ended.is_set():
            return TaskError(exit_code=KILLED, label="killed", message="it was told to end")
        words = ""
        with contextlib.suppress(OSError):
            text = self._stderr.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace")
            words = text.strip().rpartition("\n")[2]
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        last = f"; its last words: {words}" if words else ""
        return TaskError(
            exit_code=KILLED,
            label="killed",
            message=f"the task's process ended {how} and gave no answer{last}",
            hint="where the system killed it for its memory, let fewer tasks run at once "
            "(memory in fleet.toml)",
        )


def work_on(
    request: Json,
    scratch_folder: Path | None,
    scratch: int,
    started: Callable[[TaskProcess], None] = lambda _: None,
) -> Json:
    """Return the answer to a request, from a child process of its own. Never raises an error.

    ``scratch`` bytes must be free in the folder for temporary files, where a private folder is
    made, and removed at the end. ``started`` is given the process.
    """
    try:
        if scratch_folder is not None:
            scratch_folder.mkdir(parents=True, exist_ok=True)
        with workspace(scratch_folder) as folder:
            _check_room(folder, scratch)
            process = TaskProcess(request, folder)
            started(process)
            return process.answer()
    except SlimError as error:
        return {"error": error_document(error_of(error))}
    except OSError as error:
        return {"error": error_document(error_of(StorageError.from_os_error(error)))}


def _check_room(folder: Path, scratch: int) -> None:
    """Raise StorageError where less than ``scratch`` bytes are free."""
    import shutil

    free = shutil.disk_usage(folder).free
    if free < scratch:
        raise StorageError(
            f"{free:,} bytes are free for temporary files, a task may take {scratch:,}",
            file=folder.parent,
            hint="free space there, give another scratch_folder, or state less scratch",
        )
