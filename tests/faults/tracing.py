"""Runs under strace: what changes something, and hitting it.

``--seccomp-bpf`` must not be used: with it, strace 6.1 accepts an injection and never makes it. So
every injection is looked up in the trace afterwards.

Sources: strace(1), "Syscall tampering"; ptrace(2).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MUTATING = (
    *(
        "open",
        "openat",
        "creat",
        "write",
        "pwrite64",
        "writev",
        "pwritev",
        "sendfile",
        "copy_file_range",
    ),
    *(
        "rename",
        "renameat",
        "renameat2",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "unlink",
        "unlinkat",
    ),
    *("mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "truncate", "ftruncate", "fallocate"),
    *(
        "chmod",
        "fchmod",
        "fchmodat",
        "chown",
        "fchown",
        "lchown",
        "fchownat",
        "setxattr",
        "fsetxattr",
    ),
    *("utime", "utimes", "utimensat", "fsync", "fdatasync", "sync_file_range"),
)
"""The system calls that can change a file system."""

WRITES = ("write", "pwrite64", "writev", "pwritev", "sendfile", "copy_file_range")

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$")
_READS = re.compile(r"\bO_RDONLY\b")
_RANDOM = re.compile(r"(?<=[./-])(?:\d+-)?[a-z0-9_]{8}(?=[./\">])")  # tempfile's names
_WAIT = 20.0


@dataclass(frozen=True)
class Point:
    """The ``nth`` system call of its name in a run (from 1); ``text`` is how strace shows it."""

    call: str
    nth: int
    text: str

    @property
    def where(self) -> str:
        return f"{self.call}#{self.nth}"


@dataclass
class Run:
    """End of a run. ``code`` is the exit code, or minus the number of the signal that ended it."""

    code: int
    stdout: str
    stderr: str
    trace: str = ""

    @property
    def killed(self) -> bool:
        return self.code == -9 and "killed by SIGKILL" in self.trace


@dataclass
class Zygote:
    """The process that forks runs; see :mod:`tests.faults.zygote`."""

    scratch: Path
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def __enter__(self) -> Zygote:
        environ = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "NO_COLOR": "1",
        }
        self.scratch.mkdir(parents=True, exist_ok=True)
        arguments = [sys.executable, "-m", "tests.faults.zygote"]
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            cwd=Path(__file__).parents[2],
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert (
            self._process is not None
            and self._process.stdin is not None
            and self._process.stdout is not None
        )
        self._process.stdin.close()
        self._process.wait(_WAIT)
        self._process.stdout.close()

    def _tell(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _heard(self) -> dict[str, Any]:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the zygote has died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def warm(self, argv: list[str], cwd: Path) -> None:
        """Run once in the process itself, for what is imported late."""
        self._tell(json.dumps({"warm": True, "argv": argv, "cwd": str(cwd)}))
        self._heard()

    def run(
        self,
        argv: list[str],
        cwd: Path,
        *,
        trace: list[str] | None = None,
        stopped: Callable[[], None] | None = None,
        **more: Any,
    ) -> Run:
        """Fork a run and wait for its end.

        ``trace`` are strace's expressions (``-e``). ``stopped`` is called when an injected SIGSTOP
        has stopped the run, which then goes on.
        """
        files = {name: self.scratch / name for name in ("out", "err", "trace")}
        for file in files.values():
            file.unlink(missing_ok=True)
        command = {
            "argv": argv,
            "cwd": str(cwd),
            "out": str(files["out"]),
            "err": str(files["err"]),
            **more,
        }
        self._tell(json.dumps(command))
        pid = self._heard()["pid"]
        tracer = _attach(pid, files["trace"], trace) if trace is not None else None
        self._tell("go")
        if stopped is not None:
            _at_the_stop(files["trace"], pid, stopped)
        status = self._heard()["status"]
        if tracer is not None:
            tracer.wait(_WAIT)
            assert tracer.stderr is not None
            tracer.stderr.close()
        read = {
            name: file.read_text(errors="replace") if file.exists() else ""
            for name, file in files.items()
        }
        return Run(
            code=os.waitstatus_to_exitcode(status),
            stdout=read["out"],
            stderr=read["err"],
            trace=read["trace"],
        )


def _attach(pid: int, file: Path, expressions: list[str]) -> subprocess.Popen[str]:
    arguments = ["strace", "-f", "-y", "-s", "160", "-o", str(file), "-p", str(pid)]
    for expression in expressions:
        arguments += ["-e", expression]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "attached" in line:
            return process
        if "strace:" in line:
            raise RuntimeError(line.strip())
    raise RuntimeError("strace didn't attach")


def _at_the_stop(trace: Path, pid: int, action: Callable[[], None]) -> None:
    started = time.monotonic()
    while "stopped by SIGSTOP" not in (text := trace.read_text(errors="replace")):
        if "+++" in text or time.monotonic() - started > _WAIT:
            return  # the run is over, or never came there
        time.sleep(0.002)
    action()
    os.kill(pid, 18)  # SIGCONT


def traced() -> list[str]:
    """The expression that shows all that changes something."""
    return [f"trace={','.join(MUTATING)}", "signal=none"]


def injecting(point: Point, what: str) -> list[str]:
    """The expressions that do ``what`` (strace(1), ``inject``) at a point."""
    return [f"trace={','.join(MUTATING)}", f"inject={point.call}:{what}:when={point.nth}"]


def points(trace: str) -> list[Point]:
    """All mutating calls of a trace, in order."""
    return [
        point
        for point in calls(trace)
        if not (point.call in ("open", "openat") and _READS.search(point.text))
    ]


def calls(trace: str) -> Iterator[Point]:
    """All calls of a trace, in order, numbered by name."""
    seen: Counter[str] = Counter()
    for line in trace.splitlines():
        match = _CALL.match(line)
        if match and match[1] in MUTATING:
            seen[match[1]] += 1
            yield Point(call=match[1], nth=seen[match[1]], text=settled(line))


def settled(line: str) -> str:
    """A line of a trace without what differs from run to run."""
    return _RANDOM.sub("RANDOM", re.sub(r"^\d+ +", "", line))


def was_hit(run: Run, point: Point) -> bool:
    """True if the injection met the call that was meant."""
    signalled = re.search(r"^.*--- SIG(?:INT|TERM|HUP|STOP) .*$", run.trace, re.MULTILINE)
    if run.killed or signalled:
        seen = run.trace[: signalled.start()] if signalled else run.trace
        hit = [one for one in calls(seen) if one.call == point.call]
        return bool(hit) and hit[-1].nth == point.nth and _same_call(hit[-1].text, point.text)
    marked = [settled(line) for line in run.trace.splitlines() if "(INJECTED)" in line]
    return any(_same_call(line, point.text) for line in marked)


def _same_call(one: str, other: str) -> bool:
    """Equal up to the result, and to the data that is written (which may hold times)."""
    return _target(one) == _target(other)


def _target(text: str) -> str:
    """A call up to its result, and without the data that it writes."""
    if text.startswith(WRITES):
        return text.split(", ")[0]
    return re.split(r"\) += |\) +\(| <unfinished| *$", text)[0]
