"""The table of sources, and how each gets to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slim.sources.base import Holds, Scheme, Source
from slim.sources.git import GIT
from slim.sources.path import PATH
from slim.system.workspace import workspace

SCHEMES: tuple[Scheme, ...] = (PATH, GIT)
"""Every kind of source; the first that recognises a text and holds what is wanted is taken."""


def parse(text: str | Path, *, wanted: Holds = Holds.STACK) -> Source:
    """Return the source that a text names; a path where no scheme recognises it."""
    words = str(text)
    for scheme in SCHEMES:
        if scheme.holds & wanted and scheme.recognises(words):
            return Source(text=words, scheme=scheme)
    return Source(text=words, scheme=PATH)


@contextmanager
def fetched(source: str | Path | Source) -> Iterator[Path]:
    """Yield the file or folder of a source, which is there during the block.

    A text names a stack. Raises ConfigError and StorageError for what can't be fetched; a path
    needn't exist: what reads it tells.
    """
    known = source if isinstance(source, Source) else parse(source)
    if known.scheme.fetch is None:
        yield Path(known.text)
        return
    with workspace() as folder:
        yield known.scheme.fetch(known.text, folder)
