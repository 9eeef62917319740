"""Files that are named by code and text of the same distribution: by name, or by their suffix.

Rules for every package take files that only compilers, editors and package managers read, by their
suffix: stubs, Cython sources, CMake files, lock files. Some programs read their own: templates of
projects, stubs as text for a language model. Such a program says so in a string.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from slim.analysis import ReadFile
from slim.analysis.code_paths.places import place_of
from slim.analysis.code_strings import (
    MAX_SOURCE,
    NEVER_NAMES,
    SETTINGS,
    STRINGS,
    strings_of,
    text_of,
)
from slim.analysis.elsewhere import finds_elsewhere
from slim.analysis.imports.text_paths import COMPRESSED, as_utf8
from slim.analysis.python_code import is_lone_bytecode, is_python_script, strings_in_bytecode
from slim.analysis.readings import Readings
from slim.analysis.remembering import Form
from slim.analysis.shared_docs import SharedDocs, shared_folder, shown_folders
from slim.model.finding import Evidence, Strength
from slim.model.record import (
    UNOWNED,
    EntryType,
    FileKey,
    FileKind,
    FileRecord,
    Inventory,
    Owner,
)
from slim.system.mapped import contains

_SOURCES = (".py", ".pyw")
_NO_TEXTS = (".md", ".rst", ".map", *COMPRESSED)
"""Documents, which talk of files, and what is compressed."""
_SUFFIX_WORDS = frozenset({"pyi", "pyx", "pxd", "pxi"})
"""Suffixes that are no words otherwise, so that they count without their dot, too."""
_PART = re.compile(r"[^\s/\\'\"`,;:()=]+")
_TEXT_PART = re.compile(r"[^\s/\\'\"`,;:()=<>\x00-\x1f\x7f-\x9f\ufffd]+")
_OPEN = re.compile(r"[*{}%?\]]")
_SHARE = re.compile(rb"[\"'/]share[\"'/\\]")
_SHOWN = re.compile(rb"[\"'](?:man|info)[\"' ]")
_SUFFIX = re.compile(r"\.\w+(?:\.(?:in|tp))?\Z")
_LOCKS = frozenset({"yarn.lock", "package-lock.json", "pnpm-lock.yaml"})
_PACKAGE_MANAGER = re.compile(
    r"(?:\A|[;&|(]\s*)(?:npm|npx|yarn|pnpm|bun|jlpm|corepack)(?:\.cmd)?(?:\s|\Z)"
)
_INSTALLS = re.compile(
    r"(?:^|[;&|\"'(`]|\b[A-Z]+[ \t])\s*"
    r"(?:npm|yarn|pnpm|bun|jlpm)(?:\.cmd)?[ \t]+(?:ci|i|install)\b",
    re.MULTILINE,
)
"""A line of a script, or a setting, that installs what a lock file says."""
_SHARED_PATH = re.compile(rb"share[/\\](?:man|doc|info|gtk-doc)[/\\][\w./\\+@-]+")
_PATH_BEFORE = re.compile(rb"[\w./\\+-]*\Z")
_MAX_PATH = 300
_OWN_STUB = re.compile(rb"__file__\s*\+\s*[\"']i[\"']|\{__file__\}i[\"']")
_OTHER_STUB = re.compile(
    rb"(?<!def )\battach_stub\s*\((?!\s*__name__\s*,\s*(?:filename\s*=\s*)?__file__\s*,?\s*\))"
)
"""A call of lazy_loader that reads the stub of another module than the one that it is in."""
_ANY_STUB = re.compile(rb"\+\s*[\"']i[\"']|\}i[\"']")
_PLACES = re.compile(rb"__file__|getfile|getsourcefile|\.origin\b|\.py[\"']")
_MANAGERS = (b"npm", b"npx", b"yarn", b"bun", b"jlpm", b"corepack")


_NAMES_STUBS: Form[bool] = Form("stubs", lambda names: names, bool)


class NamedFiles:
    """A search for what names some files, of whatever owner each is."""

    def __init__(
        self, inventory: Inventory, read: ReadFile, readings: Readings | None = None
    ) -> None:
        self._inventory = inventory
        self._read = read
        self._readings = readings or Readings()

    def _strings_of(self, record: FileRecord, content: bytes) -> tuple[str, ...] | None:
        return self._readings.of_record(STRINGS, record, lambda: strings_of(content))

    def among(
        self, candidates: Iterable[FileRecord], gone: Collection[FileKey]
    ) -> Mapping[FileKey, Evidence]:
        """Return the candidates that code or text which stays names, each with what names it."""
        candidates = tuple(candidates)
        wanted: dict[tuple[str, Owner], _Wanted] = {}
        of_nobody = _Wanted()
        for record in candidates:
            if record.owner == UNOWNED and shared_folder(record.path):
                of_nobody.add(record)
            else:
                wanted.setdefault((record.layer, record.owner), _Wanted()).add(record)
        found: dict[FileKey, Evidence] = {}
        places = _Places(wanted.values())
        shared = SharedDocs(record for record in candidates if shared_folder(record.path))
        for record in self._inventory:
            if record.key in gone or record.type is not EntryType.FILE:
                continue
            own = (record.layer, record.owner)
            for key, text in self._stubs(record, wanted.get(own)):
                found.setdefault(key, _evidence(record, text))
            if not may_name(record):
                continue
            for names in (wanted.get(own), of_nobody):
                for key, text in self._named(record, names) if names else ():
                    found.setdefault(key, _evidence(record, text))
            is_source = record.path.endswith(_SOURCES)
            if is_source or is_lone_bytecode(record) or is_python_script(record, self._read):
                others = {owner: names for owner, names in wanted.items() if owner != own}
                for key, text in self._named_elsewhere(record, others, shared):
                    found.setdefault(key, _evidence(record, text))
            if places and not is_source:
                for key, text in places.named_in(bytes(self._read(record))):
                    found.setdefault(key, _evidence(record, text))
        return found

    def _stubs(self, record: FileRecord, wanted: _Wanted | None) -> Iterator[tuple[FileKey, str]]:
        """Yield the stubs of its own distribution that code reads, however it says which."""
        if wanted is None or not wanted.stubs:
            return
        stubs = wanted.stubs
        if not record.path.endswith(_SOURCES):
            compiled = record.native is not None or record.path.endswith(".pyc")
            if compiled and self._readings.of_record(
                _NAMES_STUBS, record, lambda: contains(self._read(record), b".pyi")
            ):
                yield from ((key, "is compiled code that names stubs") for key in stubs)
            return
        content = self._read(record)
        own = (record.layer, f"{record.path}i")
        if own in wanted and _OWN_STUB.search(content):
            yield own, "reads its own stub"
        elif _OTHER_STUB.search(content) or (_ANY_STUB.search(content) and _PLACES.search(content)):
            yield from ((key, "reads stubs") for key in stubs)

    def _named_elsewhere(
        self,
        record: FileRecord,
        wanted: Mapping[tuple[str, Owner], _Wanted],
        shared: SharedDocs,
    ) -> Iterator[tuple[FileKey, str]]:
        """Yield the files that code names which finds the folder of another's package."""
        content = bytes(self._read(record)) if record.size <= MAX_SOURCE else b""
        if not is_lone_bytecode(record):
            yield from shared.named_in(content, lambda: self._strings_of(record, content) or ())
        compiled = is_lone_bytecode(record)
        if not finds_elsewhere(content, compiled=compiled):
            return
        meant = [
            names
            for names in wanted.values()
            if names.may_occur(content) and any(top in content for top in names.tops)
        ]
        strings: Collection[str] | None = ()
        if meant:
            strings = (
                strings_in_bytecode(content) if compiled else self._strings_of(record, content)
            )
        for text in strings if strings is not None else (text_of(content),):
            for names in meant:
                yield from names.exactly_in(text)

    def _named(self, record: FileRecord, wanted: _Wanted) -> Iterator[tuple[FileKey, str]]:
        content = as_utf8(bytes(self._read(record)))
        yield from wanted.in_shared_path(content)
        is_code = record.path.endswith(_SOURCES)
        if not wanted.may_occur(content, is_code):
            return
        strings: Collection[str] | None = None
        if is_code and len(content) <= MAX_SOURCE:
            strings = self._strings_of(record, content)
        if strings is None:
            strings = (text_of(content) if is_code else content.decode("utf-8", "replace"),)
        for text in strings:
            yield from wanted.in_string(text, is_code, record.path.endswith(SETTINGS))
        if is_code:
            yield from wanted.in_shared_folder(frozenset(strings))
            yield from wanted.shown_by(content, strings)


