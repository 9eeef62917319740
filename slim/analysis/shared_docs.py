"""Documentation below ``share`` to which code of another distribution puts a path together.

``os.path.join(sys.prefix, "share", "doc", "pkg", "index.html")``: what counts is that one file has
every part of the path in its strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from slim.model.record import FileKey, FileRecord

_SEPARATOR = re.compile(r"[/\\]")
_OF_PACKAGES = ("doc", "gtk-doc")
"""Folders of ``share`` in which each package has a folder of its own."""


class SharedDocs:
    """Files below ``share/man``, ``share/doc`` and the like, by the parts of their paths."""

    def __init__(self, records: Iterable[FileRecord]) -> None:
        self._keys: dict[tuple[str, ...], list[FileKey]] = {}
        for record in records:
            parts = record.path.split("/")
            meant = parts[:3] if parts[1] in _OF_PACKAGES and len(parts) > 3 else parts
            self._keys.setdefault(tuple(meant), []).append(record.key)
        self._folders = sorted({parts[1].encode() for parts in self._keys})

    def named_in(
        self, content: bytes, strings: Callable[[], Collection[str]]
    ) -> Iterator[tuple[FileKey, str]]:
        """Yield the files to which a source has a path, with what says so."""
        if b"share" not in content or not any(map(content.__contains__, self._folders)):
            return
        parts = {part for text in strings() for part in _SEPARATOR.split(text)}
        if "share" not in parts:
            return
        for meant, keys in self._keys.items():
            if parts.issuperset(meant):
                for key in keys:
                    yield key, f"has a path to {'/'.join(meant)}"
