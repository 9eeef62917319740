"""Families: constant starts of module names of which code computes the rest when it runs.

``import_module(f"mlx_lm.models.{kind}")`` names no module, and may mean any in ``mlx_lm.models``.
Only files that import by a call are looked at; in those every such string counts, since most go
through a variable first. The rest of a name may have any number of components, unless
:mod:`slim.analysis.computed_names` knows that it is one. Where the file lists all names itself
(:mod:`slim.analysis.listed_names`), those are meant, and nothing else.

Source: the Python documentation of ``importlib.import_module`` and ``__import__``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from slim.analysis import ReadFile
from slim.analysis.computed_names import asked_names, own_name, single_names
from slim.analysis.imports.modules import SOURCE_SUFFIXES, Module, ModuleIndex, dotted
from slim.analysis.imports.names import last_name
from slim.analysis.listed_names import listed_names
from slim.analysis.readings import Readings
from slim.analysis.remembering import Form
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.system.syntax import parsed, walk

_CALLS = frozenset({"import_module", "__import__", "run_module", "find_spec", "load_module"})
_CALL = re.compile(rb"\b(?:import_module|__import__|run_module|find_spec|load_module)\b")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\.\Z")
_TAIL = re.compile(r"(?:\.[^\W\d]\w*)*\.\Z")
_HOLE = re.compile(r"%s|%\(\w+\)s|\{\w*\}")
_LARGEST = 1 << 21
"""Bytes of the largest source that is parsed."""


class Start(NamedTuple):
    """A computed name, as far as a file tells it by itself."""

    anchor: str
    """Start before the constant one: ``""`` (nothing), ``__name__`` or ``__package__``."""
    text: str
    """Constant start after that."""
    line: int
    """Line of the file, from 1; 0 where it isn't known."""
    single: bool = False
    """True if exactly one component follows."""
    whole: bool = False
    """True if nothing follows: it is one of the names that the file lists."""
    through: tuple[str, ...] = ()
    """Functions of the file that nobody else may mention, or it lists only some of the names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A place in the code that puts names together which begin like a family, or a listed name."""

    key: FileKey
    place: str
    """``MODULE:LINE``, as traces have it."""
    evidence: Evidence
    single: bool = False
    """True if it means members right below the start alone, and nothing below those."""


Families = Mapping[str, tuple[Opening, ...]]
"""Constant starts, each with a dot at the end, with the places that open them.

Listed names have no dot at the end. A place that lists none that there is has an empty name.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFamily:
    """A start that code which stays puts names together with."""

    evidence: Evidence
    single: bool = False
    """True if all such places mean members right below the start."""
    single_places: frozenset[str] = field(default_factory=frozenset)
    """Places that mean those alone, as ``MODULE:LINE``."""
    places: frozenset[str] = field(default_factory=frozenset)
    """All of them, for a listed name."""


def starts_in(source: bytes) -> tuple[Start, ...]:
    """Return the constant starts of computed names in a file that imports by calls, sorted.

    None for a file that can't be parsed.
    """
    if _CALL.search(source) is None:
        return ()
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: set[Start] = set()
    singles, asked, listed = single_names(tree), set(asked_names(tree)), listed_names(tree)
    for call, (names, through) in listed.items():
        found.update(
            Start(anchor, text, call.lineno, whole=True, through=through)
            for anchor, text in names or {("", "")}
        )
        if not through:
            asked.update(walk(call.args[0]), (call,))
    nodes = [node for node in walk(tree) if node not in asked]
    tails = sorted({tail for node in nodes if (tail := _tail(node))})
    for node in nodes:
        if isinstance(node, ast.Call) and last_name(node.func) in _CALLS and node.args:
            direct = "" if node.args[0] in asked else _tail(node.args[0])
            # A name that was put together elsewhere: any such text of the file may be meant.
            indirect = tails if _takes_relative(node) else []
            for text in [direct] if direct else indirect:
                single = bool(direct) and node.args[0] in singles
                found.update(_relative(node, text, single=single))
        start = _computed(node)
        if start is not None:
            found.add(Start(*start, getattr(node, "lineno", 0), node in singles))
    return tuple(sorted(found))


def _takes_relative(call: ast.Call) -> bool:
    """Return whether a call imports a variable's name, which may be relative to a package."""
    named = isinstance(call.args[0], ast.Name | ast.Attribute)
    package = len(call.args) > 1 or any(keyword.arg == "package" for keyword in call.keywords)
    return named and package and last_name(call.func) == "import_module"


def _tail(node: ast.AST) -> str:
    """Return the start of a computed relative name, such as ``.sub.``; empty for all else."""
    text = _whole_parts(_constant_start(node) or "") if isinstance(node, ast.expr) else ""
    return text if _TAIL.match(text) else ""


