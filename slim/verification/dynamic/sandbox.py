"""Sandbox for the stack's programs: an empty root, no network, limits, and no survivors.

What the kernel allows is found out once; what it doesn't is part of every report.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from slim.errors import StorageError
from slim.system.container import allowance
from slim.system.workspace import remove_tree

_LOG = logging.getLogger(__name__)

WORKERS: Final = Path(__file__).parent / "workers"
ASPECTS: Final = ("network", "processes", "files")
PYTHON: Final = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
"""slim's interpreter, outside of the virtual environment that slim may be in."""
MAX_TASKS: Final = max(1024, 64 * (os.cpu_count() or 1))
"""Processes and threads that a program may have at once; it is stopped when half are processes."""
MAX_OUTPUT: Final = 4 << 20
"""Bytes of each stream that are kept of what a program prints; the rest is read and dropped."""

_LACKING: Final = {
    "network": ("without a network", "reach other machines and services of this one"),
    "processes": ("in a process namespace", "see and signal processes, and leave some behind"),
    "files": (
        "with a root of their own",
        "read and write files, connect to sockets and write to terminals as the caller can",
    ),
    "proc": ("with a /proc of their own", "read the command lines of other processes"),
    "syscalls": ("with filtered system calls", "open sockets of any kind, and use keyrings"),
    "memory": ("with a bound on memory for all together", "each take as much as one may"),
}
"""For each kind of isolation that a host may lack: in words, and what programs could do then."""
_ATTEMPTS: Final = (ASPECTS, ("network", "processes"), ("network",), ("processes",), ())
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INTERPRETER: Final = (
    PYTHON,
    *(str(Path(sys.base_prefix).resolve() / name) for name in ("bin", "lib", "lib64")),
    str(WORKERS),
)
"""Places that slim's interpreter and the scripts of this folder need."""
_WARDEN: Final = (
    "import sys; sys.path.append(sys.argv[1]); from workers.jail import warden; "
    "sys.exit(warden.main(sys.argv[2]))"
)
_POSIX: Final = os.name == "posix"
_KILL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """Isolation that the sandbox achieves here.

    ``network``: no network but a loopback of its own; ``processes``: no process survives the
    command, whatever it does; ``files``: nothing of the machine is there but what programs need,
    and nothing outside of the private folders can be written; ``proc``: /proc shows the command's
    processes alone; ``syscalls``: sockets, keyrings and the like are filtered; ``memory``: a bound
    holds for all of its processes together.
    """

    network: bool = False
    processes: bool = False
    files: bool = False
    proc: bool = False
    syscalls: bool = False
    memory: bool = False

    @property
    def missing(self) -> str:
        """Tell what the sandbox can't do here; empty where it can do everything."""
        lacking = [words for name, words in _LACKING.items() if not getattr(self, name)]
        if not lacking:
            return ""
        without = " or ".join(how for how, _ in lacking)
        could = "; ".join(what for _, what in lacking)
        return f"this host doesn't let programs run {without}. They could: {could}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """End of a program.

    ``code`` is None after a timeout; a signal is told by ``signal``; ``elapsed`` is in seconds.
    ``stopped`` is what it took too much of, as half a sentence.
    """

    code: int | None
    stdout: bytes
    stderr: bytes
    signal: int = 0
    elapsed: float = 0.0
    stopped: str = ""

    @property
    def timed_out(self) -> bool:
        """True if it had to be killed."""
        return self.code is None


@dataclass(kw_only=True)
class Running:
    """Program in the sandbox. Always :meth:`stop` it: that kills whatever is left of it."""

    process: subprocess.Popen[bytes]
    folder: Path
    lifeline: int
    status: int
    _kept: list[bytes] = field(default_factory=list)
    _reader: threading.Thread | None = None

    def keep_errors(self) -> None:
        """Read the program's stderr in the background."""
        assert self.process.stderr is not None
        self._reader = _collect(self.process.stderr, self._kept)

    @property
    def errors(self) -> bytes:
        """Return what came on stderr so far."""
        return b"".join(self._kept)

    def stop(self) -> dict[str, object]:
        """Kill what still runs, free everything, and return the jail's own report.

        The report is empty where the jail gave none.
        """
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1
        elif self.process.poll() is None:
            self.process.kill()
        try:
            self.process.wait(timeout=_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self._reader is not None:
            self._reader.join(timeout=_KILL_SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        report = b""
        if self.status >= 0:
            os.set_blocking(self.status, False)
            with contextlib.suppress(OSError):
                report = os.read(self.status, 65536)
            os.close(self.status)
            self.status = -1
        with contextlib.suppress(OSError):  # the workspace around it goes too
            remove_tree(self.folder)
        return _merged(report)


class Sandbox:
    """Sandbox that starts programs below ``work``, a private folder. Safe to use from threads.

    ``memory`` bounds a program with all that it starts, in bytes; without it, three quarters of
    what this machine has left do. ``devices`` are files of /dev that programs may use. Raises
    StorageError where a program can't be started at all.
    """

    def __init__(
        self, work: Path, *, memory: int | None = None, devices: Sequence[str] = ()
    ) -> None:
        self.work = work
        self._memory = memory or available_memory() * 3 // 4
        self._devices = tuple(devices)
        self._limits = _limits(self._memory)
        self._shown = list(_INTERPRETER)
        self._root = work / "root"
        self._root.mkdir()
        self._number = itertools.count()
        self._aspects: tuple[str, ...] = ()
        self.isolation = self._probe()

    def show_interpreter(self, program: Path) -> None:
        """Show the installation of a Python that lies outside of the stack, as those of venvs do.

        Nothing is shown for what isn't one: links of a stack mustn't open the caller's folders.
        """
        real = program.resolve()
        if len(real.parts) > 2 and not real.is_relative_to(self.work.resolve()):
            top = real.parents[1]
            if any(top.glob("lib*/python3*/os.py")):
                self._shown += [str(top / name) for name in ("bin", "lib", "lib64")]

    def _probe(self) -> Isolation:
        """Try a program with every kind of isolation, then with less, until one starts."""
        if not _POSIX:
            return Isolation()
        for aspects in _ATTEMPTS if sys.platform == "linux" else ((),):
            self._aspects = aspects
            held = self._held()
            if all(held.get(name) for name in aspects):
                return Isolation(**{name: held.get(name) is True for name in _LACKING})
        return Isolation()

    def _held(self) -> dict[str, bool]:
        running = self.start([PYTHON, "-I", "-S", "-c", "pass"])
        try:
            running.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            return {}
        finally:
            report = running.stop()
        held = report.get("held")
        return held if isinstance(held, dict) and report.get("code") == 0 else {}

    def start(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        readable: Sequence[Path] = (),
        writable: Sequence[Path] = (),
        stdin: bool = False,
    ) -> Running:
        """Start a program with a private HOME, TMPDIR and, unless ``cwd`` is given, current folder.

        It sees the system's libraries, and the files and folders ``readable`` and ``writable``;
        the latter it may change, as it may its own private ones.
        """
        folder = self.work / f"run-{next(self._number)}"
        for name in ("home", "tmp", "cwd"):
            (folder / name).mkdir(parents=True)
        own = {
            "PATH": _PATH if _POSIX else os.environ.get("PATH", ""),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            **({} if _POSIX else _windows_environment(folder)),
        }
        where = cwd or folder / "cwd"
        own.update(environment or {})
        _LOG.info("starting %s in %s", shlex.join(argv), where)
        if not _POSIX:
            return self._start_plain(argv, own, where, folder, stdin=stdin)
        lifeline, lifeline_in = os.pipe()
        status_out, status = os.pipe()
        config = {
            "argv": list(argv),
            "environment": own,
            "cwd": str(where),
            "root": str(self._root),
            "writable": [str(path) for path in (folder, *writable)],
            "readable": [*self._shown, *map(str, readable)],
            "devices": list(self._devices),
            "isolate": list(self._aspects),
            "limits": self._limits,
            "memory": self._memory,
            "processes": MAX_TASKS // 2,
            "lifeline": lifeline,
            "status": status,
        }
        command = [PYTHON, "-I", "-S", "-c", _WARDEN, str(WORKERS.parent), json.dumps(config)]
        try:
            process = _popen(command, own, self.work, stdin=stdin, handles=(lifeline, status))
        except BaseException:
            os.close(lifeline_in)
            os.close(status_out)
            raise
        finally:
            os.close(lifeline)
            os.close(status)
        return Running(process=process, folder=folder, lifeline=lifeline_in, status=status_out)

    def _start_plain(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        cwd: Path,
        folder: Path,
        *,
        stdin: bool,
    ) -> Running:
        process = _popen(argv, environment, cwd, stdin=stdin)
        return Running(process=process, folder=folder, lifeline=-1, status=-1)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        readable: Sequence[Path] = (),
        writable: Sequence[Path] = (),
        data: bytes | None = None,
    ) -> Finished:
        """Run a program to its end, feeding it ``data``; kill it after ``timeout`` seconds.

        It is killed with all that it started.
        """
        started = time.monotonic()
        running = self.start(
            argv,
            environment=environment,
            cwd=cwd,
            readable=readable,
            writable=writable,
            stdin=data is not None,
        )
        output: list[bytes] = []
        assert running.process.stdout is not None
        reader = _collect(running.process.stdout, output)
        running.keep_errors()
        feeder = _feed(running.process.stdin, data) if running.process.stdin is not None else None
        timed_out = False
        try:
            code = running.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            timed_out, code = True, -1
        report = running.stop()
        for thread in (reader, feeder):
            if thread is not None:
                thread.join(timeout=_KILL_SECONDS)
        number = report.get("signal")
        return Finished(
            code=None if timed_out else code,
            stdout=b"".join(output),
            stderr=running.errors,
            signal=number if isinstance(number, int) else 0,
            elapsed=time.monotonic() - started,
            stopped=str(report.get("stopped", "")),
        )


def _popen(
    argv: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path,
    *,
    stdin: bool,
    handles: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=cwd,
            pass_fds=handles,
            bufsize=0,
        )
    except OSError as error:
        raise StorageError.from_os_error(error, file=argv[0]) from error


def _limits(memory: int) -> dict[str, int]:
    """Return the limits of each program (getrlimit(2)).

    No core files, no endless files, no endless memory or processes.
    """
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 8 << 30, "RLIMIT_NOFILE": 4096}
    if memory > 0:
        limits["RLIMIT_DATA"] = memory
    if sys.platform == "linux":
        limits["RLIMIT_NPROC"] = max(4096, MAX_TASKS)
    return limits


