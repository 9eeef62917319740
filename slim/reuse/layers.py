"""Archives of layers that were written before, by exactly what went into the writer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slim.model.stack import ArchiveInfo
from slim.reuse.actions import LAYER
from slim.reuse.cache import HEX, ResultCache


class LayerCache:
    """The archives of a run that come from a cache, and those that go into it."""

    def __init__(self, results: ResultCache) -> None:
        self._results = results

    def take(self, key: str, place: Path) -> bool:
        """Write the archive of a key to ``place``. False where there is none to be had."""
        body = self._results.get(LAYER, key)
        if body is None:
            return False
        archive = _archive_of(body)
        if archive is None:
            self._results.drop(key, "it names no archive")
            return False
        return self._results.fetch(*archive, place)

    def refuse(self, key: str, why: str) -> None:
        """Drop an entry whose archive isn't what was to be written."""
        self._results.drop(key, why)

    def store(self, key: str, place: Path, archive: ArchiveInfo) -> None:
        """Store an archive that was written, read back, and found right."""
        if self._results.add(place, archive.sha256, archive.size):
            self._results.put(LAYER, key, {"blobs": {archive.sha256: archive.size}})


def _archive_of(body: Mapping[str, Any]) -> tuple[str, int] | None:
    blobs = body.get("blobs")
    if not isinstance(blobs, dict) or len(blobs) != 1:
        return None
    ((sha256, size),) = blobs.items()
    return (sha256, size) if HEX.match(sha256) and type(size) is int and size >= 0 else None
