"""Sizes, and how they change. All of them are bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The sizes that matter to somebody who ships a layer.

    ``archive`` is what is downloaded (0 where the layer isn't an archive), ``unpacked`` the content
    of all files, ``bytecode`` the estimate of what the post-install step compiles on top, ``files``
    the number of files and links.
    """

    archive: int = 0
    unpacked: int = 0
    bytecode: int = 0
    files: int = 0

    @property
    def deployed(self) -> int:
        """Unpacked plus the bytecode that the post-install step will write."""
        return self.unpacked + self.bytecode

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(
            archive=self.archive + other.archive,
            unpacked=self.unpacked + other.unpacked,
            bytecode=self.bytecode + other.bytecode,
            files=self.files + other.files,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FootprintDelta:
    """One row of an account: ``before - removed - shrunk == after``, exactly, in bytes of content.

    ``label`` names the layer, owner, category, pass or rule that the row is about; ``files`` counts
    files before, ``files_removed`` those that go, ``files_rewritten`` those that shrink or change.
    """

    label: str
    before: int = 0
    """Bytes of all its files before."""
    removed: int = 0
    """Bytes of those that go."""
    shrunk: int = 0
    """Bytes by which those shrink that are rewritten."""
    files: int = 0
    files_removed: int = 0
    files_rewritten: int = 0

    @property
    def after(self) -> int:
        """Bytes that are left."""
        return self.before - self.removed - self.shrunk

    @property
    def saved(self) -> int:
        """Bytes that went, either way."""
        return self.removed + self.shrunk
