"""The house's rules about words and shapes, held by a test for each room.

Rooms: the folders of ``slim/``. What a docstring may begin with, how long lines and modules are,
and which words are no longer used, are conventions of docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import slim

TOP = Path(slim.__file__).parent
ROOMS = ("", *sorted(path.parent.name for path in TOP.glob("*/__init__.py")))
HALF_SENTENCE = re.compile(
    r"(What|Whatever|Where|Whether|How|Who|Whose|Why|When|Which|That|Everything|Anything|Nothing"
    r"|Somebody|Nobody|Anybody|Because|Since|As|If)\b"
)
RETIRED = re.compile(
    r"(?i)(?:^|_)(cabinet|paper|beside|keeping|said|watch|doomed|told|seal|telling)(?:_|$)"
)
LONGEST_LINE = 100
LONGEST_MODULE = 450
LONGEST_FUNCTION = 70
LARGEST_FILE = 400_000
"""Bytes. What is larger was made by a trial or a demo, and committed by mistake."""


def _modules(room: str) -> list[Path]:
    if not room:
        return sorted(TOP.glob("*.py"))
    return sorted((TOP / room).rglob("*.py"))


def _parsed(room: str) -> Iterator[tuple[str, ast.Module, str]]:
    for path in _modules(room):
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(TOP.parent).as_posix(), ast.parse(text), text


def _documented(tree: ast.Module) -> Iterator[ast.AST]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return (node for node in ast.walk(tree) if isinstance(node, kinds))


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", node.name), node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno


def _nested_conditionals(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.IfExp) and any(
            isinstance(part, ast.IfExp) for part in (node.body, node.orelse, node.test)
        ):
            yield node.lineno


def _problems(room: str) -> Iterator[str]:
    for name, tree, text in _parsed(room):
        for node in _documented(tree):
            words = ast.get_docstring(node) or ""  # type: ignore[arg-type]
            if HALF_SENTENCE.match(words):
                line = getattr(node, "lineno", 1)
                yield f"{name}:{line}: the docstring is a half-sentence: {words.splitlines()[0]}"
        yield from (
            f"{name}:{line}: {word!r} has no place in the glossary"
            for word, line in _names(tree)
            if RETIRED.search(word)
        )
        yield from (
            f"{name}:{line}: a conditional expression within another"
            for line in _nested_conditionals(tree)
        )
        lines = text.splitlines()
        yield from (
            f"{name}:{number}: {len(line)} columns"
            for number, line in enumerate(lines, 1)
            if len(line) > LONGEST_LINE
        )
        if len(lines) > LONGEST_MODULE:
            yield f"{name}: {len(lines)} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    yield f"{name}:{node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("room", [pytest.param(room, id=room or "top") for room in ROOMS])
def test_a_room_keeps_the_conventions(room: str) -> None:
    assert list(_problems(room)) == []


def _undocumented(tree: ast.Module) -> Iterator[str]:
    """Fields of dataclasses that neither the class's docstring nor a string below explains."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or not any(
            "dataclass" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            continue
        words = ast.get_docstring(node) or ""
        for field, below in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            explained = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if not explained and f"``{field.target.id}``" not in words:
                yield f"{node.name}.{field.target.id}"


def test_fields_of_the_model_are_documented() -> None:
    assert [
        f"{name}: {field}" for name, tree, _ in _parsed("model") for field in _undocumented(tree)
    ] == []


def test_nothing_large_lies_in_the_checkout() -> None:
    listing = ["git", "-C", str(TOP.parent), "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no checkout of git")
    files = [TOP.parent / name for name in names.split("\0") if name]
    assert [
        str(file) for file in files if file.is_file() and file.stat().st_size > LARGEST_FILE
    ] == []


def test_no_two_test_modules_have_one_name() -> None:
    """Test modules are no packages: of two with one name, pytest imports one and ends with 2."""
    places: dict[str, list[str]] = {}
    for path in sorted(TOP.parent.glob("tests/**/test_*.py")):
        if not (path.parent / "__init__.py").exists():
            places.setdefault(path.name, []).append(path.relative_to(TOP.parent).as_posix())
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
