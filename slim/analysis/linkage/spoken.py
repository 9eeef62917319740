"""Words that may stand for a library: a last search, before one goes that nothing links.

A program may put a name together at run time (``"lib" + kind``), read the kind from a data file, or
open whatever lies in a folder. So a library of a wheel's own folder (``NAME.libs``, ``.dylibs``)
only counts as unnamed where no file that stays has its bare name as a word, in whatever case, and
no code or text names its folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.system.mapped import find_all

_BARE_NAME = re.compile(
    r"\A(?:lib)?(?P<bare>.+?)(?:-[0-9a-f]{8,64})?(?:\.\d[\w.]*)?\.(?:so|dylib|dll)\b", re.IGNORECASE
)
_LISTS = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""Files of a dist-info folder that name every file, and mean none."""
_OPEN = (b"*", b"}", b"%s", b"%r", b")", b'"', b"'")
"""Ends of what a path is put together of, and what stands before the next part of one."""
_SHORTEST = 3
"""Letters of a bare name that can be searched for; a shorter one stands in any file."""


@dataclass(frozen=True, slots=True)
class _Words:
    """Words that may stand for one library."""

    record: FileRecord
    bare: str
    folder: bytes
    pattern: re.Pattern[bytes]


def speakers(
    libraries: Iterable[FileRecord],
    inventory: Inventory,
    read: ReadFile,
    gone: Collection[FileKey] = frozenset(),
) -> Mapping[FileKey, Evidence]:
    """Return those of the libraries that a file speaks of, each with the first that does.

    What is in ``gone`` is silent, and so are lists of installed files and bills of materials. The
    files of a library's own distribution are searched first.
    """
    silent = frozenset(gone)
    found: dict[FileKey, Evidence] = {}
    left: list[_Words] = []
    for record in libraries:
        words = _words(record)
        if len(words.bare) < _SHORTEST:
            text = f"its name {words.bare!r} is too short to be searched for"
            found[record.key] = Evidence(kind="string", text=text, strength=Strength.WEAK)
        else:
            left.append(words)
    owners = {(words.record.layer, words.record.owner) for words in left}
    files = [
        record
        for record in inventory
        if record.type is EntryType.FILE and record.key not in silent and not _is_list(record.path)
    ]
    files.sort(key=lambda record: (record.layer, record.owner) not in owners)
    for record in files:
        if not left:
            break
        content = read(record)
        for words in list(left):
            evidence = None if record.key == words.record.key else _speaks(record, content, words)
            if evidence is not None:
                found[words.record.key] = evidence
                left.remove(words)
    return found


def _words(record: FileRecord) -> _Words:
    name = posixpath.basename(record.path)
    match = _BARE_NAME.match(name)
    bare = name if match is None else match["bare"]
    any_case = re.escape(bare.encode())
    return _Words(
        record=record,
        bare=bare,
        folder=posixpath.basename(posixpath.dirname(record.path)).encode(),
        pattern=re.compile(rb"(?i:%b)" % any_case),
    )


def _speaks(record: FileRecord, content: memoryview, words: _Words) -> Evidence | None:
    text = ""
    if b"." in words.folder and record.native is None and _names_folder(content, words.folder):
        text = f"names the folder {words.folder.decode()}"
    elif any(_is_word(content, match) for match in find_all(words.pattern, content)):
        text = f"has the word {words.bare!r}"
    if not text:
        return None
    return Evidence(kind="string", text=text, file=record.deployed_path, strength=Strength.WEAK)


def _names_folder(content: memoryview, folder: bytes) -> bool:
    """Return whether a text has the folder's name, or only its ending as a part of a path."""
    data = bytes(content)
    ending = b"." + folder.rpartition(b".")[2]
    if any(mark + ending + slash in data for mark in _OPEN for slash in (b"/", b"\\")):
        return True
    return folder in data or any(
        mark + ending + mark in data or ending + mark in data for mark in (b'"', b"'")
    )


def _is_word(content: memoryview, match: re.Match[bytes]) -> bool:
    """Return whether no letter or digit goes on at either end, but for a ``lib`` before it."""
    start, end = match.span()
    before = bytes(content[max(0, start - 3) : start])
    if before.lower() == b"lib":
        before = bytes(content[max(0, start - 4) : start - 3])
    after = bytes(content[end : end + 1])
    return not (before[-1:].isalnum() or after.isalnum())


def _is_list(path: str) -> bool:
    folder, name = posixpath.split(path)
    return (folder.endswith(".dist-info") and name in _LISTS) or ".dist-info/sboms/" in path