class _Wanted:
    """Files of one owner, by their names and suffixes."""

    def __init__(self) -> None:
        self._names: dict[str, list[FileKey]] = {}
        self._suffixes: dict[str, list[FileKey]] = {}
        self._shared: dict[str, list[FileKey]] = {}
        self._paths: dict[str, FileKey] = {}
        self._words: set[bytes] = set()
        self._hints: set[bytes] = set()
        self.keys: set[FileKey] = set()
        """The files, but for documentation in ``share``."""
        self.tops: set[bytes] = set()
        """The folders of packages that the files lie in."""

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def __bool__(self) -> bool:
        return bool(self._names or self._shared)

    @property
    def stubs(self) -> list[FileKey]:
        """The type stubs among the files."""
        return self._suffixes.get(".pyi", [])

    def add(self, record: FileRecord) -> None:
        """Look for one more file."""
        name = posixpath.basename(record.path)
        suffix = _suffix(name)
        shared = shared_folder(record.path)
        if shared:
            self._shared.setdefault(shared, []).append(record.key)
            self._paths[record.path] = record.key
            return
        self.keys.add(record.key)
        self.tops.add(place_of(record.path).partition("/")[0].encode())
        self._names.setdefault(name, []).append(record.key)
        if name not in _LOCKS and suffix:
            self._suffixes.setdefault(suffix, []).append(record.key)
            if suffix[1:] in _SUFFIX_WORDS:
                self._words.update(f"{mark}{suffix[1:]}".encode() for mark in "\"'")
        self._hints.add((suffix or name).encode() if name not in _LOCKS else name.encode())

    def may_occur(self, content: bytes, is_code: bool = False) -> bool:
        """True if a file's bytes may name one of the files."""
        return (
            (is_code and any(word in content for word in self._words))
            or any(hint in content for hint in self._hints)
            or (
                bool(self._shared)
                and any(folder.encode() in content for folder in self._shared)
                and (_SHARE.search(content) or _SHOWN.search(content)) is not None
            )
            or (
                not _LOCKS.isdisjoint(self._names)
                and any(manager in content for manager in _MANAGERS)
            )
        )

    def in_string(
        self, text: str, is_code: bool, is_settings: bool
    ) -> Iterator[tuple[FileKey, str]]:
        """Yield the files that a text names, with what names them.

        Code and settings may name all of a suffix.
        """
        yield from self.exactly_in(text)
        whole = f".{text}" if is_code and text in _SUFFIX_WORDS else text
        for part in (_PART if is_code else _TEXT_PART).findall(whole):
            suffix = _suffix(part)
            alone = part in (suffix, f"*{suffix}")
            if (is_code and (alone or _OPEN.search(part))) or (is_settings and alone):
                for key in self._suffixes.get(suffix, ()):
                    yield key, f'names files that end like "{part}"'
        starts = (_PACKAGE_MANAGER if is_code else _INSTALLS).search(text)
        if starts is not None:
            for name in _LOCKS & self._names.keys():
                for key in self._names[name]:
                    yield key, f'starts "{starts[0].strip()}", which reads it'

    def exactly_in(self, text: str) -> Iterator[tuple[FileKey, str]]:
        """Yield the files that a text names by their whole names."""
        for part in _TEXT_PART.findall(text):
            for key in self._names.get(part, ()):
                yield key, f'names "{part}"'

    def in_shared_path(self, content: bytes) -> Iterator[tuple[FileKey, str]]:
        """Yield the files below ``share/man`` and the like of which a text has the whole path."""
        for match in set(_SHARED_PATH.findall(content)) if self._paths else ():
            path = match.decode("utf-8", "replace").replace("\\", "/")
            if path in self._paths:
                yield self._paths[path], f"names {path}"

    def in_shared_folder(self, strings: Collection[str]) -> Iterator[tuple[FileKey, str]]:
        """Yield the files below ``share/man`` and the like, where code has a path to there."""
        parts = {part for text in strings for part in re.split(r"[/\\]", text)}
        if "share" in parts:
            for folder in sorted(self._shared.keys() & parts):
                for key in self._shared[folder]:
                    yield key, f"has a path to share/{folder}"

    def shown_by(self, content: bytes, strings: Iterable[str]) -> Iterator[tuple[FileKey, str]]:
        """Yield the manuals that a program shows which code starts."""
        for folder in shown_folders(content, strings) if self._shared else ():
            for key in self._shared.get(folder, ()):
                yield key, f'starts "{folder}", which shows it'


