"""Tests that code runs as a runner finds them: ``discover(HERE)``, ``pytest.main([HERE])``.

A product may test itself on a user's machine. Which packages it looks through is told by the call:
by a place in it, by a name, or by the folder that a program is started in.

Sources: the documentation of ``unittest`` ("Test Discovery") and pytest ("Calling pytest from
Python code").
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from slim.analysis.imports.anchors import OWN, anchor
from slim.analysis.imports.bare_names import called_name
from slim.system.syntax import walk

RUNS_TESTS = re.compile(
    rb"discover\s*\(|pytest\.main\s*\(|[\"'](?:--pyargs|discover|pytest|py\.test)[\"']"
)
"""What stands in code that runs tests so."""
_STARTED = re.compile(rb"-m[ \t]*(?:unittest[ \t]+discover|pytest|py\.test)\b([^\n]*)")
_NAMES = re.compile(rb"[A-Za-z_]\w*")
_RUNNERS = frozenset({"discover", "pytest", "py.test", "--pyargs"})


def runs_of_tests(
    nodes: Sequence[ast.AST], places: frozenset[str]
) -> Iterator[tuple[int, bool, tuple[str, ...]]]:
    """Yield each call that has a runner look for tests: where, and through what.

    That is its line, whether it is told a place of the file's own (``places`` are variables that
    hold such), and the modules that it is told.
    """
    own = places | OWN | {"__package__", "__name__"}
    for node in nodes:
        if isinstance(node, ast.Call) and _runs_tests(node):
            inner = list(walk(node))
            names = {child.id for child in inner if isinstance(child, ast.Name)}
            anchors = {name for child in inner if (name := anchor(child))}
            anchors.update(name for child in inner if (name := _name(child)))
            yield node.lineno, not names.isdisjoint(own), tuple(sorted(anchors - _RUNNERS))


def _runs_tests(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(value=ast.Name(id="pytest"), attr="main"):
            return True
        case function if called_name(function) == "discover":
            return True
    given = (*call.args, *(item.value for item in call.keywords))
    return any(
        isinstance(each, ast.Constant) and each.value in _RUNNERS
        for argument in given
        for each in (argument, *getattr(argument, "elts", ()))
    )


def _name(node: ast.AST) -> str:
    """A string that may name a module; empty for anything else."""
    text = node.value if isinstance(node, ast.Constant) else None
    known = isinstance(text, str) and all(map(str.isidentifier, text.split(".")))
    return str(text) if known else ""


def names_started(source: bytes) -> tuple[str, ...]:
    """The names behind ``-m unittest discover`` or ``-m pytest`` in a text: a shell's script."""
    if b"unittest" not in source and b"py" not in source:
        return ()
    found = {
        name.decode() for rest in _STARTED.findall(source) for name in _NAMES.findall(rest[:500])
    }
    return tuple(sorted(found))
