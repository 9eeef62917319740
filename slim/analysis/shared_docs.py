"""Documentation below ``share`` to which code of another distribution puts a path together.

``os.path.join(sys.prefix, "share", "doc", "pkg", "index.html")``: what counts is that one file has
every part of the path in its strings. Or code starts ``man``, which finds the manual pages beside
the programs of its own distribution.

Source: manpath(5) (``bin`` in ``PATH``, and ``share/man`` beside it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from slim.model.record import FileKey, FileRecord

_SEPARATOR = re.compile(r"[/\\]")
_FOLDERS = ("man", "doc", "info", "gtk-doc")
_OF_PACKAGES = ("doc", "gtk-doc")
"""Folders of ``share`` in which each package has a folder of its own."""
_VIEWERS = ("man", "info")
"""Programs that show what lies in the folder of ``share`` of the same name."""
_STARTS = re.compile(rb"subprocess|[pP]open|\bsystem\b|\bexec[lv]|\bspawn[lv]|pexpect|\bsh\b")


def shared_folder(path: str) -> str:
    """Folder of ``share`` that holds documentation in which a file lies; empty for others."""
    first, _, rest = path.partition("/")
    folder = rest.partition("/")[0]
    return folder if first == "share" and folder in _FOLDERS else ""


def shown_folders(content: bytes, strings: Iterable[str]) -> Iterator[str]:
    """Yield the folders of ``share`` that a program shows which a source starts: ``man``."""
    if _STARTS.search(content) is not None:
        words = {text.partition(" ")[0] for text in strings}
        yield from (viewer for viewer in _VIEWERS if viewer in words)


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
