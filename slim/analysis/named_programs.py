"""Programs of the runtime that Python code starts, by the strings that name them.

A name such as ``pydoc3`` means the program wherever it stands. A name of letters alone is a word as
well: connections are ``idle``, too, not only the editor that comes with Python. It means the
program where the code starts programs, or where what it stands in is called after one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from slim.analysis import ReadFile
from slim.analysis.code_strings import MAX_SOURCE, program_of
from slim.analysis.readings import Readings
from slim.analysis.remembering import texts_or_none
from slim.model.record import FileRecord
from slim.system.syntax import parsed, walk

_STARTS = re.compile(
    r"subprocess|popen[234]?|posix_spawnp?|p?spawn[vl]?p?e?|exec[vl]p?e?|start_?file|qprocess"
    r"|get(?:status)?output|check_(?:call|output)|create_subprocess_\w+|which|pexpect|plumbum|sh",
    re.I,
)
"""Names of functions, classes and modules that start programs, or that find them."""
_SPEAKS = re.compile(
    r"editor|program|command|cmd|argv|executable|exe\b|launch|shell|terminal|viewer|binary"
    r"|(?:^|_)(?:tools?|apps?|application|ide|run|start|exec|execute|open|call|spawn)(?:_|$)",
    re.I,
)
"""Words in the names of what holds a program, or of what is called with one."""

_MEANT = texts_or_none("programs")


class NamedPrograms:
    """A judge of strings in Python files that are called as a program is."""

    def __init__(self, read: ReadFile, readings: Readings) -> None:
        self._read = read
        self._readings = readings

    def means(self, record: FileRecord, name: str) -> bool:
        """Return whether a string of a Python file that is a program's name may mean it."""
        if not name.isalpha() or record.size > MAX_SOURCE:
            return True
        named = self._readings.of_record(_MEANT, record, lambda: self._named_in(record))
        return named is None or name in named

    def _named_in(self, record: FileRecord) -> tuple[str, ...] | None:
        return programs_named_in(bytes(self._read(record)))


def programs_named_in(source: bytes) -> tuple[str, ...] | None:
    """Return the strings of Python code that may name programs, sorted.

    Where the code starts programs, every string may, but for the names that it exports; None where
    it can't be parsed.
    """
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes = list(walk(tree))
    if any(map(_starts, nodes)):
        held = (value for node in nodes for name, value in _held(node) if name == "__all__")
        exported = {id(each) for value in held for each in ast.walk(value)}
        places = (node for node in nodes if id(node) not in exported)
        found = (text for node in places for text in _text_of(node))
    else:
        speaking = (value for node in nodes for name, value in _held(node) if _SPEAKS.search(name))
        found = (text for value in speaking for node in ast.walk(value) for text in _text_of(node))
    return tuple(sorted(set(found)))


def _starts(node: ast.AST) -> bool:
    """Return whether code starts programs at one place."""
    return any(_STARTS.fullmatch(name) for name in _names(node)) or _is_system(node)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that code uses at one place."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.ImportFrom | ast.Import):
        yield from (part for name in node.names for part in name.name.split("."))
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from node.module.split(".")


def _is_system(node: ast.AST) -> bool:
    """Return whether it is ``os.system``, by whatever name of ``os``, and not ``platform``'s."""
    if isinstance(node, ast.Attribute) and node.attr == "system":
        return not (isinstance(node.value, ast.Name) and node.value.id == "platform")
    return (
        isinstance(node, ast.ImportFrom)
        and node.module in ("os", "posix", "nt")
        and any(name.name in ("system", "*") for name in node.names)
    )


def _held(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield values that stand at one place of the code, each with the name of what holds it."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield _name_of(target), node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign) and node.value:
        yield _name_of(node.target), node.value
    elif isinstance(node, ast.keyword):
        yield node.arg or "", node.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            yield _name_of(key), value
    elif isinstance(node, ast.Call):
        for value in node.args:
            yield _name_of(node.func), value
    elif isinstance(node, ast.arguments):
        plain = [*node.posonlyargs, *node.args]
        first = len(plain) - len(node.defaults)
        for name, default in zip(plain[first:], node.defaults, strict=True):
            yield name.arg, default
        for name, given in zip(node.kwonlyargs, node.kw_defaults, strict=True):
            if given is not None:
                yield name.arg, given


def _name_of(node: ast.expr | None) -> str:
    """Return the last name by which code calls something; of a subscript its key."""
    if isinstance(node, ast.Subscript):
        return _name_of(node.slice) or _name_of(node.value)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return next(_names(node), "") if node is not None else ""


def _text_of(node: ast.AST) -> tuple[str, ...]:
    """Return a string with the program that it may start; nothing for any other expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value, program_of(node.value))
    return ()
