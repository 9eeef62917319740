"""Lines of a trace file: words with one space between them, quoted where they need it.

A word stands as it is where it is printable ASCII without spaces and quotes, otherwise as a JSON
string (RFC 8259). So the file is ASCII, whatever bytes a name has: those that aren't UTF-8 are lone
surrogates (PEP 383), which JSON writes as escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[!#-~]+\Z")
_WORD = re.compile(r'([!#-~]+|"(?:[^"\\\x00-\x1f\x7f-\U0010ffff]|\\.)*")(?: |\Z)')


def join(words: Iterable[str]) -> str:
    """Return the line of some words."""
    return " ".join(word if _PLAIN.match(word) else json.dumps(word) for word in words)


def split(line: str) -> list[str] | None:
    """Return the words of a line; None where it isn't one that :func:`join` gives."""
    found: list[str] = []
    at = 0
    while at < len(line):
        match = _WORD.match(line, at)
        if match is None:
            return None
        word, at = match[1], match.end()
        if word.startswith('"'):
            try:
                word = json.loads(word)
            except ValueError:
                return None
        found.append(word)
    return found if join(found) == line else None
