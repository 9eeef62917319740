"""The table of oracles: what judges an edited file against its original, before it is published.

Each editor names its oracle (:class:`slim.passes.base.Editor`). An oracle shares no code with the
editor that it judges. An edit without an oracle is refused. What an oracle has accepted of native
files is read by LIEF, too (:mod:`slim.verification.second_opinion`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from slim.binaries.gpu.read import read_gpu_code
from slim.formats.base import Content
from slim.model.finding import Evidence
from slim.model.outcome import Check
from slim.model.record import FileKey, FileRecord
from slim.passes import EDITORS
from slim.verification.compile_traced import check as check_compile_traced
from slim.verification.cut_modules import check as check_cut_module
from slim.verification.embedded_wheels import check as check_embedded_wheel
from slim.verification.metadata_text import check as check_metadata
from slim.verification.native.elf import check as check_elf
from slim.verification.native.gpu import check as check_gpu
from slim.verification.native.macho import check as check_macho
from slim.verification.second_opinion.opinion import Opinion, Question, SecondOpinion

CHECK = "second-opinion"
"""Name of the check by which reports tell what LIEF was asked about."""

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Row of the table of oracles.

    ``check`` compares an original with what it was edited to and returns what is wrong, a sentence
    each; it raises nothing. ``reader`` names what LIEF reads such files with
    (:data:`slim.verification.second_opinion.worker.READERS`); None for files that it can't read.
    ``headers`` names what it reads the headers of a large one with.
    """

    check: Callable[[memoryview, memoryview], list[str]]
    reader: str | None = None
    headers: str | None = None


ORACLES: Mapping[str, Oracle] = {
    "elf": Oracle(check=check_elf, reader="elf", headers="elf-headers"),
    "gpu": Oracle(check=check_gpu, reader="elf-gpu"),
    "macho": Oracle(check=check_macho, reader="macho"),
    "core-metadata": Oracle(check=check_metadata),
    "cut-module": Oracle(check=check_cut_module),
    "compile-traced": Oracle(check=check_compile_traced),
    "embedded-wheel": Oracle(check=check_embedded_wheel),
}
"""Every oracle, by the name under which editors refer to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """An edit that was carried out and isn't published yet. ``editor`` is a key of EDITORS."""

    editor: str
    original: Content
    edited: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Outcome of judging edits: why each bad one is refused, and what LIEF was asked about."""

    refused: Mapping[FileKey, Evidence]
    check: Check


@contextmanager
def second_opinion(editors: Iterable[str]) -> Iterator[SecondOpinion]:
    """Get LIEF ready, in a process of its own, where an editor edits what it can read."""
    with SecondOpinion() as second:
        if any(_reader(editor) for editor in editors):
            second.start()
        yield second


def judge(
    edits: Mapping[FileKey, Edit],
    second: SecondOpinion,
    *,
    differing: str = "not edited, because LIEF sees a difference",
) -> Judgement:
    """Judge each edit by its editor's oracle, and the native ones by LIEF at the same time.

    ``differing`` is what the check says of files in which LIEF sees a difference, before their
    paths.
    """
    questions = {
        key: Question(
            reader=oracle.reader,
            headers=oracle.headers,
            original=edit.original,
            edited=edit.edited,
        )
        for key, edit in edits.items()
        if (oracle := _oracle(edit.editor)) is not None and oracle.reader is not None
    }
    with ThreadPoolExecutor(max_workers=1) as thread:
        asked = thread.submit(second.ask, questions)
        try:
            refused = refused_edits(edits)
            opinion = asked.result()
        except BaseException:
            second.close()  # Ctrl-C, say: the thread shall not be waited for
            raise
    by_lief = {
        key: Evidence(kind=CHECK, text=text)
        for key, text in opinion.differing.items()
        if key not in refused
    }
    return Judgement(refused={**refused, **by_lief}, check=_check(opinion, differing))


def refused_edits(
    edits: Mapping[FileKey, Edit], oracles: Mapping[str, Oracle] = ORACLES
) -> dict[FileKey, Evidence]:
    """Judge each edit by its editor's oracle; return the first complaint about each bad one."""
    refused: dict[FileKey, Evidence] = {}
    for key, edit in edits.items():
        oracle = _oracle(edit.editor, oracles)
        if oracle is None:
            problems = [f"no oracle judges what the editor {edit.editor} does"]
        else:
            problems = oracle.check(edit.original.view(), edit.edited.view())
        if problems:
            refused[key] = Evidence(kind="oracle", text=problems[0])
    return refused


def editor_for(record: FileRecord, original: Content, edited: Content) -> str | None:
    """Return the name of the editor that a file is of the kind for; None where there is none.

    Where several are, as of files with GPU code, it is the first one whose oracle accepts what
    became of the file.
    """
    names = [name for name, row in EDITORS.items() if row.suits(record)]
    if len(names) < 2 or read_gpu_code(original.view()) is None:
        return names[0] if names else None
    for name in names:
        edit = Edit(editor=name, original=original, edited=edited)
        if not refused_edits({record.key: edit}):
            return name
    return names[0]


def _oracle(editor: str, oracles: Mapping[str, Oracle] = ORACLES) -> Oracle | None:
    row = EDITORS.get(editor)
    return None if row is None else oracles.get(row.oracle)


def _reader(editor: str) -> str | None:
    oracle = _oracle(editor)
    return None if oracle is None else oracle.reader


def _check(opinion: Opinion, differing: str) -> Check:
    """Tell of the files that LIEF compared, and of those that it couldn't."""
    notes = []
    if opinion.differing:
        notes.append(f"{differing}: {_paths(opinion.differing)}")
    if opinion.headers:
        notes.append(f"by their headers alone, because they are large: {_paths(opinion.headers)}")
    notes += [
        f"judged without LIEF: {path}: {reason}"
        for path, reason in list(_unjudged(opinion))[:_SHOWN]
    ]
    left = len(opinion.unjudged) - _SHOWN
    if left > 0:
        notes.append(f"{left} more judged without LIEF")
    return Check(name=CHECK, tried=opinion.judged, note="; ".join(notes), elapsed=opinion.elapsed)


def _unjudged(opinion: Opinion) -> Iterator[tuple[str, str]]:
    for (layer, path), reason in sorted(opinion.unjudged.items()):
        yield f"{layer}/{path}", reason


def _paths(keys: Iterable[FileKey]) -> str:
    shown = [f"{layer}/{path}" for layer, path in sorted(keys)]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
