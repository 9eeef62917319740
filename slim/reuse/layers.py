"""Archives of layers that were written before, by exactly what went into the writer.

Where a layer changed, most blocks of its archive may still be those of the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slim.formats.base import Format
from slim.model.stack import ArchiveInfo
from slim.reuse.actions import BLOCK, LAYER, block_key
from slim.reuse.cache import HEX, ResultCache


class LayerBlocks:
    """The blocks of one archive: those that come from a cache, and where all of them lie.

    For several threads at a time.
    """

    def __init__(self, results: ResultCache, written_as: Format) -> None:
        self._results = results
        self._format = written_as
        self.taken: list[str] = []
        """Keys of entries that blocks were taken from."""
        self.places: dict[str, tuple[int, int]] = {}
        """Offset and length in the archive, by the key of an entry; bytes."""

    def take(self, key: str) -> bytes | None:
        """Return a block; None where none is known."""
        entry = block_key(key, self._format)
        body = None if entry is None else self._results.get(BLOCK, entry)
        if entry is None or body is None:
            return None
        archive, at, length = _archive_of(body), body.get("at"), body.get("length")
        if archive is None or type(at) is not int or type(length) is not int:
            self._results.drop(entry, "it names no block")
            return None
        if at < 0 or not 0 < length <= archive[1]:
            self._results.drop(entry, "its block lies in no archive")
            return None
        data = self._results.piece(archive[0], at, length)
        if data is not None:
            self.taken.append(entry)
        return data

    def refuse(self, key: str, why: str) -> None:
        """Drop the entry of a block that isn't what its key says."""
        entry = block_key(key, self._format)
        if entry is not None:
            self.taken.remove(entry)
            self._results.drop(entry, why)

    def made(self, key: str, at: int, length: int) -> None:
        """Note that a block lies at that offset of the archive; bytes."""
        entry = block_key(key, self._format)
        if entry is not None:
            self.places[entry] = (at, length)


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

    def blocks(self, written_as: Format) -> LayerBlocks:
        """Return the blocks that a new archive of this format may take."""
        return LayerBlocks(self._results, written_as)

    def refuse(self, key: str, why: str) -> None:
        """Drop an entry whose archive, or block, isn't what was to be written."""
        self._results.drop(key, why)

    def store(
        self, key: str, place: Path, archive: ArchiveInfo, blocks: LayerBlocks | None
    ) -> None:
        """Store an archive that was written, read back, and found right, and where its blocks lie.

        Entries of blocks that were taken lead to this archive from now on.
        """
        if self._results.add(place, archive.sha256, archive.size):
            blobs = {archive.sha256: archive.size}
            self._results.put(LAYER, key, {"blobs": blobs})
            for entry, (at, length) in blocks.places.items() if blocks is not None else ():
                self._results.put(BLOCK, entry, {"blobs": blobs, "at": at, "length": length})


def _archive_of(body: Mapping[str, Any]) -> tuple[str, int] | None:
    blobs = body.get("blobs")
    if not isinstance(blobs, dict) or len(blobs) != 1:
        return None
    ((sha256, size),) = blobs.items()
    return (sha256, size) if HEX.match(sha256) and type(size) is int and size >= 0 else None
