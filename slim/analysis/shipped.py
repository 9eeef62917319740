"""Files that a program hands on, rather than loads: libraries for other computers.

A wheel ships libraries of several systems so that each loads its own; there, those of the other
systems are dead weight. A tool for other computers (an agent, a cross compiler, an installer) ships
them as data: it reads them, copies their folder, or packs them. Code that says where such a file
lies counts as reading it, but where it only leads into a loader (``ctypes.CDLL``), and but for what
runs on another platform than the layer's (``if sys.platform == "win32"``).
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from slim.analysis import ReadFile
from slim.analysis.code_paths.listings import listings_of
from slim.analysis.code_paths.loading import LoadedPaths
from slim.analysis.code_paths.module import OWN, PACKAGE, CodeModule
from slim.analysis.code_paths.places import lists, place_of, resolved
from slim.analysis.code_paths.steps import only_steps
from slim.analysis.code_strings import MAX_SOURCE
from slim.analysis.imports.bare_names import called_name
from slim.analysis.imports.modules import importable_stem
from slim.analysis.imports.path_scan import words
from slim.analysis.imports.text_files import is_prose, may_be_text, may_link
from slim.analysis.list_words import has_list_words
from slim.analysis.named_files import may_name
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileRecord, Inventory, NativeFormat, Owner
from slim.model.stack import Platform, Stack, System
from slim.system.syntax import parsed, walk

_SOURCES = (".py", ".pyw")
_SCRIPTS_OF_NODE = (".js", ".cjs", ".mjs")
_ADDON = ".node"
_NO_PATHS = words(
    "startswith removeprefix removesuffix replace split rsplit partition rpartition strip lstrip "
    "rstrip find rfind index count print warn debug info warning error critical exception log "
    "add_argument getattr hasattr setattr getLogger"
)
_PATTERNS = words("re re2 regex")
"""Modules whose functions take patterns of texts; as globs they would match any name."""
_BUILDERS = words(
    "join joinpath Path PurePath files with_name with_suffix format resource_filename"
)
_AFTER_START = re.compile(rf"\.\.|[{OWN}{PACKAGE}]")
_ELSEWHERE = re.compile(rb"__file__|__path__|files\s*\(|get_data|resource_|open_binary|read_binary")
"""Words by which code finds the folder of another package."""
_LETTERS = re.compile(r"[^*?./\[\]]")
_NAME = re.compile(r"[^\W_]")
"""What a path without a known start has to say: ``f"{a}_{b}"`` may be any text."""
_APPENDED = ".dll"


@dataclass(frozen=True, slots=True)
class _Use:
    """A path in code that may be read: with a known start, or the tail of one."""

    text: str
    line: int
    bare: bool
    """It is one word, which may mean anything; a folder only where it is known whole."""


class ShippedFiles:
    """A search for code that hands on some native files."""

    def __init__(self, stack: Stack, inventory: Inventory, read: ReadFile) -> None:
        self._stack = stack
        self._inventory = inventory
        self._read = read
        self._places: dict[FileKey, tuple[str, ...]] = {}
        """The paths that lead to each file in question."""
        self._addons: frozenset[tuple[str, Owner, str]] = frozenset()
        """Names of Node's add-ons for the system that their layer runs on."""

    def among(
        self, candidates: Iterable[FileRecord], gone: Collection[FileKey]
    ) -> Mapping[FileKey, Evidence]:
        """Return the candidates that code or text which stays may read, each with what shows it."""
        wanted = sorted(candidates, key=lambda record: record.key)
        if not wanted:
            return {}
        owners: dict[tuple[str, Owner], list[FileRecord]] = {}
        for record in wanted:
            owners.setdefault((record.layer, record.owner), []).append(record)
        packages = {place_of(record.path).partition("/")[0] for record in wanted}
        names = re.compile(b"|".join(re.escape(name.encode()) for name in sorted(packages)))
        self._places = {record.key: self._places_of(record) for record in wanted}
        self._addons = frozenset(
            (record.layer, record.owner, posixpath.basename(record.path))
            for record in self._inventory
            if record.path.endswith(_ADDON) and record.key not in self._places
        )
        found: dict[FileKey, Evidence] = {}
        for record in self._inventory:
            if record.key in gone or not record.size or record.type is not EntryType.FILE:
                continue
            own = owners.get((record.layer, record.owner), [])
            nearby = own or place_of(record.path).partition("/")[0] in packages
            if not nearby and not record.path.endswith(_SOURCES):
                continue
            if not self._may_hold(record):
                continue
            content = bytes(self._read(record))
            if nearby or (_ELSEWHERE.search(content) and names.search(content)):
                for key, text, line in self._named(record, content, own, wanted):
                    found.setdefault(key, _evidence(record, text, line))
        self._add_needed(wanted, found)
        return found

    def _may_hold(self, record: FileRecord) -> bool:
        """True for code and text; for compiled modules too, of which only the names can be read."""
        if record.path.endswith(_SOURCES):
            return may_name(record)
        if importable_stem(record.path) is not None:
            return True
        text = record.size <= MAX_SOURCE and record.native is None and not is_prose(record)
        return text and (may_link(record) or may_be_text(record, self._read(record)))

    def _named(
        self,
        record: FileRecord,
        content: bytes,
        own: list[FileRecord],
        every: list[FileRecord],
    ) -> Iterator[tuple[FileKey, str, int]]:
        if not record.path.endswith(_SOURCES):
            script = record.path.endswith(_SCRIPTS_OF_NODE)
            for wanted in own:
                name = posixpath.basename(wanted.path)
                if script and (wanted.layer, wanted.owner, name) in self._addons:
                    continue  # loaded, from the folder for the system that it runs on
                if name.encode() in content:
                    yield wanted.key, f'names "{name}"', 0
            return
        module = _parsed(content, self._stack.layer(record.layer).platform)
        if module is None:
            yield from _unparsed(content, own, every)
            return
        here = place_of(record.path)
        near = [wanted for wanted in every if wanted.layer == record.layer]
        used: set[int] = set()
        for listing in listings_of(module, used):
            for wanted in every if PACKAGE in listing.folder else near:
                if lists(listing, here, place_of(wanted.path)):
                    yield wanted.key, f"{listing.text} takes files of its folder", listing.line

        def is_shared(name: str) -> bool:
            return self._is_used_elsewhere(record, name)

        used |= LoadedPaths(module, is_shared).only
        used.update(id(inner) for step in only_steps(module, is_shared) for inner in walk(step))
        for use in _uses(module, used):
            placed = near if use.text.startswith(OWN) else own
            for wanted in every if PACKAGE in use.text else placed:
                if any(_leads(use, here, place) for place in self._places[wanted.key]):
                    shown = use.text.replace(OWN, "__file__").replace(PACKAGE, "")
                    yield wanted.key, f'has the path "{shown}", and may read it', use.line

    def _places_of(self, record: FileRecord) -> tuple[str, ...]:
        """The paths that lead to a file: Windows puts .dll behind a name without a suffix."""
        place = place_of(record.path)
        if (
            record.native is NativeFormat.PE
            and place.lower().endswith(_APPENDED)
            and self._stack.layer(record.layer).platform.system is System.WINDOWS
        ):
            return place, place[: -len(_APPENDED)]
        return (place,)

    def _is_used_elsewhere(self, record: FileRecord, name: str) -> bool:
        """Return whether another source of the distribution has a name of a module's."""
        words = [re.compile(rf"\b{re.escape(word)}\b".encode()) for word in (name, _stem(record))]
        return any(
            other.key != record.key
            and other.path.endswith(_SOURCES)
            and (other.layer, other.owner) == (record.layer, record.owner)
            and all(word.search(self._read(other)) for word in words)
            for other in self._inventory
        )

    def _add_needed(self, wanted: list[FileRecord], found: dict[FileKey, Evidence]) -> None:
        """Hold what a held file names beside it: it is loaded together with that, elsewhere."""
        waiting = [record for record in wanted if record.key in found]
        while waiting:
            holder = waiting.pop()
            content = bytes(self._read(holder)).lower()
            for record in wanted:
                name = posixpath.basename(record.path).lower().encode()
                if (
                    record.key not in found
                    and (record.layer, record.owner) == (holder.layer, holder.owner)
                    and name in content
                ):
                    found[record.key] = _evidence(holder, "names it, and is read as data", 0)
                    waiting.append(record)


