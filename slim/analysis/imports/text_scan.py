"""Imports of a Python file, as far as its text tells them without a parser.

:func:`text_hints` finds a superset of the words that the exact answer
(:func:`slim.analysis.imports.ast_scan.scan`) can be made of: a file whose words have nothing to do
with the modules in question need not be parsed. Where the text leaves a doubt, the hints say so
(``opaque``), and the file is parsed. :func:`scan_lines` stands in for the parser where a file is
not valid for the running interpreter. All are pure functions of the file's bytes.

Sources: the Python language reference ("Lexical analysis", "The import statement"), PEP 263
(encodings), PEP 3131 (identifiers are compared after NFKC normalisation).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from slim.analysis.imports.decoded import with_decoded
from slim.analysis.imports.halves import may_put_together
from slim.analysis.imports.path_scan import may_name_tests
from slim.analysis.imports.scans import BOM, NAME, Import, Scan
from slim.analysis.vocabulary import AnyOf, vocabulary

MAX_LINE = 4096
"""Bytes looked at before the word ``import``, over continued lines; a file in which that isn't
enough is parsed instead."""
_MAX_OVERLAP = 4
"""How many times the file's size the statements found may come to. Real ones don't overlap; text in
comments that looks like one may hold the next, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """A superset of the words that a scan can find, in UTF-8.

    ``words`` stand in import statements, ``quoted`` alone in quotation marks (without a dot only
    where asked for). ``relative`` and ``star`` say that there may be such imports, ``dynamic`` that
    there may be calls that import by name; ``opaque`` that only parsing can tell. ``dotted`` are
    names with dots anywhere, ``tails`` the words after a dot that follows a string, ``started``
    what stands after ``-m``, ``listing`` says that members of packages may be listed or read,
    ``paths`` that paths may name tests.
    """

    words: frozenset[bytes]
    quoted: frozenset[bytes]
    relative: bool
    star: bool
    dynamic: bool
    opaque: bool
    dotted: frozenset[bytes]
    tails: frozenset[bytes]
    started: frozenset[bytes]
    listing: bool
    paths: bool
    lists_itself: bool = False
    """True if the members of the file's own package may be listed."""
    attaches_stub: bool = False
    """True if it may load what its stub says when that is asked for (``lazy_loader``)."""


# Newlines are "\n" by the time these are used, as in the tokenizer. A literal at the start lets the
# regex engine skip ahead quickly.
_IMPORT = re.compile(rb"import(?![\w\x80-\xff])")
# Either everything up to the closing parenthesis (comments may hold one), or the rest of the line
# with its continuations. What can't stand in an import statement ends the former.
_NAMES = re.compile(
    rb"(?:[ \t\f]|\\\n)*+"
    rb"(\((?:[\w\x80-\xff,\s\\]++|#[^\n]*+)*+|(?:[^\n\\;#]++|\\[\s\S])*+)"
)
_FROM = re.compile(rb"(?<![\w\x80-\xff])from(?![\w\x80-\xff])")
_MODULE = re.compile(rb"[\w.\s\\\x80-\xff]*+")
_STARTS = (b";", b":", b'"', b"'", b"\\n", b"\\t", b"\\r", b"lazy")
"""What a statement may follow on its line, in a string of code too (``lazy``: PEP 810)."""
_WORD = re.compile(rb"[\w\x80-\xff]+")
_WORD_END = re.compile(rb"[\w\x80-\xff]")
_COMMENT = re.compile(rb"#[^\n]*")
_BACKSLASH = ord("\\")
_BLANKS = b" \t\n\v\f\\"
_QUOTED_DOTTED = tuple(  # one a quotation mark: a literal at the start, again
    re.compile(mark + rb"([\w\x80-\xff]++(?:\.[\w\x80-\xff]++)++)(?=[\"'])")
    for mark in (b"'", b'"')
)
_QUOTED = tuple(
    re.compile(mark + rb"([\w\x80-\xff]++(?:\.[\w\x80-\xff]++)*+)(?=[\"':])")
    for mark in (b"'", b'"')
)
_DYNAMIC_NAMES = ("import_module", "__import__", "find_spec", "run_module")
_DYNAMIC = AnyOf(*(name.encode() for name in _DYNAMIC_NAMES), b'"-m"', b"'-m'", b"exec(", b"exec (")
DOTTED = re.compile(rb"\b[^\W\d]\w*+(?:\.\w++)++")
"""Dotted names of ASCII letters, anywhere."""
TAILS = re.compile(  # a literal at the start, once more
    rb"\.(?:(?<=[\"'}]\.)|(?<=%[sr]\.)|(?<=\)[sr]\.))\.*+([^\W\d]\w*+(?:\.\w++)*+)(?!\()"
)
_STARTED = re.compile(rb"-m\s*([^\W\d][\w.]*)")
_LISTING = AnyOf(
    *(b"discover(", b"iter_modules", b"walk_packages", b"__path__", b"submodule_search_locations"),
    *(b"importlib.resources", b"importlib_resources", b"import resources", b"PackageLoader"),
    *(
        b"resources.",
        b"pkg_resources",
        b"resource_filename",
        b"resource_string",
        b"resource_stream",
    ),
    *(b"resource_listdir", b"get_data(", b" files(", b".files(", b"=files(", b"(files("),
    *(b"package='", b'package="', b"anchor='", b'anchor="'),
)
"""Text by which the members of packages are listed or read."""
_LISTS_ITSELF = re.compile(rb"(?:iter_modules|walk_packages)\s*\([^)]*__(?:path|file)__")
_COOKIE = re.compile(rb"\A(?:[ \t\f]*(?:#[^\n]*)?\n)??[ \t\f]*#[^\n]*?coding[:=][ \t]*([-\w.]+)")
_UTF_8 = ("utf-8", "utf8")
_ASCII_SUPERSETS = (
    *_UTF_8,
    "ascii",
    "us-ascii",
    "latin",
    "iso-8859",
    "iso8859",
    "cp125",
    "koi8",
)


