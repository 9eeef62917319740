"""What the text of a Python file tells about its imports without parsing it.

:func:`look` finds a superset of the words that the exact answer
(:func:`slim.analysis.imports.ast_scan.scan`) can be made of: a file whose words have nothing to do
with the modules in question need not be parsed. :func:`scan_lines` stands in for the parser where a
file is not valid for the running interpreter. All are pure functions of the file's bytes.

Sources: the Python language reference ("Lexical analysis", "The import statement"), PEP 263
(encodings).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from slim.model.finding import Strength

MAX_LINE = 4096
"""Bytes looked at before the word ``import`` on one line; a file with longer lines than that is parsed instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import. ``level`` counts leading dots; ``names`` are those after ``from ... import``.

    ``anchor`` says what a relative name of ``import_module`` is relative to: ``None`` is the
    package that the file lies in (as for a statement), ``__name__`` the module itself, anything
    else the package of that name. ``kind`` is ``import``, or ``string`` for a module that is only
    named in a string; ``note`` explains the strength. ``runs`` says that the module is run as a
    program, so its ``__main__`` counts too.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a file says about modules.

    ``imports`` in order of lines. ``strings`` are dotted names that stand alone in a string
    literal; ``listed`` the names in lists, tuples, sets and dictionaries at module level (what lazy
    loaders are fed with); ``exported`` the literal part of ``__all__``; ``bound`` the names that
    the module's own top level binds to something that is not its submodule. ``problem`` says why
    the file was read without a parser, empty where it was parsed.
    """

    imports: tuple[Import, ...]
    strings: tuple[tuple[str, int], ...] = ()
    listed: tuple[tuple[str, int], ...] = ()
    exported: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """A superset of the words that :func:`scan` can find, in UTF-8.

    ``words`` stand in import statements, ``quoted`` alone in quotation marks (without a dot only
    where asked for). ``relative`` and ``star`` say that there may be such imports, ``dynamic`` that
    there may be calls that import by name; ``opaque`` that only parsing can tell.
    """

    words: frozenset[bytes]
    quoted: frozenset[bytes]
    relative: bool
    star: bool
    dynamic: bool
    opaque: bool


NAME = re.compile(r"[^\W\d]\w*(?:\.\w+)*\Z")
"""An identifier, or several with dots between."""
BOM = b"\xef\xbb\xbf"
_CONTINUATION = rb"\\(?:\r\n|[\s\S])"
# "import", then either everything up to the closing parenthesis (comments may hold one), or the
# rest of the line with its continuations. The literal at the start lets the regex engine skip ahead
# quickly.
_IMPORT = re.compile(
    rb"import(?![\w\x80-\xff])(?:[ \t\f]++|\\(?:\r\n|[\r\n]))*+"
    rb"(\((?:[^)#]++|#[^\r\n]*+)*+\)|(?:[^\r\n\\;#]++|" + _CONTINUATION + rb")*+)"
)
_FROM = re.compile(rb"(?<![\w\x80-\xff])from(?![\w\x80-\xff])([\w.\s\\\x80-\xff]*)\Z")
_WORD = re.compile(rb"[\w\x80-\xff]+")
_LINE_END = re.compile(rb"\r\n|[\r\n]")
_COMMENT = re.compile(rb"#[^\r\n]*")
_QUOTED_DOTTED = re.compile(rb"[\"']([\w\x80-\xff]+(?:\.[\w\x80-\xff]+)+)(?=[\"'])")
_QUOTED = re.compile(rb"[\"']([\w\x80-\xff]+(?:\.[\w\x80-\xff]+)*)(?=[\"'])")
_DYNAMIC = (b"import_module", b"__import__", b"find_spec", b"run_module", b'"-m"', b"'-m'")
_COOKIE = re.compile(
    rb"\A(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|[\r\n]))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)"
)
_ASCII_SUPERSETS = (
    "utf-8",
    "utf8",
    "ascii",
    "us-ascii",
    "latin",
    "iso-8859",
    "iso8859",
    "cp125",
    "koi8",
)


@dataclass(frozen=True, slots=True)
class _Region:
    """Where an import statement may be: ``origin`` is what stands between ``from`` and ``import``."""

    offset: int
    origin: bytes | None
    tail: bytes


def look(source: bytes, *, undotted: bool = False) -> Hints:
    """Find the words that matter without parsing. ``undotted`` also collects quoted names without a dot.

    What :func:`scan` reports, it reports out of these words: the last component of every imported
    module or name is in ``words``, unless ``opaque``, ``dynamic``, or (for the containing packages
    themselves) ``relative``.
    """
    source = source.removeprefix(BOM)
    words: set[bytes] = set()
    relative = star = False
    opaque = _strange_encoding(source)
    for region in _regions(source):
        if region is None:
            opaque = True
            break
        if region.origin is not None:
            words.update(_WORD.findall(region.origin))
            relative = relative or region.origin.lstrip(b" \t\f\\\r\n").startswith(b".")
        words.update(_WORD.findall(region.tail))
        star = star or b"*" in region.tail
    quoted = frozenset((_QUOTED if undotted else _QUOTED_DOTTED).findall(source))
    if not all(map(bytes.isascii, words)) or not all(map(bytes.isascii, quoted)):
        opaque = True  # identifiers are compared after NFKC normalisation
    return Hints(
        words=frozenset(words),
        quoted=quoted,
        relative=relative,
        star=star,
        dynamic=any(token in source for token in _DYNAMIC),
        opaque=opaque,
    )


def _strange_encoding(source: bytes) -> bool:
    cookie = _COOKIE.match(source)
    return cookie is not None and not cookie[1].decode().lower().replace("_", "-").startswith(
        _ASCII_SUPERSETS
    )


def _regions(source: bytes) -> Iterator[_Region | None]:
    """Every place that may be an import statement; None where a line is too long to tell.

    A statement's first word stands at the start of a line, or after ``;`` or ``:``. Text in
    comments and strings that looks the same is found too.
    """
    returns = b"\r" in source
    for match in _IMPORT.finditer(source):
        begin = match.start()
        floor = max(0, begin - MAX_LINE)
        start = source.rfind(b"\n", floor, begin) + 1
        if returns:
            start = max(start, source.rfind(b"\r", floor, begin) + 1)
        if not start and floor:
            yield None
            return
        head = source[start:begin]
        bare = head.rstrip(b" \t\f")
        origin, base = _FROM.search(head), start
        if origin is None and start and b"\\" in source[max(0, start - 3) : start]:
            origin, base = _FROM.search(source[floor:begin]), floor  # "from x \" on the line before
        if origin is not None:
            yield _Region(base + origin.start(), origin[1], match[1])
        if not bare or bare[-1:] in b";:":
            yield _Region(begin, None, match[1])


def scan_lines(source: bytes, problem: str) -> Scan:
    """Read what looks like import statements; everything counts as strong. Line by line, so never exact."""
    source = source.removeprefix(BOM)
    found: list[Import] = []
    starts = [match.end() for match in _LINE_END.finditer(source)]
    for region in _regions(source):
        if region is None:
            break
        line = bisect_right(starts, region.offset) + 1
        tail = _COMMENT.sub(b"", region.tail).decode("utf-8", "replace")
        names = tuple(
            words[0]
            for words in (
                part.split() for part in tail.replace("\\", " ").strip("() \r\n").split(",")
            )
            if words
        )
        if region.origin is None:
            found.extend(
                Import(module=name, line=line, text=f"import {name}", note=problem)
                for name in names
                if NAME.match(name)
            )
            continue
        origin = re.sub(r"[\s\\]+", "", region.origin.decode("utf-8", "replace"))
        module = origin.lstrip(".")
        if module and not NAME.match(module):
            continue
        level = len(origin) - len(module)
        kept = tuple(name for name in names if name == "*" or name.isidentifier())
        found.append(
            Import(
                module=module,
                level=level,
                names=kept,
                line=line,
                text=f"from {origin} import",
                note=problem,
            )
        )
    quoted = {(match[1], match.start()) for match in _QUOTED_DOTTED.finditer(source)}
    strings = tuple(
        sorted(
            (text.decode("utf-8", "replace"), bisect_right(starts, start) + 1)
            for text, start in quoted
        )
    )
    return Scan(imports=tuple(found), strings=strings, problem=problem)
