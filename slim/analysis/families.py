"""Families: constant starts of module names of which code computes the rest when it runs.

``import_module(f"mlx_lm.models.{kind}")`` names no module, and may mean any in ``mlx_lm.models``.
Only files that import by a call are looked at; in those every such string counts, since most go
through a variable first.

Source: the Python documentation of ``importlib.import_module`` and ``__import__``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from functools import partial

from slim.analysis import ReadFile
from slim.analysis.imports.modules import SOURCE_SUFFIXES, Module, ModuleIndex, dotted
from slim.analysis.readings import Readings
from slim.analysis.remembering import Form
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.system.syntax import parsed

_CALLS = frozenset({"import_module", "__import__", "run_module", "find_spec", "load_module"})
_CALL = re.compile(rb"\b(?:import_module|__import__|run_module|find_spec|load_module)\b")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\.\Z")
_TAIL = re.compile(r"(?:\.[^\W\d]\w*)*\.\Z")
_HOLE = re.compile(r"%s|%\(\w+\)s|\{\w*\}")
_LARGEST = 1 << 21
"""Bytes of the largest source that is parsed."""

Families = Mapping[str, tuple[tuple[FileKey, Evidence], ...]]
"""Constant starts with the files that put such names together, and the places there."""

Start = tuple[str, str, int]
"""What a name starts from, its constant start after that, and the line (from 1).

What it starts from is ``""`` (nothing), ``__name__`` or ``__package__``.
"""


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
    nodes = list(ast.walk(tree))
    tails = sorted({tail for node in nodes if (tail := _tail(node))})
    for node in nodes:
        if isinstance(node, ast.Call) and _called(node.func) in _CALLS and node.args:
            direct = _tail(node.args[0])
            # A name that was put together elsewhere: any such text of the file may be meant.
            through = tails if _takes_relative(node) else []
            for text in [direct] if direct else through:
                found.update(_relative(node, text))
        start = _computed(node)
        if start is not None:
            found.add((*start, getattr(node, "lineno", 0)))
    return tuple(sorted(found))


def _called(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _takes_relative(call: ast.Call) -> bool:
    """Return whether a call imports a variable's name, which may be relative to a package."""
    named = isinstance(call.args[0], ast.Name | ast.Attribute)
    package = len(call.args) > 1 or any(keyword.arg == "package" for keyword in call.keywords)
    return named and package and _called(call.func) == "import_module"


def _tail(node: ast.AST) -> str:
    """Return the start of a computed relative name, such as ``.sub.``; empty for all else."""
    text = _whole_parts(_constant_start(node) or "") if isinstance(node, ast.expr) else ""
    return text if _TAIL.match(text) else ""


def _relative(call: ast.Call, text: str) -> Iterator[Start]:
    """Yield the starts of ``import_module("." + name, package)``; of an unknown package, both."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    package = call.args[1] if len(call.args) > 1 else keywords.get("package")
    match package:
        case ast.Constant(value=str(name)):
            yield "", f"{name}{text}", call.lineno
        case ast.Name(id="__name__" | "__package__" as anchor):
            yield str(anchor), text, call.lineno
        case _:
            yield "__package__", text, call.lineno


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
                    ast.FormattedValue(value=ast.Name(id="__name__" | "__package__" as anchor)),
                    ast.Constant(value=str(text)),
                    ast.FormattedValue(),
                    *_,
                ]
            )
            | ast.BinOp(
                left=ast.BinOp(
                    left=ast.Name(id="__name__" | "__package__" as anchor),
                    op=ast.Add(),
                    right=ast.Constant(value=str(text)),
                ),
                op=ast.Add(),
            )
        ) if _TAIL.match(_whole_parts(text)):
            return str(anchor), _whole_parts(text)
    return None


def _whole_parts(text: str) -> str:
    """Return a start without what it has of the last component: ``a.b.`` of ``a.b._``."""
    head, dot, rest = text.rpartition(".")
    return f"{head}{dot}" if not rest or rest.isidentifier() else text


def static_families(
    inventory: Inventory, index: ModuleIndex, read: ReadFile, readings: Readings
) -> Families:
    """Return the starts that are packages of the stack, by name with a dot, with their places."""
    found: dict[str, list[tuple[FileKey, Evidence]]] = {}
    for record in inventory:
        if (
            not record.path.endswith(SOURCE_SUFFIXES)
            or record.type is not EntryType.FILE
            or record.size > _LARGEST
        ):
            continue
        starts = readings.of_record(_STARTS, record, partial(_starts_of, record, read))
        for anchor, text, line in starts:
            for module in index.modules.get(record.key, ()):
                prefix = _resolved(anchor, text, module)
                if prefix[:-1].replace(".", "/") not in index.known:
                    continue
                evidence = Evidence(
                    kind="family",
                    text=f"it puts together names that start with {prefix}",
                    file=record.deployed_path,
                    line=line or None,
                )
                found.setdefault(prefix, []).append((record.key, evidence))
    return {prefix: tuple(places) for prefix, places in sorted(found.items())}


def open_families(families: Families, gone: Collection[FileKey]) -> Mapping[str, Evidence]:
    """Return the starts that a file which stays puts together, each with the first such place."""
    found: dict[str, Evidence] = {}
    for prefix, places in families.items():
        for key, evidence in places:
            if key not in gone:
                found.setdefault(prefix, evidence)
    return found


def _starts_of(record: FileRecord, read: ReadFile) -> tuple[Start, ...]:
    return starts_in(bytes(read(record)))


def _resolved(anchor: str, text: str, module: Module) -> str:
    if not anchor:
        return text
    base = module.name if anchor == "__name__" else module.container
    return f"{dotted(base)}{text}"


def _stored_starts(stored: object) -> tuple[Start, ...]:
    if not isinstance(stored, list):
        raise TypeError("no list of starts")
    return tuple((str(anchor), str(text), int(line)) for anchor, text, line in stored)


_STARTS: Form[tuple[Start, ...]] = Form("family-starts", lambda starts: starts, _stored_starts)
