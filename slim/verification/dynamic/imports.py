"""Check ``imports``: what could be imported can still be imported.

Several modules share a worker process. A module that ends its worker (a crash, ``os._exit``) or
keeps it busy for too long is told by name, and a new worker goes on behind it.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import queue
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from slim.model.verify import Subject
from slim.verification.dynamic.deploy import Deployment
from slim.verification.dynamic.sandbox import WORKERS, Running

NAME: Final = "imports"
BATCH: Final = 60
"""Modules a worker process, more or less: few enough that all processors are busy to the end."""
START_SECONDS: Final = 60.0
"""How long an interpreter may take before its first module."""
_KILLED: Final = 9
"""Signal of those that the kernel ends when memory does (SIGKILL)."""
_TESTS: Final = re.compile(r"(tests?|test_.*|.*_tests?|idle_test|conftest)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Outcome of importing one module.

    ``text`` is the error; ``fatal`` says that the module ended its process or took too long;
    ``forked`` and ``written`` (deployed paths) tell what else it did. ``whole`` is False where
    nothing but an empty namespace package was found: a folder without ``__init__``. ``starved``
    says that its process was ended as those are that take too much memory.
    """

    ok: bool
    text: str = ""
    fatal: bool = False
    forked: bool = False
    written: tuple[str, ...] = ()
    whole: bool = True
    starved: bool = False


def lost(before: Imported, after: Imported) -> str:
    """Tell what is wrong with a module that the original could import; empty where nothing is."""
    if not before.ok:
        return ""
    if not after.ok:
        return after.text or "can't be imported"
    return "nothing is left of it but a folder" if before.whole and not after.whole else ""


def is_public(name: str) -> bool:
    """Return whether a module is part of what a distribution offers.

    Private names below the top aren't, tests aren't, and neither is ``__main__``: to import it is
    to run the program.
    """
    top, *inner = name.split(".")
    if top in ("__init__", "__main__", "sitecustomize", "usercustomize") or not all(
        part.isidentifier() for part in (top, *inner)
    ):
        return False
    return not any(part.startswith("_") for part in inner) and not any(
        _TESTS.match(part) for part in (top, *inner)
    )


def may_go(name: str, without: Iterable[str]) -> bool:
    """Return whether the user lists a module as dispensable.

    A package's glob covers what is in it.
    """
    return any(
        fnmatch.fnmatchcase(name, glob) or fnmatch.fnmatchcase(name, f"{glob}.*")
        for glob in without
    )


