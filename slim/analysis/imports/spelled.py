"""Names in code that come to text when it runs, as far as one of them may be ``tests``.

Members of enumerations (``kind.name``), of classes and data classes (``vars``, ``fields``), names
of classes and functions (``__name__``), and arguments that become keys (``dict(tests=1)``).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from slim.analysis.imports.bare_names import called_name
from slim.analysis.vocabulary import vocabulary
from slim.system.syntax import walk

_WORD = "tests"
_NEAR = 200
_FORMS = (b"tests", b"Tests", b"TESTS")
_WORDS = re.compile(rb"(?<![\w.])(?:tests|Tests|TESTS)(?!\w)")
_DEFINES = re.compile(rb"\b(?:class|def)[ \t]+\Z|\b(?:Literal\[|\w*(?:Enum|Flag|tuple)\()[^\])]*\Z")
_GIVEN = re.compile(rb"[ \t]*(?:=(?!=)|(:))")
"""What stands before the word or behind it where it is a name of that sort."""
NAMING = frozenset(
    {
        *("name", "_name_", "__name__", "__qualname__", "__members__", "__dict__", "_fields"),
        *("__annotations__", "co_name", "vars", "fields", "asdict", "locals", "items"),
        *("get_args", "get_type_hints"),
    }
)
"""Attributes and functions that give names of things as text."""
SPELLING = frozenset({ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Call, ast.Subscript})
"""Types of the nodes that may spell the word."""
_MAKERS = ("Enum", "Flag", "namedtuple", "NamedTuple", "make_dataclass", "TypedDict")


def may_spell_tests(source: bytes) -> bool:
    """Return whether a name in a file may be the word, and come to text when the code runs."""
    known = vocabulary(source)
    return any(map(known.__contains__, _FORMS)) and any(
        _is_name(source, match) for match in _WORDS.finditer(source)
    )


def _is_name(source: bytes, match: re.Match[bytes]) -> bool:
    """Return whether a word in a file may be the name of something that code asks for."""
    before = source[source.rfind(b"\n", 0, match.start()) + 1 : match.start()]
    given = _GIVEN.match(source, match.end())
    if given is not None and (given[1] is None or not before.strip()):
        return True
    return _DEFINES.search(before[-_NEAR:]) is not None


def makes_text(node: ast.AST) -> bool:
    """Return whether code makes text of a name."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in NAMING
        case ast.ClassDef(bases=bases):  # of StrEnum, members are text
            return any(called_name(base) == "StrEnum" for base in bases)
        case ast.FunctionDef(name=name):
            return name == "__getattr__"
    return False


def is_table(node: ast.AST) -> bool:
    """Return whether the names in an expression are there to be asked for."""
    match node:
        case ast.ClassDef(bases=bases):
            return any(called_name(base).endswith(("Enum", "Flag")) for base in bases)
        case ast.Call(func=function):
            return called_name(function) == "dict"
    return False


def spelled_in(nodes: Iterable[ast.AST]) -> list[ast.AST]:
    """Return the nodes in which the word is a name that comes to text when the code runs.

    A keyword comes to none where the file's own function of that name has a parameter for it
    (``def search(prop, tests=None)``).
    """
    found: list[ast.AST] = []
    taken: set[str] = set()
    for node in nodes:
        if type(node) in SPELLING:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _takes(node):
                taken.add(node.name)
            if _spells_tests(node):
                found.append(node)
    return [
        node
        for node in found
        if not (isinstance(node, ast.Call) and called_name(node.func) in taken)
    ]


def _takes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = function.args
    named = (*given.posonlyargs, *given.args, *given.kwonlyargs)
    return any(each.arg.lower() == _WORD for each in named)


def _spells_tests(node: ast.AST) -> bool:
    """Return whether the word is a name here that comes to text when the code runs."""
    named: Iterable[str | None] = ()
    match node:
        case ast.ClassDef(name=name, body=body):
            members = (getattr(each, "targets", [getattr(each, "target", None)]) for each in body)
            named = (name, *(getattr(each, "id", "") for targets in members for each in targets))
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            named = (name,)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            named = [item.arg for item in keywords]
            if called_name(function).endswith(_MAKERS):
                named += [word for each in arguments[1:] for word in _words_of(each)]
        case ast.Subscript(value=value, slice=given) if called_name(value) == "Literal":
            named = _words_of(given)
    return any(name is not None and name.lower() == _WORD for name in named)


def _words_of(node: ast.expr) -> list[str]:
    """The words of the texts in an expression."""
    texts = (each.value for each in walk(node) if isinstance(each, ast.Constant))
    return [word for text in texts for word in re.split(r"[\s,]+", str(text))]
