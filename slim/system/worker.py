"""Child processes for work that may crash, hang or eat memory: foreign bytes in foreign code.

The parent asks one question after the other (:class:`Worker`); the child answers each
(:func:`serve`). A question is a line of JSON and as many bytes as it announces, an answer is a line
of JSON. A child that crashes, or that takes longer than it may, is ended; the next question goes to
a new one. Where the system can, the child limits the memory and the processor time that one
question takes (setrlimit(2), ``RLIMIT_AS`` and ``RLIMIT_CPU``).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Final

import slim
from slim.errors import OutOfMemoryError
from slim.system.closing import Closing

_LOG = logging.getLogger(__name__)

_MEMORY: Final = 768 << 20
"""Bytes of address space that a question may take, beyond what its data need."""
_COPIES: Final = 4
"""How many times a question's data may be in memory at once."""
_LONGEST_ANSWER: Final = 1 << 23
"""Bytes of an answer's line; whatever is longer is no answer."""

_NO_MEMORY: Final = 77
"""Exit code of a child that would need more memory than it may take."""
_LATE: Final = {-signal.SIGXCPU} if hasattr(signal, "SIGXCPU") else set()
"""Exit codes of a child that has used up its processor time."""
_KILLED: Final = -signal.SIGKILL if hasattr(signal, "SIGKILL") else None
"""Exit code of a child that somebody has killed."""

# A path of one's own would come before the standard library, so it isn't set where it isn't needed.
_START: Final = """
import os, runpy, sys
own, module = sys.argv[1:]
if own not in map(os.path.realpath, sys.path):
    sys.path.insert(0, own)
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
_OWN: Final = str(Path(slim.__file__).resolve().parent.parent)
"""The folder that this very slim lies in."""

Answer = Mapping[str, object]


def command(module: str) -> list[str]:
    """Return the command that runs a module of this very slim in a Python of its own."""
    return [sys.executable, "-P", "-c", _START, _OWN, module]


class NoAnswer(Exception):
    """Raised where the child gave no answer; ``str()`` says why, in words for people."""


class Worker(Closing):
    """Child that runs ``python -m MODULE`` and answers questions; started when first needed.

    Close it (it is a context manager). Not for several threads at once, but for :meth:`close`,
    which may be called from anywhere: whoever waits for an answer then gets :class:`NoAnswer`.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._ended = False
        self.starts = 0
        """How many processes were started."""

    def start(self) -> None:
        """Start the child, if there is none, without waiting for it. Raises NoAnswer."""
        if self._closed:
            raise NoAnswer("it was closed")
        if self._process is not None:
            return
        _LOG.info("starting %s in a process of its own", self._module)
        try:
            self._process = subprocess.Popen(
                command(self._module),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise NoAnswer(f"it can't be started: {error.strerror}") from error
        self.starts += 1

    def ask(
        self,
        question: Mapping[str, object],
        data: Iterable[bytes | memoryview] = (),
        *,
        size: int = 0,
        seconds: float,
    ) -> Answer:
        """Ask, send the ``size`` bytes of ``data``, and wait for the answer.

        Raises NoAnswer where the child crashes or hasn't answered after ``seconds``; it is ended
        then, and forgets what it was told before. Raises OutOfMemoryError where somebody else has
        killed it: the kernel does so when memory ends.
        """
        self.start()
        process = self._process
        assert process is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            line = _exchange(
                process.stdin, process.stdout, {**question, "size": size, "seconds": seconds}, data
            )
        finally:
            timer.cancel()
        answer = _parsed(line)
        if answer is not None and not late.is_set():
            return answer
        self._ended = False
        code = self._end(grace=0 if line else 1)
        if self._closed:
            raise NoAnswer("it was closed")
        if late.is_set() or code in _LATE:
            raise NoAnswer(f"it took longer than {seconds:g} s")
        if code == _NO_MEMORY:
            raise NoAnswer("it needs too much memory")
        if line or code is None:
            raise NoAnswer("it answered nonsense")
        if code == _KILLED and not self._ended:
            raise OutOfMemoryError(
                f"the process that runs {self._module} was killed, as the system does when there "
                "is not enough memory"
            )
        raise NoAnswer(
            f"it crashed (signal {-code})" if code < 0 else f"it ended with exit code {code}"
        )

    def close(self) -> None:
        """End the child. Later questions get NoAnswer."""
        self._closed = True
        self._end()

    def _end(self, grace: float = 0) -> int | None:
        """End the child, which has ``grace`` seconds to do so by itself; return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            code = process.wait(grace)
        except subprocess.TimeoutExpired:
            self._ended = True
            process.kill()
            code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                # Closing flushes, to a child that is gone.
                with contextlib.suppress(OSError):
                    pipe.close()
        return code


def _exchange(
    to: IO[bytes], answers: IO[bytes], question: Answer, data: Iterable[bytes | memoryview]
) -> bytes:
    """Send a question and return the line of the answer; nothing where the child has ended."""
    try:
        to.write(json.dumps(question).encode() + b"\n")
        for chunk in data:
            to.write(chunk)
        to.flush()
        return answers.readline(_LONGEST_ANSWER)
    except (OSError, ValueError):  # a broken pipe, or one that close() closed
        return b""


def _parsed(line: bytes) -> Answer | None:
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


# -- the child's side ----------------------------------------------------------------------------


def serve(answer: Callable[[Answer, bytes], Answer]) -> None:
    """Answer questions from standard input until it ends. ``answer`` gets a question and its data.

    Whatever else writes to standard output goes nowhere. An exception ends the process, and the
    parent takes it for what it is, a crash.
    """
    questions = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as answers:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        while line := questions.readline():
            question = json.loads(line)
            size = int(question["size"])
            limit(size, float(question["seconds"]))
            data = questions.read(size)
            if len(data) < size:
                return  # the parent is gone
            try:
                found = json.dumps(answer(question, data))
            except MemoryError:
                os._exit(_NO_MEMORY)
            del data
            answers.write(found.encode() + b"\n")
            answers.flush()


def limit(size: int, seconds: float) -> None:
    """Limit what this process may take from now on, for a question with ``size`` bytes of data."""
    if importlib.util.find_spec("resource") is None:
        return  # Windows
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    limits = [(resource.RLIMIT_CPU, int(spent + seconds) + 2)]
    mapped = _mapped_bytes()
    if mapped is not None:
        limits.append((resource.RLIMIT_AS, mapped + _MEMORY + _COPIES * size))
    for which, wanted in limits:
        _, hard = resource.getrlimit(which)
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, (soft, hard))


def _mapped_bytes() -> int | None:
    """The size of this process's address space; None where only Linux would tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
