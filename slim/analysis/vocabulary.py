"""The words of a text, each once.

They are a fifth of the bytes of source code, so whoever looks for many words finds them sooner.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SPACED = bytes(
    byte if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "_.") else 0x20
    for byte in range(256)
)
"""Table that makes spaces of what is in no word."""
_WORD = re.compile(rb"[\w.]+")


@lru_cache(maxsize=2)
def vocabulary(source: bytes) -> bytes:
    """Each run of ASCII letters, digits, underscores and dots in a text, one a line, in any order.

    What consists of such characters stands in it if it stands in the text, and only then.
    """
    return b"\n".join(set(source.translate(_SPACED).split()))


class AnyOf:
    """Pieces of text to be looked for, such as ``import_module`` and ``exec(``."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = [(piece, _WORD.findall(piece)) for piece in pieces]

    def within(self, source: bytes) -> bool:
        """Return whether one of the pieces stands in a text."""
        known = vocabulary(source)
        return any(
            all(map(known.__contains__, words)) and (words == [piece] or piece in source)
            for piece, words in self._pieces
        )