class _Places:
    """Files by their places below the folders of packages: ``pkg/core.pyi``."""

    def __init__(self, wanted: Iterable[_Wanted]) -> None:
        self._keys = {
            place_of(path): (layer, path) for names in wanted for layer, path in names.keys
        }
        names = (posixpath.basename(place) for place in self._keys if "/" in place)
        self._suffixes = sorted({_suffix(name).encode() for name in names} - {b""})
        ends = b"|".join(map(re.escape, self._suffixes))
        self._path = re.compile(rb"[/\\][\w.+-]+(?:" + ends + rb")(?![\w.])")

    def __bool__(self) -> bool:
        return bool(self._suffixes)

    def named_in(self, content: bytes) -> Iterator[tuple[FileKey, str]]:
        """Yield the files that a script or a setting of anybody names by their whole places."""
        if not any(suffix in content for suffix in self._suffixes):
            return
        for match in self._path.finditer(content):
            before = _PATH_BEFORE.search(content[max(0, match.start() - _MAX_PATH) : match.start()])
            text = ((before[0] if before else b"") + match[0]).decode("utf-8", "replace")
            parts = text.replace("\\", "/").split("/")
            for at in range(len(parts) - 1):
                place = "/".join(parts[at:])
                if place in self._keys:
                    yield self._keys[place], f"names {place}"


def _evidence(record: FileRecord, text: str) -> Evidence:
    return Evidence(kind="path", text=text, file=record.deployed_path, strength=Strength.WEAK)


def _suffix(name: str) -> str:
    match = _SUFFIX.search(name)
    return "" if match is None else match[0]


def may_name(record: FileRecord) -> bool:
    """True for code, and for text that configures."""
    if record.type is not EntryType.FILE or not record.size or record.native is not None:
        return False
    if record.path.endswith(_SOURCES):
        return record.kind is not FileKind.TESTS
    if posixpath.dirname(record.path) in ("bin", "Scripts"):
        return True
    if record.kind is FileKind.BYTECODE and "__pycache__" in record.path:
        return False
    return (
        record.size <= MAX_SOURCE
        and record.kind not in NEVER_NAMES
        and not record.path.lower().endswith(_NO_TEXTS)
    )
