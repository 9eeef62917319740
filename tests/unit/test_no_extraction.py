"""No part of slim unpacks an archive with the standard library, or opens one with it to read."""

from __future__ import annotations

import ast
from pathlib import Path

import slim

_FORBIDDEN_CALLS = frozenset({"extract", "extractall", "extractfile", "unpack_archive"})
_FORBIDDEN_MODULES = frozenset({"tarfile", "zipfile", "zipimport", "pickle", "marshal", "shelve"})
# Makes an archive to try slim on, from what is installed here.
_MAKES = "sample"
# Runs in a layer, in the product's own process: unpacks a rest pack of which it knows the SHA-256.
_BRINGS = "payload"
# Judges edited wheels by other code than that which edits them: in memory, within bounds, and only
# those that slim's own reader has found to be plain.
_JUDGES = "embedded_wheels.py"


def _sources() -> list[Path]:
    top = Path(slim.__file__).parent
    return [
        path
        for path in sorted(top.rglob("*.py"))
        if not {_MAKES, _BRINGS} & set(path.relative_to(top).parts)
        and path.relative_to(top).parts != ("verification", _JUDGES)
    ]


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {(node.module or "").partition(".")[0]} if isinstance(node, ast.ImportFrom) else set()


def test_nothing_is_ever_extracted() -> None:
    found = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if _called(node) in _FORBIDDEN_CALLS or _imported(node) & _FORBIDDEN_MODULES:
                found.append(f"{path}:{getattr(node, 'lineno', 0)}")
    assert found == []


def test_the_search_finds_what_it_looks_for() -> None:
    tree = ast.parse("import tarfile\ntarfile.open(x).extractall()\nfrom zipfile import ZipFile")
    assert {_called(node) for node in ast.walk(tree)} & _FORBIDDEN_CALLS == {"extractall"}
    assert set().union(*map(_imported, ast.walk(tree))) == {"tarfile", "zipfile"}
