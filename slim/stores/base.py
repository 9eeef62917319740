"""The interface of a store of blobs: what a folder and a bucket both can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slim.errors import StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A blob as a listing tells it: name in the store, bytes, and time of its last change.

    ``changed`` is in seconds since 1970, by the store's clock.
    """

    name: str
    size: int
    changed: float


class TornError(StorageError):
    """A connection broke while a blob came: what is missing may come at the next attempt."""


class BlobStore(Protocol):
    """Blobs by name, below one place.

    Names are relative, with ``/`` between their parts (see :func:`checked`). A blob appears whole
    or not at all. Every method raises StorageError, with what the store answered, where reading or
    writing fails for good; what may pass (throttling, resets, 5xx) was tried again by then.
    """

    @property
    def url(self) -> str:
        """The place as errors and reports name it: never with credentials in it."""

    @property
    def is_remote(self) -> bool:
        """True where others can write to it over a network."""

    def get(self, name: str, limit: int) -> bytes | None:
        """Return a blob's bytes; None where there is none. LimitError for more than ``limit``."""

    def read(self, name: str, offset: int = 0) -> Iterator[bytes] | None:
        """Return a blob's bytes from ``offset`` on, in pieces; None where there is none.

        A connection that breaks meanwhile is a TornError, raised by the iterator: the caller goes
        on at the offset that it has come to.
        """

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None where there is none."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a blob that mustn't exist yet. False where it exists, which then stays as it is.

        Of several writers exactly one gets True. A writer whose answer got lost, and who tried
        again, may get False for its own blob: compare the bytes.
        """

    def put(self, name: str, data: bytes | Path) -> None:
        """Write a blob, or replace it. A path is a file whose bytes are written, in parts."""

    def list(self, prefix: str = "") -> Iterator[Blob]:
        """Every blob below a folder of the store, by name: ``ac`` lists ``ac/...``."""

    def delete(self, name: str) -> None:
        """Remove a blob. It needn't exist."""


def checked(name: str) -> str:
    """Return a name that is fit for every store. Raises StorageError for one that isn't."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        raise StorageError(f"not a name of a blob: {name!r}")
    return name
