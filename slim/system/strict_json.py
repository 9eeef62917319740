"""Strict parsing of JSON: what parsers disagree on is refused.

That is byte order marks, keys that stand twice, NaN and numbers beyond
the range of a double, lone surrogates, and nesting too deep for Python.

Sources: RFC 8259 (8.1 encoding, 4 names, 6 numbers, 8.2 surrogates); RFC 7493 (I-JSON).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from slim.errors import UnsafeInputError


def parse_json(raw: bytes, *, file: object, hint: str) -> Any:
    """Parse a whole JSON text. ``file`` names it in errors, ``hint`` says what to do about them.

    Raises UnsafeInputError.
    """

    def refused(message: str, place: str | None = None) -> UnsafeInputError:
        return UnsafeInputError(message, file=file, place=place, hint=hint)

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(
                key for key, times in Counter(key for key, _ in pairs).items() if times > 1
            )
            raise refused(f"the key {twice[:80]!r} stands twice in one object")
        return found

    def constant(text: str) -> object:
        raise refused(f"{text} is not JSON")

    def number(text: str) -> float:
        value = float(text)
        if math.isinf(value):
            raise refused(f"the number {text[:40]} is too large")
        return value

    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=unique,
            parse_constant=constant,
            parse_float=number,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates come in as \ud800
    except RecursionError:
        raise refused("nested too deeply") from None
    except UnicodeError as error:
        raise refused(f"not valid Unicode: {error}") from None
    except json.JSONDecodeError as error:
        raise refused(
            f"not valid JSON: {error.msg}", f"line {error.lineno}, column {error.colno}"
        ) from None
    except ValueError as error:  # integers with too many digits
        raise refused(str(error)) from None
    return value