def _relative(call: ast.Call, text: str, *, single: bool) -> Iterator[Start]:
    """Yield the starts of ``import_module("." + name, package)``; of an unknown package, both."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    package = call.args[1] if len(call.args) > 1 else keywords.get("package")
    match package:
        case ast.Constant(value=str(name)):
            yield Start("", f"{name}{text}", call.lineno, single)
        case _:
            anchor = "__package__" if package is None else own_name(package) or "__package__"
            yield Start(anchor, text, call.lineno, single)


def _constant_start(node: ast.expr) -> str | None:
    """Return the constant that a computed string starts with; None where it starts otherwise."""
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), ast.FormattedValue(), *_]):
            return str(text)
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Add()):
            return str(text)
        case ast.BinOp(left=ast.BinOp() as left, op=ast.Add()):
            return _constant_start(left)
        case (
            ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod())
            | ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format"))
        ):
            hole = _HOLE.search(text)
            return text[: hole.start()] if hole else None
    return None


def _computed(node: ast.AST) -> tuple[str, str] | None:
    """Return what a computed name starts from, and its constant start."""
    if not isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call):
        return None
    text = _constant_start(node)
    if text is not None:
        start = _whole_parts(text)
        return ("", start) if _DOTTED.match(start) else None
    match node:
        case (
            ast.JoinedStr(
                values=[
                    ast.FormattedValue(value=first),
                    ast.Constant(value=str(text)),
                    ast.FormattedValue(),
                    *_,
                ]
            )
            | ast.BinOp(
                left=ast.BinOp(left=first, op=ast.Add(), right=ast.Constant(value=str(text))),
                op=ast.Add(),
            )
        ) if _TAIL.match(_whole_parts(text)):
            anchor = own_name(first)
            return (anchor, _whole_parts(text)) if anchor else None
    return None


def _whole_parts(text: str) -> str:
    """Return a start without what it has of the last component: ``a.b.`` of ``a.b._``."""
    head, dot, rest = text.rpartition(".")
    return f"{head}{dot}" if not rest or rest.isidentifier() else text


def static_families(
    inventory: Inventory, index: ModuleIndex, read: ReadFile, readings: Readings
) -> Families:
    """Return the starts that are packages of the stack, by name with a dot, with their places."""
    found: dict[str, list[Opening]] = {}
    sources = [
        record
        for record in inventory
        if record.path.endswith(SOURCE_SUFFIXES)
        and record.type is EntryType.FILE
        and record.size <= _LARGEST
    ]
    for record in sources:
        starts = readings.of_record(_STARTS, record, partial(_starts_of, record, read))
        private = {name for start in starts for name in start.through}
        shared: set[str] = set()
        if private:
            package = _top_folder(record, index)
            shared = _mentioned(private, record, package, sources, read)
        for start in starts:
            if not shared.isdisjoint(start.through):
                continue
            for module in index.modules.get(record.key, ()):
                prefix = _resolved(start, module)
                known = prefix.removesuffix(".").replace(".", "/") in index.known
                if known or start.whole:
                    name = prefix if known else ""
                    found.setdefault(name, []).append(_opening(record, module, start, prefix))
    return {prefix: tuple(places) for prefix, places in sorted(found.items())}


def _mentioned(
    names: Collection[str],
    record: FileRecord,
    folder: str,
    sources: Iterable[FileRecord],
    read: ReadFile,
) -> set[str]:
    """Return those of a file's names that another one in a folder of its layer has in its text."""
    words = re.compile(rb"\b(?:%s)\b" % b"|".join(name.encode() for name in sorted(names)))
    return {
        word.decode()
        for other in sources
        if other.layer == record.layer and other.key != record.key and other.path.startswith(folder)
        for word in words.findall(bytes(read(other)))
    }


def _top_folder(record: FileRecord, index: ModuleIndex) -> str:
    """Return the folder of a file's outermost package, or the import root of a single module."""
    root = next(
        (f"{root}/" for root in index.roots[record.layer] if record.path.startswith(f"{root}/")), ""
    )
    top, inner, _ = record.path[len(root) :].partition("/")
    return f"{root}{top}/" if inner else root


def _opening(record: FileRecord, module: Module, start: Start, prefix: str) -> Opening:
    more = " and have one component more" if start.single else ""
    text = f"it puts together names that start with {prefix}{more}"
    if start.whole:
        text = f"it imports what it is asked for, of names that it lists; {prefix} is one"
    return Opening(
        key=record.key,
        place=f"{dotted(module.name)}:{start.line}",
        evidence=Evidence(
            kind="family", text=text, file=record.deployed_path, line=start.line or None
        ),
        single=start.single,
    )


def open_families(families: Families, gone: Collection[FileKey]) -> Mapping[str, OpenFamily]:
    """Return the starts that a file which stays puts together, each with the widest such place."""
    found: dict[str, OpenFamily] = {}
    for prefix, openings in families.items():
        staying = [opening for opening in openings if opening.key not in gone]
        if staying:
            widest = min(staying, key=lambda opening: opening.single)
            found[prefix] = OpenFamily(
                evidence=widest.evidence,
                single=widest.single,
                single_places=frozenset(
                    opening.place for opening in staying if opening.single
                ).difference(opening.place for opening in staying if not opening.single),
                places=frozenset(opening.place for opening in staying),
            )
    return found


def _starts_of(record: FileRecord, read: ReadFile) -> tuple[Start, ...]:
    return starts_in(bytes(read(record)))


def _resolved(start: Start, module: Module) -> str:
    if not start.anchor:
        return start.text
    base = module.name if start.anchor == "__name__" else module.container
    return f"{dotted(base)}{start.text}"


def _stored_starts(stored: object) -> tuple[Start, ...]:
    if not isinstance(stored, list):
        raise TypeError("no list of starts")
    return tuple(
        Start(str(anchor), str(text), int(line), bool(single), bool(whole), tuple(through))
        for anchor, text, line, single, whole, through in stored
    )


_STARTS: Form[tuple[Start, ...]] = Form("family-starts", lambda starts: starts, _stored_starts)
