"""Loads native libraries, each in a process of its own, as a program would with dlopen(3).

Runs in the stack's own Python (3.9 or newer). Standard input: ``{"files": [[index, path], ...],
"seconds": number}``. One JSON line a file goes to standard output: ``[index, loaded, text]``. A
file that is a program is told as such. Without ctypes, or where processes can't fork, there is one
line: ``[-1, false, reason]``.
"""

from __future__ import annotations

import os
import sys

# The script's own folder isn't one that the application would search.
_OWN = os.path.realpath(os.path.dirname(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != _OWN]

import json  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
from typing import Any  # noqa: E402


def main() -> None:
    """Load what the job lists."""
    job = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    try:
        import ctypes
    except Exception as error:
        out.write(json.dumps([-1, False, "%s: %s" % (type(error).__name__, error)]) + "\n")
        return
    if not hasattr(os, "fork"):
        out.write(json.dumps([-1, False, "this system can't fork"]) + "\n")
        return
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    for index, path in job["files"]:
        loaded, text = _load(ctypes, path, job["seconds"])
        out.write(json.dumps([index, loaded, text]) + "\n")
    out.flush()
    os._exit(0)


def _load(ctypes: Any, path: str, seconds: float) -> tuple[bool, str]:
    """Return whether a library loads, and the error."""
    result, result_in = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
            text = b"\0"
        except BaseException as error:
            text = str(error).encode("utf-8", "replace")[:2000] or b"can't be loaded"
        os.write(result_in, text)
        os._exit(0)
    os.close(result_in)
    ready, _, _ = select.select([result], [], [], seconds)
    answer = os.read(result, 4096) if ready else b""
    os.close(result)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if answer == b"\0":
        return True, ""
    if answer:
        return False, answer.decode("utf-8", "replace")
    if not ready:
        return False, "didn't load within %g seconds" % seconds
    if os.WIFSIGNALED(status):
        return False, "ended its process by signal %d" % os.WTERMSIG(status)
    return False, "ended its process with exit code %d" % os.WEXITSTATUS(status)


main()
