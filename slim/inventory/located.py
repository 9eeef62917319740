"""Stacks that were found and aren't open yet: their layers, and where each is read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slim.errors import IntegrityError
from slim.formats.digests import sha256_of
from slim.model.progress import Progress, Silent
from slim.model.stack import Stack, StackKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A stack as its manifest tells it, and the archive or folder of each layer, by name."""

    stack: Stack
    places: Mapping[str, Path]

    @property
    def kind(self) -> StackKind:
        """The kind of thing that was found."""
        return self.stack.kind

    @property
    def is_deployed(self) -> bool:
        """True for layers that an installer has unpacked and finished."""
        return self.kind is StackKind.EXPORT and self.stack.manifest_name is None


def check_archives(located: Located, progress: Progress | None = None) -> None:
    """Compare size and SHA-256 of every archive with the manifest.

    Raises IntegrityError for the first that differs.
    """
    progress = progress or Silent()
    progress.stage("Checking archives", total=len(located.places))
    for layer in located.stack:
        place = located.places[layer.name]
        if layer.archive is not None and located.kind is StackKind.PUBLISHED:
            hint = (
                "the archive was changed or cut after it was published; "
                "publish or download it again"
            )
            size = place.stat().st_size
            if size != layer.archive.size:
                raise IntegrityError(
                    f"has {size} bytes, but the manifest says {layer.archive.size}",
                    file=place,
                    hint=hint,
                )
            digest = sha256_of(place)
            if digest != layer.archive.sha256:
                raise IntegrityError(
                    f"has SHA-256 {digest}, but the manifest says {layer.archive.sha256}",
                    file=place,
                    hint=hint,
                )
        progress.advance()