class _Region(NamedTuple):
    """A place where an import statement may be.

    ``offset`` is where it starts. ``origin`` is the module between ``from`` and ``import``, without
    blanks; None where there is no ``from``. ``tail`` holds the names.
    """

    offset: int
    origin: bytes | None
    tail: bytes


def text_hints(source: bytes, *, undotted: bool = False) -> Hints:
    """Find the words that matter without parsing.

    ``undotted`` also collects quoted names without a dot. What a scan reports, it reports out of
    these words: the last component of every imported module or name is in ``words``, unless
    ``opaque``, ``dynamic``, or (for the containing packages themselves) ``relative``.
    """
    source = with_decoded(_as_tokenized(source))
    words: set[bytes] = set()
    relative = star = False
    opaque = _doubt(source)
    for region in _regions(source):
        if region is None:
            opaque = True
            break
        if region.origin is not None:
            words.update(_WORD.findall(region.origin))
            relative = relative or region.origin.startswith(b".")
        words.update(_WORD.findall(region.tail))
        star = star or b"*" in region.tail
    quoted = frozenset(
        word
        for pattern in (_QUOTED if undotted else _QUOTED_DOTTED)
        for word in pattern.findall(source)
    )
    if not all(map(bytes.isascii, words)) or not all(map(bytes.isascii, quoted)):
        opaque = True  # identifiers are compared after NFKC normalisation
    listing = source.startswith(b"files(") or _LISTING.within(source)
    return Hints(
        words=frozenset(words),
        quoted=quoted,
        relative=relative,
        star=star,
        dynamic=_DYNAMIC.within(source),
        opaque=opaque,
        dotted=frozenset(DOTTED.findall(vocabulary(source))),
        tails=frozenset(word for tail in set(TAILS.findall(source)) for word in tail.split(b".")),
        started=frozenset(_STARTED.findall(source)),
        listing=listing,
        paths=may_name_tests(source) or may_put_together(source),
        lists_itself=listing and _LISTS_ITSELF.search(source) is not None,
        attaches_stub=b"attach_stub" in vocabulary(source),
    )


def _as_tokenized(source: bytes) -> bytes:
    """A file's bytes as the tokenizer takes them: without a BOM, with newlines as line ends."""
    source = source.removeprefix(BOM)
    if b"\r" in source:
        source = source.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return source


