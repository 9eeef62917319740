"""One Python file's imports, as a scan of it gives them: with a parser or line by line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from slim.analysis.imports.path_scan import TESTS_FOLDER, PathUse
from slim.model.finding import Strength

NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*\Z")
"""An identifier, or several with dots between."""
BOM = b"\xef\xbb\xbf"

ANY_PACKAGE = "*"
"""Anchor of a name whose package only running tells."""


class StringName(NamedTuple):
    """A dotted name within a longer string. ``open`` says that a dot follows, so more may come.

    One that ends with a star only begins so: ``pkg.test_*``.
    """

    name: str
    line: int
    open: bool


class UnresolvedCall(NamedTuple):
    """A call that may mean any module of a package; with ``whole`` its tests as well.

    With ``reads`` it may mean any file; with ``first`` only what lies below that name, in whichever
    package: ``files(package) / "etc"``.
    """

    text: str
    line: int
    whole: bool
    reads: bool = False
    first: str = ""

    def may_mean(self, inner: str) -> bool:
        """Return whether a file may be meant; ``inner`` is its path below the caller's folder."""
        if self.first and f"/{self.first}/" not in f"{inner}/":
            return False
        return self.whole or f"/{TESTS_FOLDER}/" not in inner


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import. ``level`` counts leading dots; ``names`` are those after ``from ... import``.

    ``anchor`` says what a relative name of ``import_module`` is relative to: ``None`` is the
    package that the file lies in (as for a statement), ``__name__`` the module itself,
    :data:`ANY_PACKAGE` one that only running tells, anything else the package of that name.
    ``kind`` is ``import``, or ``string`` for a module that is only named in a string; ``note``
    explains the strength. ``runs`` says that the module is run as a
    program, so its ``__main__`` counts too; ``whole`` that anything in it may be meant.
    """

    module: str
    line: int
    text: str
    level: int = 0
    names: tuple[str, ...] = ()
    anchor: str | None = None
    strength: Strength = Strength.STRONG
    kind: str = "import"
    note: str = ""
    runs: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The modules that a file imports or names.

    ``imports`` in order of lines. ``strings`` are dotted names that stand alone in a string
    literal; ``listed`` the names in lists, tuples, sets and dictionaries at module level (what lazy
    loaders are fed with); ``exported`` the literal part of ``__all__``; ``bound`` the names that
    the module's own top level binds to something that is not its submodule. ``named`` are dotted
    names within longer strings; ``opened`` are the last components of packages of which members are
    listed or read; ``paths`` those that name tests or start at the file. ``unresolved`` are calls
    that import or list what only running tells. ``problem``
    says why the file was read without a parser, empty where it was parsed.
    """

    imports: tuple[Import, ...]
    strings: tuple[tuple[str, int], ...] = ()
    listed: tuple[tuple[str, int], ...] = ()
    exported: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    named: tuple[StringName, ...] = ()
    opened: frozenset[str] = frozenset()
    paths: tuple[PathUse, ...] = ()
    unresolved: tuple[UnresolvedCall, ...] = ()
    problem: str = ""
