"""Sandbox for the stack's programs: private folders, no network, limits, and no survivors.

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
from slim.system.workspace import remove_tree

_LOG = logging.getLogger(__name__)

WORKERS: Final = Path(__file__).parent / "workers"
ASPECTS: Final = ("network", "processes", "files")
MAX_OUTPUT: Final = 4 << 20
"""Bytes of each stream that are kept of what a program prints; the rest is read and dropped."""

_ATTEMPTS: Final = (ASPECTS, ("network", "processes"), ("network",), ("processes",), ())
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POSIX: Final = os.name == "posix"
_KILL_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """Isolation that the sandbox achieves here.

    ``network``: no network but a loopback of its own; ``processes``: no process survives the
    command, whatever it does; ``files``: nothing outside of the private folders can be written.
    """

    network: bool = False
    processes: bool = False
    files: bool = False

    @property
    def missing(self) -> str:
        """Tell what the sandbox can't do here; empty where it can do everything."""
        words = {
            "network": "without a network",
            "processes": "in a process namespace",
            "files": "with a read-only file system",
        }
        lacking = [text for name, text in words.items() if not getattr(self, name)]
        return f"this host doesn't let programs run {' or '.join(lacking)}" if lacking else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """End of a program.

    ``code`` is None after a timeout; a signal is told by ``signal``; ``elapsed`` is in seconds.
    """

    code: int | None
    stdout: bytes
    stderr: bytes
    signal: int = 0
    elapsed: float = 0.0

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
        try:
            value = json.loads(report)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Sandbox:
    """Sandbox that starts programs below ``work``, a private folder. Safe to use from threads.

    ``memory`` is the limit for a process's data in bytes. Raises StorageError where a program can't
    be started at all.
    """

    def __init__(self, work: Path, *, memory: int | None = None) -> None:
        self.work = work
        self._limits = _limits(memory)
        self._number = itertools.count()
        self._aspects: tuple[str, ...] = ()
        self.isolation = self._probe()

    def _probe(self) -> Isolation:
        """Try a program with every kind of isolation, then with less, until one starts."""
        if not _POSIX:
            return Isolation()
        for aspects in _ATTEMPTS if sys.platform == "linux" else ((),):
            self._aspects = aspects
            held = self._held()
            if all(held.get(name) for name in aspects):
                return Isolation(**{name: name in aspects for name in ASPECTS})
        return Isolation()

    def _held(self) -> dict[str, bool]:
        running = self.start([sys.executable, "-I", "-S", "-c", "pass"])
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
        writable: Sequence[Path] = (),
        stdin: bool = False,
    ) -> Running:
        """Start a program with a private HOME, TMPDIR and, unless ``cwd`` is given, current folder.

        ``writable`` are folders that it may change; its own private ones always are.
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
            "writable": [str(path) for path in (folder, *writable)],
            "readable": _readable(self.work),
            "isolate": list(self._aspects),
            "limits": self._limits,
            "lifeline": lifeline,
            "status": status,
        }
        try:
            process = _popen(
                [sys.executable, "-I", "-S", str(WORKERS / "jail.py"), json.dumps(config)],
                own,
                self.work,
                stdin=stdin,
                handles=(lifeline, status),
            )
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
        writable: Sequence[Path] = (),
        data: bytes | None = None,
    ) -> Finished:
        """Run a program to its end, feeding it ``data``; kill it after ``timeout`` seconds.

        It is killed with all that it started.
        """
        started = time.monotonic()
        running = self.start(
            argv, environment=environment, cwd=cwd, writable=writable, stdin=data is not None
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


def _limits(memory: int | None) -> dict[str, int]:
    """Return the limits of each program (getrlimit(2)).

    No core files, no endless files, no endless memory or processes.
    """
    limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": 8 << 30, "RLIMIT_NOFILE": 4096}
    if memory is None and hasattr(os, "sysconf"):
        with contextlib.suppress(ValueError, OSError):
            memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if memory:
        limits["RLIMIT_DATA"] = memory
    if sys.platform == "linux":
        limits["RLIMIT_NPROC"] = 4096
    return limits


def _readable(work: Path) -> list[str]:
    """List folders that must stay visible though the jail may replace a folder above them."""
    places = [work, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).parent, WORKERS]
    return list(
        dict.fromkeys(str(path) for path in (*places, *(path.resolve() for path in places)))
    )


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
