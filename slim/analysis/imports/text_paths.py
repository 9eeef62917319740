"""Paths to tests in files that are no Python: settings, scripts of other languages, indexes.

A setting names a folder alone (``"folder": "tests"``, ``- tests``), scripts of other languages put
paths together as Python does (``file.path(root, "tests", "data")``), and databases and pickles hold
paths between other bytes. Texts may be in UTF-16, and indexes compressed.
"""

from __future__ import annotations

import base64
import codecs
import re
import zlib
from collections.abc import Iterator

from slim.analysis.imports.archives import members_of
from slim.analysis.imports.path_scan import PathUse, parts_of, test_paths, uses_of
from slim.analysis.vocabulary import AnyOf
from slim.model.record import EntryType, FileKind, FileRecord

_SETTINGS = (
    *(".json", ".json5", ".jsonc", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".xml"),
    *(".properties", ".plist", ".env", ".list", ".lst", ".webmanifest", ".pbtxt", ".hcl"),
)
_SCRIPTS = (".sh", ".bash", ".zsh", ".bat", ".cmd", ".ps1", ".lua", ".r", ".jl", ".tcl", ".rb")
_OF_DEVELOPERS = re.compile(
    r"(?:\A|/)(?:\.[^/]*|package\.json|[tj]sconfig[^/]*\.json|codecov\.ya?ml|mkdocs\.ya?ml|"
    r"renovate\.json|composer\.json|deno\.jsonc?|biome\.json)\Z"
)
"""Settings of tools that build and check a package's sources."""
_QUOTED = re.compile(rb"[\"'`](?=(?:[\w.*-]++/)*?tests[/\"'`])(?:[\w.*-]++/)*+[\w.*-]*+[\"'`]")
_WORD = rb"[\"'`][\w./*-]+[\"'`]"
_BETWEEN = rb"(?:[\s,+~]|\\\\|/)"
_LEFT = re.compile(rb"(?:" + _WORD + _BETWEEN + rb"{0,40}){0,8}\Z")
_RIGHT = re.compile(rb"(?:" + _BETWEEN + rb"{0,40}" + _WORD + rb"){0,8}")
_STRING = re.compile(rb"[\"'`]([\w./*-]+)[\"'`]")
_VALUE = re.compile(
    rb"(?:[:=\[,(]\s{0,40}[\"']tests/?[\"'](?!\s*[:=])"
    rb"|>\s{0,40}tests/?\s{0,40}<"
    rb"|^[ \t]*(?:-[ \t]+|[\w.-]{1,60}[ \t]*[:=][ \t]*(?:[\w./-]{1,60}[, ]+){0,9})?"
    rb"tests/?[ \t]*(?:[,;#\r\n]|\Z))",
    re.MULTILINE,
)
"""``tests`` as a value, or as one of several."""
_ASSIGNED = re.compile(rb"=[ \t]*[\"'`]?tests[\"'`]?[ \t]*(?:[;,\r\n]|\Z)", re.MULTILINE)
_KEY = re.compile(rb"([\w.-]+)[\"']?\s*(?:[:=]|>)")
_OTHER_KEY = re.compile(
    rb"exclu|ignor|skip|omit|prun|black|deny|without|remov|delet|clean|\A(?:test|testpaths)\Z"
    rb"|\A(?:app_label|content_type)\Z",
    re.I,
)
"""Keys of what isn't wanted, and of names of Django's applications and models (fixtures)."""
_NEAR = 300
_IN_BASE64 = AnyOf(
    *(
        base64.b64encode(bytes(before) + b"tests")[-(-8 * before // 6) : (8 * before + 40) // 6]
        for before in range(3)
    )
)
"""The word in Base64, by how many bytes stand before it in a group of three."""
_BASE64 = re.compile(rb"[\w+/-]{12,}", re.ASCII)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_BEGUN = re.compile(
    rb"\{%[-+]?\s*+(?:include|extends|import|from)\s++[\"'](?:[\w.-]++/)*+(?<=[/\"']tests/)"
    rb"[\"']\s*+[~+]"
)
"""A template of Jinja that takes another from a folder, of which only running tells the name."""
_FILE_JOIN = re.compile(rb"\bfile\s+join\s+([^\]\n;]{1,300})")
"""Parts of a path in Tcl."""
COMPRESSED = (
    *(".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".woff", ".woff2", ".ttf", ".otf", ".eot"),
    *(".xz", ".zip", ".bz2", ".zst", ".whl", ".jar", ".mp3", ".mp4", ".ogg", ".br", ".pdf"),
)
"""Suffixes of files whose bytes are compressed, so that no name stands in them as a word."""
_WORD_IN_BYTES = (b"tests/", b"tests\\")
_SQLITE = b"SQLite format 3\0"
_BEHIND_A_LENGTH = re.compile(rb"(?<![a-z])tests[/\\].*", re.DOTALL)
_IN_A_ROW = re.compile(rb"tests[/\\].*", re.DOTALL)
"""A path before which a byte that says its length may look like a letter, or in a table of SQLite
the text before it ends."""
_START = 4096
_MAX_UNPACKED = 1 << 22
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")


def as_utf8(source: bytes) -> bytes:
    """A text in UTF-8, whatever its byte order mark says that it is in."""
    if source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return source.decode("utf-16", "replace").encode("utf-8", "replace")
    return source


def with_decoded_runs(source: bytes) -> bytes:
    """A text, and behind it what it holds in Base64 that has the word ``tests`` in it.

    Settings and messages hold code and pickles so.
    """
    if not _IN_BASE64.within(source):
        return source
    found = [source]
    for match in _BASE64.finditer(source):
        run = match[0].translate(_URL_SAFE)
        if _IN_BASE64.within(run):
            whole = run[: len(run) - (len(run) % 4 == 1)]
            found.append(base64.b64decode(whole + b"=" * (-len(whole) % 4)))
    return b"\n".join(found)


def unpacked(data: bytes) -> bytes:
    """Content of a file; what gzip, zlib or zip compressed, uncompressed for some megabytes.

    Models are often pickles in one of these, whatever their suffix.
    """
    if data[:4] == b"PK\3\4":
        return b"\n".join(members_of(data, _MAX_UNPACKED)) or data
    window = 31 if data[:2] == b"\x1f\x8b" else zlib.MAX_WBITS
    if window == zlib.MAX_WBITS and data[:2] not in _ZLIB:
        return data
    try:
        return zlib.decompressobj(window).decompress(data, _MAX_UNPACKED)
    except zlib.error:
        return data


def may_hold_paths(record: FileRecord, data: memoryview) -> bool:
    """True for data in which paths may stand between other bytes."""
    return (
        record.type is EntryType.FILE
        and record.native is None
        and record.kind is FileKind.DATA
        and not record.path.lower().endswith(COMPRESSED)
        and b"\0" in bytes(data[:_START])
    )


def paths_in_bytes(data: bytes) -> Iterator[PathUse]:
    """The paths to tests that stand anywhere in data, whatever stands before and behind them."""
    if not any(word in data for word in _WORD_IN_BYTES):
        return
    found = set(test_paths(data))
    begun = _IN_A_ROW if data.startswith(_SQLITE) else _BEHIND_A_LENGTH
    found |= {match[0] for path in found if (match := begun.search(path))}
    for text in sorted(found):
        for run in parts_of(text.decode("utf-8", "replace")):
            inside = run[run.index("tests") :] if "tests" in run else ()
            if len(inside) > 1:
                yield PathUse(inside, 0)
            if len(inside) > 2:  # the last part may end with a byte of what follows
                yield PathUse(inside[:-1], 0)


def paths_in_settings(path: str, source: bytes) -> Iterator[PathUse]:
    """The folders called tests that a setting names, and paths that a script puts together."""
    if b"tests" not in source:
        return
    yield from uses_of(_rows(source))
    yield from uses_of(b"/".join(match[1].split()) for match in _FILE_JOIN.finditer(source))
    if _BEGUN.search(source):
        yield PathUse(("tests",), 0)
    name = path.lower()
    if _OF_DEVELOPERS.search(path):
        return
    if name.endswith(_SETTINGS):
        found = _VALUE.finditer(source)
    elif name.endswith(_SCRIPTS):
        found = _ASSIGNED.finditer(source)
    else:
        return
    for match in found:
        before = source[max(0, match.start() - _NEAR) : match.end()]
        keys = _KEY.findall(before)
        if not keys or not _OTHER_KEY.search(keys[-1]):
            yield PathUse(("tests",), 0)
            return


def _rows(source: bytes) -> Iterator[bytes]:
    """Strings in a row that may be parts of one path: ``"sub", "tests", "data"``."""
    for match in _QUOTED.finditer(source):
        begin, end = match.span()
        left = _LEFT.search(source[max(0, begin - _NEAR) : begin])
        right = _RIGHT.match(source[end : end + _NEAR])
        row = (left[0] if left else b"") + match[0] + (right[0] if right else b"")
        yield b"/".join(part.strip(b"/") for part in _STRING.findall(row))
