"""Cuts a module that can't be imported behind the statement that fails.

What ran before runs as before, and fails with the same error on the same line. Programs that read
sources as text to learn what a package offers find the same: statements about ``__all__``, the
headers of classes, and decorators that rules name stay, behind a statement that no import gets to.

Source: transformers' ``utils/import_utils.py`` (``create_import_structure_from_path`` reads
``__all__``, ``@requires`` and the bases of classes line by line).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from slim.errors import UnsafeInputError
from slim.model.recipe import Kept, Recipe
from slim.model.rule import OptionValue
from slim.system.syntax import parsed

EDITOR = "cut-module"
_OPENING = re.compile(rb"[(\[{]")
_CLOSING = re.compile(rb"[)\]}]")
_COMMENT = re.compile(rb"[ \t]*#[^\"'\r\n]*(?=\r?\n|\Z)")
_NAME = re.compile(r"\w+\Z")
_LINE = re.compile(rb"[^\n]*(?:\n|\Z)")
_DECORATED = re.compile(rb"^(?:class|def|async def) ", re.M)
_LONGEST = 1 << 20
"""Bytes that one statement of an outline may have."""


def cut_module(view: memoryview, options: Mapping[str, OptionValue]) -> Recipe:
    """Carry out an edit; plans name it by :data:`EDITOR`.

    Options: ``end`` (bytes of the head), ``missing`` (the name that no layer has) and
    ``decorators`` (names of those that stay). None is proposed of which the result can't be parsed,
    and the oracle parses it again.
    """
    source = bytes(view)
    end, missing, decorators = options["end"], options["missing"], options["decorators"]
    assert isinstance(end, int) and isinstance(missing, str) and isinstance(decorators, tuple)
    return Recipe((Kept(0, end), _behind(source, end, missing, decorators)))


def cut(source: bytes, end: int, missing: str, decorators: Sequence[str]) -> bytes:
    """Return the head of a module, a statement that refuses to go on, and the module's outline.

    Raises UnsafeInputError where that can't be parsed.
    """
    result = source[:end] + _behind(source, end, missing, decorators)
    try:
        parsed(result, newer=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnsafeInputError("its outline can't be told from its text") from error
    return result


def _behind(source: bytes, end: int, missing: str, decorators: Sequence[str]) -> bytes:
    """The statement that refuses to go on, and the module's outline."""
    head, tail = source[:end], source[end:]
    newline = b"\r\n" if head.endswith(b"\r\n") else b"\n"
    name = missing if _NAME.match(missing) and missing.isascii() else "what it imports"
    text = f"slim took out what follows, because no layer had {name}; list it under provided"
    guard = f'raise ImportError("{text}")'.encode() + newline
    return guard + b"".join(_outline(tail, decorators, newline))


def _outline(tail: bytes, decorators: Sequence[str], newline: bytes) -> Iterator[bytes]:
    words = [b"class ", rb"__all__\b", *(re.escape(f"@{name}".encode()) for name in decorators)]
    at = 0
    for match in re.finditer(rb"^(?:" + b"|".join(words) + b")", tail, re.M):
        if match.start() < at:
            continue
        at = match.start()
        if match[0].startswith(b"@"):
            header = _DECORATED.search(tail, at)
            if header is None:
                return
            yield tail[at : header.start()]
            at = header.start()
        end = _end_of_statement(tail, at)
        yield tail[at:end]
        if match[0] != b"__all__" and _opens_block(tail[at:end]):
            yield b"    ..." + newline
        at = end


def _end_of_statement(source: bytes, at: int) -> int:
    """Return the offset behind the line on which every bracket of a statement is closed."""
    depth = 0
    for match in _LINE.finditer(source, at, at + _LONGEST):
        code = _COMMENT.sub(b"", match[0])
        depth += len(_OPENING.findall(code)) - len(_CLOSING.findall(code))
        if depth <= 0 and not code.rstrip(b"\r\n").endswith(b"\\"):
            return match.end()
    return _LINE.search(source, at).end()  # type: ignore[union-attr]


def _opens_block(statement: bytes) -> bool:
    last = statement.splitlines()[-1]
    return _COMMENT.sub(b"", last).rstrip().endswith(b":")
