"""Checks ``dlopen`` and ``versions``: what loaded, or answered, in the original still does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from slim.model.record import EntryType, FileRecord, Inventory, NativeFormat
from slim.model.verify import Subject
from slim.verification.dynamic.deploy import Deployment
from slim.verification.dynamic.sandbox import PYTHON, WORKERS, Finished

DLOPEN: Final = "dlopen"
VERSIONS: Final = "versions"
_NATIVE: Final = (NativeFormat.ELF, NativeFormat.MACHO)
_COMMANDS: Final = ("bin/", "Scripts/")
_BATCH: Final = {DLOPEN: 60, VERSIONS: 15}
_SECONDS: Final = {DLOPEN: 20, VERSIONS: 10}
_START_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer of a library or program.

    ``ok``: it loaded, or ended with exit code 0. ``text`` is the error; ``output`` what a program
    printed, without places. ``asked`` is False where nothing could ask.
    """

    ok: bool
    text: str = ""
    output: bytes = b""
    asked: bool = True


Answers = Mapping[Subject, Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A check of files, one by one.

    ``title`` and ``what`` are words for people; ``ask`` asks some files of one layer.
    """

    name: str
    title: str
    what: str
    selects: Callable[[FileRecord], bool]
    ask: Callable[[Deployment, Sequence[Subject]], Answers]

    def subjects(self, inventory: Inventory) -> list[Subject]:
        """List a subject for every file that it is about."""
        return [
            Subject(check=self.name, layer=record.layer, name=record.path)
            for record in inventory
            if record.type is EntryType.FILE and self.selects(record)
        ]

    def observe(
        self,
        deployment: Deployment,
        subjects: Sequence[Subject],
        *,
        workers: int = 1,
        advance: Callable[[int], None] = lambda _: None,
    ) -> dict[Subject, Answer]:
        """Ask every file that is there; one that was removed on purpose has no entry."""
        by_layer: dict[str, list[Subject]] = {}
        for one in subjects:
            if deployment.place((one.layer, one.name)).is_file():
                by_layer.setdefault(one.layer, []).append(one)
        size = _BATCH[self.name]
        parts = [
            files[at : at + size]
            for files in by_layer.values()
            for at in range(0, len(files), size)
        ]
        found: dict[Subject, Answer] = {}

        def work(part: Sequence[Subject]) -> Answers:
            answers = self.ask(deployment, part)
            advance(len(part))
            return answers

        with ThreadPoolExecutor(max_workers=workers) as pool:
            for answers in pool.map(work, parts):
                found.update(answers)
        return found


def lost(before: Answer, after: Answer) -> str:
    """Tell what is wrong with a file that worked in the original; empty where nothing is."""
    if not before.ok:
        return ""
    if not after.ok:
        return after.text or "doesn't work any more"
    if before.output != after.output:
        old, new = (one.output.decode("utf-8", "replace")[:200] for one in (before, after))
        return f"--version was {old!r}, now {new!r}"
    return ""


def find_lost(
    probe: Probe,
    answers: Answers,
    deployments: tuple[Deployment, Deployment],
    subjects: Sequence[Subject],
    *,
    workers: int,
    advance: Callable[[int], None],
) -> list[tuple[Subject, str]]:
    """List what doesn't work any more, with what is wrong.

    ``answers`` are those of the original, the first of ``deployments``. What isn't the same twice
    there isn't lost.
    """
    if not subjects:
        return []
    original, slimmed = deployments
    now = probe.observe(slimmed, subjects, workers=workers, advance=advance)
    suspects = [one for one, answer in now.items() if lost(answers[one], answer)]
    old, new = (probe.observe(one, suspects, workers=workers) for one in (original, slimmed))
    texts = ((one, lost(old[one], new[one])) for one in suspects)
    return [(one, text) for one, text in texts if text]


def _is_library(record: FileRecord) -> bool:
    return record.native in _NATIVE and not record.path.endswith(".o")


def _is_program(record: FileRecord) -> bool:
    if not record.mode & 0o111:
        return False
    return record.native in _NATIVE or record.path.startswith(_COMMANDS)


def _job(key: str, name: str, deployment: Deployment, part: Sequence[Subject]) -> bytes:
    files = [[at, str(deployment.place((one.layer, one.name)))] for at, one in enumerate(part)]
    return json.dumps({key: files, "seconds": _SECONDS[name]}).encode()


def _run(
    command: Sequence[str], name: str, key: str, deployment: Deployment, part: Sequence[Subject]
) -> Finished:
    return deployment.sandbox.run(
        command,
        timeout=len(part) * _SECONDS[name] + _START_SECONDS,
        readable=(deployment.root,),
        data=_job(key, name, deployment, part),
    )


def _load(deployment: Deployment, part: Sequence[Subject]) -> Answers:
    """Load libraries in their layer's Python."""
    python = str(deployment.python(part[0].layer))
    script = str(WORKERS / "loader.py")
    done = _run([python, "-B", script], DLOPEN, "files", deployment, part)
    found: dict[Subject, Answer] = {}
    for line in done.stdout.splitlines():
        index, loaded, text = json.loads(line)
        if index < 0:
            return {one: Answer(ok=False, text=text, asked=False) for one in part}
        found[part[index]] = Answer(ok=loaded, text=text.replace(f"{deployment.root}/", ""))
    return _with_rest(found, part, done)


def _ask_version(deployment: Deployment, part: Sequence[Subject]) -> Answers:
    """Ask the programs among these files."""
    programs = [one for one in part if _starts(deployment.place((one.layer, one.name)))]
    others = {one: Answer(ok=False, asked=False) for one in part if one not in programs}
    if not programs:
        return others
    script = str(WORKERS / "starter.py")
    command = [PYTHON, "-I", "-S", script]
    done = _run(command, VERSIONS, "programs", deployment, programs)
    found: dict[Subject, Answer] = {}
    for line in done.stdout.splitlines():
        index, code, written = json.loads(line)
        output = base64.b64decode(written).replace(str(deployment.root).encode(), b"STACK")
        text = output.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no output"]
        ended = "didn't start or end" if code is None else f"exit code {code}"
        found[programs[index]] = Answer(ok=code == 0, text=f"{ended}: {text[0]}", output=output)
    return {**_with_rest(found, programs, done), **others}


def _with_rest(
    found: dict[Subject, Answer], part: Sequence[Subject], done: Finished
) -> dict[Subject, Answer]:
    """Add those that the worker didn't come to."""
    ended = "took too long" if done.timed_out else f"ended with {done.code}"
    text = f"was stopped: {done.stopped}" if done.stopped else f"its process {ended}"
    return {one: found.get(one, Answer(ok=False, text=text)) for one in part}


def _starts(file: Path) -> bool:
    """Return whether a file is a program: a script, or a native file that isn't a library."""
    with file.open("rb") as stream:
        head = stream.read(4096)
    if head[:4] == b"\x7fELF":
        return head[16:17] == b"\2" or b"/ld-" in head or b"/lib/ld" in head
    if head[:4] in (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"):
        return head[12:13] == b"\2"  # MH_EXECUTE
    return head[:2] == b"#!" or head[:4] == b"\xca\xfe\xba\xbe"


PROBES: Final = (
    Probe(
        name=DLOPEN,
        title="Loading libraries",
        what="libraries that loaded by themselves in the original",
        selects=_is_library,
        ask=_load,
    ),
    Probe(
        name=VERSIONS,
        title="Asking programs for their version",
        what="programs that answered --version in the original",
        selects=_is_program,
        ask=_ask_version,
    ),
)
"""In the order in which they run."""
