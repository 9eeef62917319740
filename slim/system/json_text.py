"""JSON text as slim writes it: ASCII, with the bytes of names that aren't UTF-8 next to them."""

from __future__ import annotations

import base64
import json
from typing import Any

Json = dict[str, Any]


def dumps(value: object, *, indent: int = 2) -> str:
    """JSON text as slim writes it: ASCII, indented, keys in the order of the contract."""
    return json.dumps(value, indent=indent, ensure_ascii=True, allow_nan=False) + "\n"


def named(key: str, value: str) -> Json:
    """Name under ``key``; if it isn't UTF-8, its bytes under ``<key>_base64`` as well."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raw = _bytes(value)
        return {
            key: raw.decode("utf-8", "replace"),
            f"{key}_base64": base64.b64encode(raw).decode("ascii"),
        }
    return {key: value}


def prose(value: str) -> str:
    """Text as valid Unicode: bytes in it that aren't UTF-8 become U+FFFD."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return _bytes(value).decode("utf-8", "replace")
    return value


def _bytes(value: str) -> bytes:
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that never was a byte
        return value.encode("utf-8", "surrogatepass")
