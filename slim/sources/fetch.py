"""The table of sources, and how each gets to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from slim.errors import SlimError
from slim.sources.base import Holds, Scheme, Source, Wish
from slim.sources.git import GIT
from slim.sources.path import PATH
from slim.sources.store import STORE
from slim.system.urls import is_url
from slim.system.workspace import workspace

SCHEMES: tuple[Scheme, ...] = (PATH, STORE, GIT)
"""Every kind of source; the first that recognises a text and holds what is wanted is taken."""


def parse(text: str | Path, *, wanted: Holds = Holds.STACK) -> Source:
    """Return the source that a text names; a path where no scheme recognises it."""
    words = str(text)
    for scheme in SCHEMES:
        if scheme.holds & wanted and scheme.recognises(words):
            return Source(text=words, scheme=scheme)
    return Source(text=words, scheme=PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """A source that is on this machine: ``path`` is its place here, in the folder ``private``.

    ``private`` is None where nothing had to be brought.
    """

    source: Source
    path: Path
    private: Path | None

    def shown(self, text: str) -> str:
        """Return a path of what was brought as a user would name it; other texts stay."""
        path = PurePath(text)
        if self.private is None or self.private not in path.parents:
            return text
        if not is_url(self.source.text):
            return self.source.text
        top, *inner = path.relative_to(self.private).parts
        parts = self.source.text.rstrip("/").split("/")
        if top in parts[3:]:  # the folder of the release, or the file
            parts = parts[: len(parts) - parts[::-1].index(top)]
        return "/".join((*parts, *inner))


@contextmanager
def brought(source: str | Path | Source, wish: Wish | None = None) -> Iterator[Brought]:
    """Yield a source whose files are on this machine during the block.

    A text names a stack. Errors name files as the user does, not their copies here. Raises
    ConfigError and StorageError for what can't be fetched; a path needn't exist: what reads it
    tells.
    """
    known = source if isinstance(source, Source) else parse(source)
    if known.scheme.fetch is None:
        yield Brought(source=known, path=Path(known.text), private=None)
        return
    with workspace() as folder:
        here = Brought(source=known, path=folder, private=folder)
        try:
            place = known.scheme.fetch(known.text, folder, wish or Wish())
            yield replace(here, path=place)
        except SlimError as error:
            if error.file is not None:
                error.file = here.shown(error.file)
            raise


@contextmanager
def fetched(source: str | Path | Source, wish: Wish | None = None) -> Iterator[Path]:
    """Yield the file or folder of a source, likewise."""
    with brought(source, wish) as here:
        yield here.path