def _unparsed(
    content: bytes, own: list[FileRecord], every: list[FileRecord]
) -> Iterator[tuple[FileKey, str, int]]:
    """The files that code which can't be parsed may hand on."""
    elsewhere = _ELSEWHERE.search(content) is not None
    lists = has_list_words(content)
    for wanted in every if elsewhere else own:
        name = posixpath.basename(wanted.path)
        suffix = posixpath.splitext(name)[1]
        if name.encode() in content or suffix.encode() in content:
            yield wanted.key, f'cannot be parsed, and holds "{suffix}"', 0
        elif lists and (wanted in own or _package_of(wanted).encode() in content):
            yield wanted.key, "cannot be parsed, and may list its folder", 0


def _package_of(record: FileRecord) -> str:
    return place_of(record.path).partition("/")[0]


def _leads(use: _Use, here: str, place: str) -> bool:
    """Return whether a path may lead to a file, or to a folder around it."""
    parts = place.split("/")
    if use.text.startswith((OWN, PACKAGE)):
        whole = resolved(use.text, here)
        tail = [] if whole is None else whole.split("/")
        if not _LETTERS.search(_AFTER_START.split(use.text)[-1]):  # any name in that folder
            return len(tail) == len(parts) and "*" in tail[-1] and _alike(parts, tail)
        return len(tail) <= len(parts) and _alike(parts, tail)
    text = f"*{use.text}" if use.bare and use.text.startswith(".") else use.text
    tail = [part for part in text.split("/") if part not in ("", ".", "..")]
    while tail and tail[0] == "*":
        del tail[0]
    if not any(map(_NAME.search, tail)):
        return False
    if tail[0] == parts[0] and not any(map(_LETTERS.search, tail[1:])):
        # the name of the package alone, or any name in its folder: f"pkg/{version}"
        return len(tail) > 1 and len(tail) == len(parts) and _alike(parts, tail)
    folders = range(len(parts) - len(tail)) if not use.bare or "*" not in text else ()
    return any(_alike(parts[at:], tail) for at in (*folders, len(parts) - len(tail)) if at >= 0)


