"""Texts that are URLs, told from paths without looking at the disk (RFC 3986, section 3.1)."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def is_url(text: str) -> bool:
    """True for a text that begins as a URL does, a known one or not. ``C:/x`` is none."""
    return _SCHEME.match(text) is not None