def available_memory() -> int:
    """Bytes of memory that this machine, or the container that this runs in, has left."""
    found = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        found.append(int(text.partition("MemAvailable:")[2].split()[0]) << 10)
    limit = allowance().memory
    if limit is not None:
        found.append(limit)
    return max(min(found, default=0), 0)


def _merged(report: bytes) -> dict[str, object]:
    """Return the objects of the jail's report, one a line, as one."""
    found: dict[str, object] = {}
    for line in report.splitlines():
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            found.update(value if isinstance(value, dict) else {})
    return found


def _windows_environment(folder: Path) -> dict[str, str]:
    own = {name: str(folder / "tmp") for name in ("TEMP", "TMP")}
    own |= {name: str(folder / "home") for name in ("USERPROFILE", "APPDATA", "LOCALAPPDATA")}
    return own | {
        name: os.environ[name]
        for name in ("SYSTEMROOT", "SYSTEMDRIVE", "COMSPEC")
        if name in os.environ
    }


def _collect(stream: IO[bytes], into: list[bytes]) -> threading.Thread:
    """Read a stream to its end, keeping its beginning."""

    def work() -> None:
        kept = 0
        with contextlib.suppress(OSError, ValueError):
            while data := stream.read(1 << 16):
                if kept < MAX_OUTPUT:
                    into.append(data[: MAX_OUTPUT - kept])
                    kept += len(into[-1])

    return _thread(work)


def _feed(stream: IO[bytes], data: bytes | None) -> threading.Thread:
    def work() -> None:
        with contextlib.suppress(OSError, ValueError):
            stream.write(data or b"")
        with contextlib.suppress(OSError):
            stream.close()

    return _thread(work)


def _thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