def _doubt(source: bytes) -> bool:
    """True if bytes may mean something else than they look like: by their encoding, or after NFKC.

    Where all bytes are ASCII, most encodings say the same.
    """
    cookie = _COOKIE.match(source)
    encoding = "utf-8" if cookie is None else cookie[1].decode().lower().replace("_", "-")
    if source.isascii():
        return not encoding.startswith(_ASCII_SUPERSETS)
    if not encoding.startswith(_UTF_8):
        return True
    text = source.decode("utf-8", "replace")
    if unicodedata.is_normalized("NFKC", text):
        return False
    normalised = unicodedata.normalize("NFKC", text)
    return any(name in normalised for name in _DYNAMIC_NAMES)


def _regions(source: bytes) -> Iterator[_Region | None]:
    """Every place that may be an import statement; None for a place that only a parser can tell.

    A statement's first word stands at the start of a line, after ``;`` or ``:``, or at the start of
    a string that holds code. Text in
    comments and strings that looks the same is found too. Each word ``import`` is looked at by
    itself, since such text may reach over a real statement.
    """
    left = _MAX_OVERLAP * len(source)
    for match in _IMPORT.finditer(source):
        begin, end = match.span()
        floor = begin - MAX_LINE if begin > MAX_LINE else 0
        line = start = source.rfind(b"\n", floor, begin) + 1
        while start > 1 and start > floor and source[start - 2] == _BACKSLASH:
            start = source.rfind(b"\n", floor, start - 1) + 1
        if floor and not start:
            yield None
            continue
        head = source[start:begin]
        bare = head[line - start :].rstrip(b" \t\f")
        origin = _origin(head) if b"from" in head else None
        begins = not bare or bare.endswith(_STARTS)
        if origin is None and not begins:
            continue
        names = _NAMES.match(source, end)
        tail = b"" if names is None else names[1]
        left -= len(tail)
        if left < 0:
            yield None
            return
        if origin is not None:
            yield _Region(start + origin[0], origin[1], tail)
        if begins:
            yield _Region(begin, None, tail)


def _origin(head: bytes) -> tuple[int, bytes] | None:
    """The last ``from`` of a line's ``head`` (its index), and the module between it and the end.

    None where the head doesn't end like that.
    """
    if _WORD_END.match(head, len(head) - 1):
        return None
    at = head.rfind(b"from")
    while at >= 0 and not _FROM.match(head, at):
        at = head.rfind(b"from", 0, at)
    module = _MODULE.fullmatch(head, at + 4) if at >= 0 else None
    return None if module is None else (at, module[0].translate(None, _BLANKS))


def quoted_names(source: bytes) -> Iterator[tuple[str, int]]:
    """Every name that stands alone in quotation marks, with or without dots, and its offset."""
    for pattern in _QUOTED:
        for match in pattern.finditer(source):
            yield match[1].decode("utf-8", "replace"), match.start()


def scan_lines(source: bytes, problem: str) -> Scan:
    """Read what looks like import statements, line by line, so never exactly.

    Every import counts as strong.
    """
    source = _as_tokenized(source)
    starts = [match.end() for match in re.finditer(rb"\n", source)]
    imports: list[Import] = []
    for region in _regions(source):
        if region is not None:
            line = bisect_right(starts, region.offset) + 1
            imports.extend(_imports_of(region, line, problem))
    strings = {
        (match[1].decode("utf-8", "replace"), bisect_right(starts, match.start()) + 1)
        for pattern in _QUOTED_DOTTED
        for match in pattern.finditer(source)
    }
    return Scan(imports=tuple(imports), strings=tuple(sorted(strings)), problem=problem)


def _imports_of(region: _Region, line: int, problem: str) -> Iterator[Import]:
    """The imports that a place states, if it is a statement."""
    tail = _COMMENT.sub(b"", region.tail).decode("utf-8", "replace")
    parts = (part.split() for part in tail.replace("\\", " ").strip("() \n").split(","))
    # Code in a string, in JSON or in a shell script may end with its quotation mark, and more.
    names = tuple(re.split(r"[\"'`\\]", words[0])[0] for words in parts if words)
    if region.origin is None:
        for name in names:
            if NAME.match(name):
                yield Import(module=name, line=line, text=f"import {name}", note=problem)
        return
    origin = region.origin.decode("utf-8", "replace")
    module = origin.lstrip(".")
    if not module or NAME.match(module):
        yield Import(
            module=module,
            level=len(origin) - len(module),
            names=tuple(name for name in names if name == "*" or name.isidentifier()),
            line=line,
            text=f"from {origin} import",
            note=problem,
        )