def _alike(parts: list[str], tail: list[str]) -> bool:
    return all(
        fnmatchcase(part.lower(), pattern.lower())
        for part, pattern in zip(parts, tail, strict=False)
    )


def _uses(module: CodeModule, ignored: set[int]) -> Iterator[_Use]:
    """Every path of a module that its own platform may use, but for expressions ``ignored``."""
    for node in module.live:
        match node:
            case ast.Expr(value=ast.Constant() as value):
                ignored.add(id(value))
            case ast.Compare(left=left, comparators=operands):
                ignored.update(id(inner) for one in (left, *operands) for inner in walk(one))
                yield from _suffix_tests(node)
            case ast.Dict(keys=keys):
                ignored.update(map(id, keys))
            case ast.Call():
                ignored.update(id(inner) for one in _no_paths(node) for inner in walk(one))
            case ast.Raise():
                ignored.update(map(id, walk(node)))
    used: set[int] = set()
    for node in module.live:  # what is around comes before what is in it
        if id(node) in used or id(node) in ignored or not _builds(node):
            continue
        text = module.text(node, used)
        if text.strip("*/"):
            line: int = getattr(node, "lineno", 0)
            yield _Use(text, line, "/" not in text)


def _no_paths(call: ast.Call) -> list[ast.expr]:
    """Return the arguments of a call that are no paths: texts, and the pattern of one."""
    match call.func:
        case ast.Attribute(value=ast.Name(id=name)) if name.strip("_") in _PATTERNS:
            return call.args[:1]
    return call.args if called_name(call.func) in _NO_PATHS else []


def _suffix_tests(node: ast.Compare) -> Iterator[_Use]:
    """``path.suffix == ".dll"``: such files are taken."""
    if isinstance(node.left, ast.Attribute) and node.left.attr == "suffix":
        for inner in walk(node.comparators[0]):
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value:
                yield _Use(f"*{inner.value}", node.lineno, True)


def _stem(record: FileRecord) -> str:
    """The last component of the name that a source is imported under."""
    stem = importable_stem(record.path) or ""
    folder = posixpath.basename(posixpath.dirname(record.path))
    return folder if stem == "__init__" else stem


def _builds(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str()) | ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Div() | ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=function):
            called = called_name(function)
            return called in _BUILDERS or "resource" in called or called.endswith("_data")
    return False


def _parsed(source: bytes, platform: Platform) -> CodeModule | None:
    if len(source) > MAX_SOURCE:
        return None
    try:
        return CodeModule(parsed(source), platform)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _evidence(record: FileRecord, text: str, line: int) -> Evidence:
    return Evidence(
        kind="path",
        text=text,
        file=record.deployed_path,
        line=line or None,
        strength=Strength.WEAK,
    )