def batches(subjects: Iterable[Subject], size: int = BATCH) -> list[list[Subject]]:
    """Group subjects by layer into batches; a top-level package stays together where it fits."""
    found: list[list[Subject]] = []
    groups: dict[tuple[str, str], list[Subject]] = {}
    for subject in sorted(subjects):
        groups.setdefault((subject.layer, subject.name.partition(".")[0]), []).append(subject)
    current: list[Subject] = []
    for group in groups.values():
        if current and (current[0].layer != group[0].layer or len(current) + len(group) > size):
            found.append(current)
            current = []
        if len(group) > 2 * size:
            parts = -(-len(group) // size)
            step = -(-len(group) // parts)
            found.extend(group[at : at + step] for at in range(0, len(group), step))
        else:
            current = [*current, *group]
    if current:
        found.append(current)
    return found


def observe(
    deployments: Mapping[str, Deployment],
    subjects: Sequence[Subject],
    *,
    timeout: float,
    workers: int,
    advance: Callable[[int], None] = lambda _: None,
    alone: bool = False,
) -> dict[str, dict[Subject, Imported]]:
    """Import every subject in every deployment; the workers of all share the processors.

    They share the memory, too: what was ended for it is tried again with nothing beside it.
    """
    parts = [[subject] for subject in subjects] if alone else batches(subjects)
    jobs = sorted(
        ((name, part) for part in parts for name in deployments), key=lambda job: -len(job[1])
    )
    results: dict[str, dict[Subject, Imported]] = {name: {} for name in deployments}

    def work(job: tuple[str, list[Subject]]) -> tuple[str, dict[Subject, Imported]]:
        name, part = job
        return name, _batch(deployments[name], part, timeout, advance)

    with ThreadPoolExecutor(max_workers=workers) as pool:
        for name, found in pool.map(work, jobs):
            results[name].update(found)
    if workers > 1:
        for name, found in results.items():
            for subject in [subject for subject, one in found.items() if one.starved]:
                found.update(_batch(deployments[name], [subject], timeout, lambda _: None))
    return results


def _batch(
    deployment: Deployment,
    subjects: Sequence[Subject],
    timeout: float,
    advance: Callable[[int], None],
) -> dict[Subject, Imported]:
    results: dict[Subject, Imported] = {}
    left = list(subjects)
    while left:
        done = _worker(deployment, left, timeout)
        results.update(zip(left, done, strict=False))
        advance(len(done))
        left = left[len(done) :]
    return results


def _worker(deployment: Deployment, subjects: Sequence[Subject], timeout: float) -> list[Imported]:
    """Return results for the first subjects, at least one: as far as one process comes."""
    job = {"modules": [subject.name for subject in subjects], "root": str(deployment.root)}
    python = deployment.python(subjects[0].layer)
    sandbox = deployment.sandbox
    with _job_file(deployment, job) as file:
        running = sandbox.start(
            [str(python), "-B", str(WORKERS / "importer.py"), file],
            readable=(Path(file),),
            writable=(deployment.root,),
        )
        running.keep_errors()
        lines = _Lines(running)
        done: list[Imported] = []
        started, hung = False, False
        try:
            while len(done) < len(subjects):
                try:
                    event = lines.get(timeout if started else START_SECONDS)
                except queue.Empty:
                    hung = True
                    break
                if event is None:
                    break
                if event[0] == "start":
                    started = True
                elif event[0] == "end" and event[1] == len(done):
                    done.append(_imported(event))
        finally:
            code = None if hung else _ended(running)
            report = running.stop()
    if len(done) < len(subjects):
        text = _end(running, report, code, hung, started, timeout)
        starved = bool(report.get("stopped")) or report.get("signal") == _KILLED
        done.append(Imported(ok=False, fatal=True, text=text, starved=starved))
    return done


def _ended(running: Running) -> int | None:
    with contextlib.suppress(Exception):
        return running.process.wait(timeout=10)
    return None


def _end(
    running: Running,
    report: Mapping[str, object],
    code: int | None,
    hung: bool,
    started: bool,
    timeout: float,
) -> str:
    if hung:
        return (
            f"didn't finish within {timeout:g} seconds"
            if started
            else "the interpreter didn't start"
        )
    if report.get("stopped"):
        return f"was stopped: {report['stopped']}"
    if report.get("signal"):
        text = f"ended its process by signal {report['signal']}"
    else:
        text = f"ended its process with exit code {code}"
    if not started:
        errors = running.errors.decode("utf-8", "replace").strip().splitlines()
        text = f"the interpreter didn't start: {errors[-1] if errors else text}"
    return text


def _imported(event: Sequence[Any]) -> Imported:
    _, _, ok, text, forked, written, whole = event
    return Imported(
        ok=bool(ok),
        text=str(text),
        forked=bool(forked),
        written=tuple(map(str, written)),
        whole=bool(whole),
    )


@contextlib.contextmanager
def _job_file(deployment: Deployment, job: Mapping[str, object]) -> Iterator[str]:
    with tempfile.NamedTemporaryFile(
        "w", dir=deployment.sandbox.work, prefix="job-", suffix=".json", encoding="utf-8"
    ) as file:
        json.dump(job, file)
        file.flush()
        yield file.name


class _Lines:
    """JSON lines of a worker, with a deadline for each. None: the stream has ended."""

    def __init__(self, running: Running) -> None:
        self._queue: queue.Queue[list[Any] | None] = queue.Queue()
        self._running = running
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        stream = self._running.process.stdout
        assert stream is not None
        rest = b""
        with contextlib.suppress(OSError, ValueError):
            while data := stream.read(1 << 16):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    value = json.loads(line)
                    if isinstance(value, list) and value:
                        self._queue.put(value)
        self._queue.put(None)

    def get(self, timeout: float) -> list[Any] | None:
        """Return the next event. Raises :class:`queue.Empty` after ``timeout`` seconds."""
        return self._queue.get(timeout=timeout)
