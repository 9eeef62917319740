"""Names of libraries in Python source, in native files and in data files.

A library that no file needs may still be opened by name at run time. These functions find what
could be such a name; whether it is one, :mod:`slim.analysis.linkage.runtime_signals` decides. Pure
functions over bytes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.record import NativeFormat
from slim.system.mapped import find_all
from slim.system.syntax import below, parsed

WILDCARD = "\0"
"""Stands for a part of a name that is only known at run time."""

_LOADER_WORDS = (
    b"ctypes",
    b"cffi",
    b"dlopen",
    b"CDLL",
    b"PyDLL",
    b"WinDLL",
    b"OleDLL",
    b"LoadLibrary",
    b"load_library",
    b"load_op_library",
    b"find_library",
    b"add_dll_directory",
    b"LD_PRELOAD",
    b"DYLD_INSERT_LIBRARIES",
)
_NAME_OR_LOAD = re.compile(
    rb"\.(?:so|dylib|[dD][lL][lL])(?![a-zA-Z])|[\"'/]lib"
    rb"|(?:DLL|[lL]oad_?[lL]ibrary|dlopen|find_library|load_op_library)\b|dll\["
)
"""Without one of these in a file, parsing it (which is slow) would bring nothing."""
_LISTING_WORDS = (b"listdir", b"scandir", b"iterdir", b"glob(", b"os.walk")
_LOADER_CALLS = frozenset(
    {
        "CDLL",
        "PyDLL",
        "WinDLL",
        "OleDLL",
        "LoadLibrary",
        "dlopen",
        "find_library",
        "load_library",
        "load_op_library",
    }
)
_LOADER_TABLES = frozenset({"cdll", "pydll", "windll", "oledll"})
_PATH_CALLS = frozenset({"Path", "PurePath", "str", "fspath", "abspath", "realpath", "fsencode"})

_MAX_LITERAL = 512
_PERCENT = re.compile(r"%(?:\([^)]*\))?[-#0 +]*[\d*]*(?:\.[\d*]+)?[hlLqjzt]*[a-zA-Z]")
_BRACES = re.compile(r"\{[^{}]*\}")
LIBRARY_SUFFIXES = (".so", ".dylib", ".dll")
"""Suffixes of libraries: ``.so`` perhaps with a version after it, the others at the end."""

_SUFFIX = re.compile(rb"\.(?:so|dylib|[dD][lL][lL])(?![a-zA-Z])")
_IN_ELF = (re.compile(rb"\.so"),)
_IN_MACHO = (*_IN_ELF, re.compile(rb"\.dylib"))
_IN_PE = (re.compile(rb"\.[dD][lL][lL]"),)
_IN_PE_WIDE = re.compile(rb"\.\0[dD]\0[lL]\0[lL]\0")
_WORD_START = re.compile(rb"[\w.+%/@-]*\Z")
_WORD_ENDS = (re.compile(rb"(?:\.(?:\d+|%\w+))*"), re.compile(rb"(?:\.[\w%]+)*"))
_WINDOW = 200


class MentionKind(StrEnum):
    """The way a name occurs.

    Given to a loading function, elsewhere in a file that loads, in a native file, in a script that
    a shell runs, or in any other text.
    """

    CALL = "call"
    LITERAL = "literal"
    BINARY = "binary"
    SCRIPT = "script"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class LibraryMention:
    """A possible library name without its folder, with :data:`WILDCARD` for what isn't known.

    ``line`` counts from 1; ``offset`` is in bytes from the start of a native file.
    """

    text: str
    kind: MentionKind
    line: int | None = None
    offset: int | None = None


@dataclass(slots=True)
class PythonMentions:
    """The library names in a Python file.

    ``computed`` is the first line that loads a library whose name isn't a literal; ``lists`` says
    whether the file also lists folders.
    """

    mentions: list[LibraryMention] = field(default_factory=list)
    computed: int | None = None
    lists: bool = False


def scan_python(data: bytes) -> PythonMentions:
    """The library names in a Python file.

    Without a word in it that loads libraries, only whole names count.
    """
    if not any(word in data for word in _LOADER_WORDS):
        return PythonMentions(mentions=list(scan_text(data)))
    if _NAME_OR_LOAD.search(data) is None:
        return PythonMentions()
    found = PythonMentions(lists=any(word in data for word in _LISTING_WORDS))
    try:
        tree = parsed(data)
        _walk(tree, found)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Written for another Python, or for nobody: what looks like a name counts as one.
        words = (
            LibraryMention(word.text, MentionKind.LITERAL, word.line) for word in scan_text(data)
        )
        return PythonMentions(mentions=list(words), computed=1, lists=found.lists)
    return found


def scan_binary(
    data: memoryview, native: NativeFormat = NativeFormat.ELF
) -> Iterator[LibraryMention]:
    """Library-like words in a native file, each once, at their first offset.

    Offsets are bytes from the start of the file. Which suffixes count depends on the file's format.
    In PE files, words of UTF-16 count too.
    """
    seen: set[str] = set()
    for offset, word in _words_of(data, native):
        if word not in seen:
            seen.add(word)
            yield LibraryMention(word, MentionKind.BINARY, offset=offset)


def _words_of(data: memoryview, native: NativeFormat) -> Iterator[tuple[int, str]]:
    patterns = {NativeFormat.MACHO: _IN_MACHO, NativeFormat.PE: _IN_PE}.get(native, _IN_ELF)
    for pattern in patterns:
        for match in find_all(pattern, data):
            for word in _words_around(data, match):
                yield match.start(), word
    if native is NativeFormat.PE:
        for match in find_all(_IN_PE_WIDE, data):
            # The characters' low bytes; where a high one isn't zero, the word ends.
            before = bytes(data[max(0, match.start() - 2 * _WINDOW) : match.start()])
            before = before[len(before) % 2 :]
            pairs = zip(before[::2], before[1::2], strict=True)
            narrow = bytes(low if not high else 0 for low, high in pairs)
            text = narrow + bytes(match[0][::2])
            found = _SUFFIX.search(text, len(narrow))
            if found is not None:
                for word in _words_around(memoryview(text), found):
                    yield match.start(), word


def scan_text(data: bytes, kind: MentionKind = MentionKind.TEXT) -> Iterator[LibraryMention]:
    """Whole library names in any text, each once."""
    view = memoryview(data)
    seen: set[str] = set()
    for match in _SUFFIX.finditer(data):
        for word in _words_around(view, match):
            if word not in seen and WILDCARD not in word:
                seen.add(word)
                yield LibraryMention(word, kind, line=data.count(b"\n", 0, match.start()) + 1)


def _words_around(data: memoryview, suffix: re.Match[bytes]) -> list[str]:
    """The library-like words around a suffix, without their folders.

    Strings of Rust and Go don't end in a zero byte, so a name may run into the next string. The
    word that ends with the version number is therefore given along with the one that goes on as far
    as it can.
    """
    start, end = suffix.span()
    before = _WORD_START.search(bytes(data[max(0, start - _WINDOW) : start]))
    after = bytes(data[end : end + _WINDOW])
    if before is None or not before.group():
        return []
    words: dict[str, None] = {}
    for ending in _WORD_ENDS if suffix[0] == b".so" else ():
        tail = ending.match(after)
        words[
            _decoded(before.group() + suffix[0] + (tail.group() if tail is not None else b""))
        ] = None
    if suffix[0] != b".so":
        words[_decoded(before.group() + suffix[0])] = None
    names = (base_name(word) for word in words)
    return list(
        dict.fromkeys(
            name for name in names if name is not None and not name.startswith(LIBRARY_SUFFIXES)
        )
    )


def _decoded(word: bytes) -> str:
    return _PERCENT.sub(WILDCARD, word.decode("ascii", "replace"))


def base_name(text: str) -> str | None:
    """The last component of a path with either slash.

    None where it says nothing or can't be a file's name.
    """
    name = text.replace("\\", "/").rpartition("/")[2]
    if not name.strip(WILDCARD) or len(name) > _MAX_LITERAL or any(char.isspace() for char in name):
        return None
    return name


def _walk(tree: ast.AST, found: PythonMentions) -> None:
    """Visit every expression; strings that stand alone as a statement are documentation."""
    pending: list[tuple[ast.AST, bool]] = [(tree, False)]
    while pending:
        node, inside = pending.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Call) and _called_name(node.func) in _LOADER_CALLS:
            _load_call(node, found)
        elif isinstance(node, ast.Subscript) and _called_name(node.value) in _LOADER_TABLES:
            _mention(node.slice, MentionKind.CALL, found)
        # A chain of additions is read once, as a whole.
        chain = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
        if isinstance(node, ast.expr) and not (chain and inside):
            _mention(node, MentionKind.LITERAL, found)
        pending.extend((child, chain) for child in below(node))
    found.mentions.sort(key=lambda mention: (mention.line or 0, mention.text, mention.kind))


def _load_call(node: ast.Call, found: PythonMentions) -> None:
    arguments = [
        *node.args[:2],
        *(keyword.value for keyword in node.keywords if keyword.arg in ("name", "path")),
    ]
    # cffi: ffi.dlopen("name"); numpy: load_library("name", folder).
    known = [_mention(argument, MentionKind.CALL, found) for argument in arguments]
    if arguments and not known[0] and not _is_none(arguments[0]):
        found.computed = min(found.computed or node.lineno, node.lineno)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _mention(node: ast.expr, kind: MentionKind, found: PythonMentions) -> bool:
    """Note the name that an expression gives; say whether it is wholly known."""
    text = _pattern(node)
    name = None if text is None or len(text) > _MAX_LITERAL else base_name(text)
    if name is None:
        return False
    found.mentions.append(LibraryMention(name, kind, node.lineno))
    return WILDCARD not in name


def _pattern(node: ast.expr) -> str | None:
    """The text of a string expression, with wildcards; None where nothing of it is known."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Constant(value=bytes() as raw):
            return raw.decode("latin-1")
        case ast.JoinedStr(values=values):
            return "".join(_pattern(value) or WILDCARD for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            first, second = _pattern(left), _pattern(right)
            return (
                None
                if first is None and second is None
                else (first or WILDCARD) + (second or WILDCARD)
            )
        case ast.BinOp(left=left, op=ast.Mod()):
            return _filled(_PERCENT, _pattern(left))
        case ast.BinOp(op=ast.Div(), right=right):
            return _pattern(right)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return _filled(_BRACES, _pattern(value))
        case ast.Call(func=ast.Attribute(attr="join" | "joinpath"), args=[*_, last]):
            return _pattern(last)
        case ast.Call(func=func, args=[only]) if _called_name(func) in _PATH_CALLS:
            return _pattern(only)
    return None


def _filled(fields: re.Pattern[str], text: str | None) -> str | None:
    return None if text is None else fields.sub(WILDCARD, text)


def _called_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
