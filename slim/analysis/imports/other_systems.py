"""Imports that a layer's own platform never gets to: ``if sys.platform == "win32": import winreg``.

Source: the Python documentation of ``sys.platform``, ``os.name`` and ``platform``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import replace

from slim.analysis import ReadFile
from slim.analysis.code_paths.module import CodeModule
from slim.analysis.imports.modules import SOURCE_SUFFIXES
from slim.model.finding import Evidence, Strength
from slim.model.record import FileKey, FileRecord
from slim.model.stack import Stack
from slim.system.syntax import parsed, walk

_ASKS = re.compile(rb"platform|\bos\.name|\buname|WIN|MAC|OSX|DARWIN|LINUX|\bNT\b")
"""Words by which code asks for its platform."""
_LARGEST = 1 << 21
"""Bytes of the largest source that is parsed."""


class OtherSystems:
    """Lines of files at which imports stand that the file's layer never runs."""

    def __init__(self, stack: Stack, read: ReadFile) -> None:
        self._stack = stack
        self._read = read
        self._dead: dict[FileKey, frozenset[int]] = {}

    def only(self, importer: FileRecord, evidence: Evidence) -> Evidence | None:
        """Return evidence of an import with a note if other systems run it alone; None if not."""
        if (
            evidence.kind != "import"
            or evidence.line is None
            or not importer.path.endswith(SOURCE_SUFFIXES)
            or importer.size > _LARGEST
        ):
            return None
        if importer.key not in self._dead:
            self._dead[importer.key] = self._dead_lines(importer)
        if evidence.line not in self._dead[importer.key]:
            return None
        text = f"{evidence.text}; on other systems only"
        return replace(evidence, text=text, strength=Strength.WEAK)

    def _dead_lines(self, record: FileRecord) -> frozenset[int]:
        source = bytes(self._read(record))
        if _ASKS.search(source) is None:
            return frozenset()
        try:
            tree = parsed(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return frozenset()
        live = CodeModule(tree, self._stack.layer(record.layer).platform).live
        there, run = _import_lines(walk(tree)), _import_lines(live)
        return frozenset(there - run)


def _import_lines(nodes: Iterable[ast.AST]) -> set[int]:
    """Return the lines at which some nodes import by a statement."""
    return {node.lineno for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)}
