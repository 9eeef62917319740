"""Words that may stand for a library: a last search, before one goes that nothing links.

A program may put a name together at run time (``"lib" + kind``), read the kind from a data file, or
open whatever lies in a folder. So a library of a wheel's own folder (``NAME.libs``, ``.dylibs``)
only counts as unnamed where no file that stays has its bare name as a word, in whatever case, and
no code or text names its folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.system.mapped import pieces_of

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
    needle: bytes


class SpokenNames:
    """A search for what speaks of libraries, in a whole stack.

    What was found silent isn't searched again, however often it is asked, with whatever goes.
    """

    def __init__(self, inventory: Inventory, read: ReadFile) -> None:
        self._inventory = inventory
        self._read = read
        self._unheard: dict[FileKey, frozenset[FileKey]] = {}
        """By library, the files that weren't searched for it; all others are silent."""

    def speakers(
        self, libraries: Iterable[FileRecord], gone: Collection[FileKey] = frozenset()
    ) -> Mapping[FileKey, Evidence]:
        """Return those of the libraries that a file speaks of, each with the first that does.

        What is in ``gone`` is silent, and so are lists of installed files and bills of materials.
        The files of a library's own distribution are searched first.
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
        for record in self._files(left, silent):
            wanted = [words for words in left if self._is_unheard(record, words)]
            if wanted:
                content = self._read(record)
                found.update((key, evidence) for key, evidence in _spoken(record, content, wanted))
                left = [words for words in left if words.record.key not in found]
            if not left:
                break
        for words in left:
            key = words.record.key
            self._unheard[key] = silent & self._unheard.get(key, silent)
        return found

    def _files(self, left: list[_Words], silent: Collection[FileKey]) -> list[FileRecord]:
        """Return the files to search, in their order."""
        owners = {(words.record.layer, words.record.owner) for words in left}
        files = [
            record
            for record in self._inventory
            if record.type is EntryType.FILE
            and record.key not in silent
            and not _is_list(record.path)
        ]
        files.sort(key=lambda record: (record.layer, record.owner) not in owners)
        return files

    def _is_unheard(self, record: FileRecord, words: _Words) -> bool:
        if record.key == words.record.key:
            return False
        unheard = self._unheard.get(words.record.key)
        return unheard is None or record.key in unheard


def _words(record: FileRecord) -> _Words:
    name = posixpath.basename(record.path)
    match = _BARE_NAME.match(name)
    bare = name if match is None else match["bare"]
    return _Words(
        record=record,
        bare=bare,
        folder=posixpath.basename(posixpath.dirname(record.path)).encode(),
        needle=bare.encode().lower(),
    )


def _spoken(
    record: FileRecord, content: memoryview, wanted: list[_Words]
) -> Iterator[tuple[FileKey, Evidence]]:
    """Yield the libraries that one file speaks of, each with the evidence."""
    folders = {words.folder for words in wanted if b"." in words.folder and record.native is None}
    named = {folder for folder in folders if _names_folder(content, folder)}
    texts = {
        words.record.key: f"names the folder {words.folder.decode()}"
        for words in wanted
        if words.folder in named
    }
    for words in _heard(content, [words for words in wanted if words.folder not in named]):
        texts[words.record.key] = f"has the word {words.bare!r}"
    file, weak = record.deployed_path, Strength.WEAK
    for key, text in texts.items():
        yield key, Evidence(kind="string", text=text, file=file, strength=weak)


def _heard(content: memoryview, wanted: list[_Words]) -> Iterator[_Words]:
    """Yield those whose bare name is a word of a file, in whatever case.

    A few megabytes at a time are put into small letters, which is much faster than to search each
    name in whatever case.
    """
    more = max((len(words.needle) for words in wanted), default=0)
    at = 0
    for piece in pieces_of(content):
        if not wanted:
            return
        after = at + len(piece)
        small = b"".join((piece, content[after : after + more])).lower()
        heard = [words for words in wanted if _has_word(content, at, small, words.needle)]
        yield from heard
        wanted = [words for words in wanted if words not in heard]
        at = after


def _has_word(content: memoryview, at: int, small: bytes, needle: bytes) -> bool:
    """Return whether a piece of a file, which begins ``at`` a place, has a word."""
    start = small.find(needle)
    while start >= 0:
        if _is_word(content, at + start, at + start + len(needle)):
            return True
        start = small.find(needle, start + 1)
    return False


def _names_folder(content: memoryview, folder: bytes) -> bool:
    """Return whether a text has the folder's name, or only its ending as a part of a path."""
    data = bytes(content)
    ending = b"." + folder.rpartition(b".")[2]
    if any(mark + ending + slash in data for mark in _OPEN for slash in (b"/", b"\\")):
        return True
    return folder in data or any(
        mark + ending + mark in data or ending + mark in data for mark in (b'"', b"'")
    )


def _is_word(content: memoryview, start: int, end: int) -> bool:
    """Return whether no letter or digit goes on at either end, but for a ``lib`` before it."""
    before = bytes(content[max(0, start - 3) : start])
    if before.lower() == b"lib":
        before = bytes(content[max(0, start - 4) : start - 3])
    after = bytes(content[end : end + 1])
    return not (before[-1:].isalnum() or after.isalnum())


def _is_list(path: str) -> bool:
    folder, name = posixpath.split(path)
    return (folder.endswith(".dist-info") and name in _LISTS) or ".dist-info/sboms/" in path
