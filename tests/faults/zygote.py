"""A process that has imported slim, and forks a run for every command it is given.

Starting Python and importing slim takes thousands of system calls that change nothing. Every run
here is a process of its own that has them behind it, so that tracing one takes a fraction of a
second and sees little but its work.

One command is one line of JSON on stdin, the answer one on stdout. A run that is to be traced waits
until it is told to go. Thread pools do their work at once in the calling thread, and LIEF, which
would have a process of its own, isn't asked: so a run makes the same system calls in the same order
every time, and each of them can be hit.
"""

from __future__ import annotations

import concurrent.futures
import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

_PR_SET_PTRACER = 0x59616D61
_answers: TextIO
_ANYBODY = ctypes.c_ulong(-1)


class InlineExecutor(concurrent.futures.Executor):
    """Does every job when it is submitted."""

    def __init__(self, max_workers: int | None = None, **_: object) -> None:
        self._max_workers = max_workers

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def main() -> None:
    concurrent.futures.ThreadPoolExecutor = InlineExecutor  # type: ignore[misc,assignment]
    # After the pools are settled: slim's modules take the class by name.
    import slim.config.load as configuration
    from slim.cli import main as slim
    from slim.system.worker import NoAnswer, Worker
    from tests.faults import naive
    from tests.support.builtin_rules import read_once

    def refuse(worker: Worker) -> None:
        raise NoAnswer("no child processes in a run that is traced")

    Worker.start = refuse  # type: ignore[method-assign]
    # Read by the warm run, and not by a thousand forks of it.
    configuration.builtin_packs = read_once(configuration.builtin_packs)

    global _answers
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a run tells isn't an answer

    programs: dict[str, Callable[[list[str]], int]] = {"slim": slim, "naive": naive.main}
    for line in sys.stdin:
        command = json.loads(line)
        if command.get("warm"):  # here, so that what is imported late is imported for every run
            saved = Path.cwd()
            os.chdir(command["cwd"])
            slim(command["argv"])
            os.chdir(saved)
            _answer(warm=True)
            continue
        gate, opener = os.pipe()
        ready, finished = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(opener)
            os.close(ready)
            _become(programs[command.get("program", "slim")], command, gate, finished)
        os.close(gate)
        os.close(finished)
        os.read(ready, 1)  # from here on, everything it does is the run's own
        os.close(ready)
        _answer(pid=child)
        sys.stdin.readline()  # go
        os.write(opener, b"x")
        os.close(opener)
        _, status = os.waitpid(child, 0)
        _answer(status=status)


def _answer(**what: object) -> None:
    print(json.dumps(what), file=_answers, flush=True)


def _become(
    program: Callable[[list[str]], int], command: dict[str, Any], gate: int, finished: int
) -> None:
    """Be the run, and never come back."""
    code = 70
    try:
        for name, number in (("out", 1), ("err", 2)):
            opened = os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(opened, number)
            os.close(opened)
        hole = os.open(os.devnull, os.O_RDONLY)
        os.dup2(hole, 0)
        os.close(hole)
        os.environ.update(command.get("env", {}))
        # Python itself would write a file there to see whether it can.
        tempfile.tempdir = command.get("env", {}).get("TMPDIR")
        os.chdir(command["cwd"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
        if "fsize" in command:
            resource.setrlimit(resource.RLIMIT_FSIZE, (command["fsize"], command["fsize"]))
        if "uid" in command:
            os.setgroups([])
            os.setgid(command["uid"])
            os.setuid(command["uid"])
        os.close(finished)
        os.read(gate, 1)
        os.close(gate)
        code = program(command["argv"])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:  # the interpreter would end with 1 and a traceback
        os.write(2, f"Traceback: {error!r}\n".encode())
        code = 1
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
