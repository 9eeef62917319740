"""Places that a command writes to, and those that it reads: they are told apart beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from slim.errors import ConfigError
from slim.system.urls import is_url

Place = Path | str | None
"""A path, a URL, or nothing: an option that wasn't given."""


def check_apart(
    target: Place,
    read: Iterable[Place],
    *,
    what: str = "the output",
    earlier: Place = None,
    added_to: bool = False,
) -> None:
    """Refuse a target that would replace a file that is read, or lie in a folder that is.

    ``earlier`` is a stack that was published before: the target may take its place as a whole. A
    folder that is only ``added_to`` may hold what is read. Raises :class:`ConfigError`.
    """
    here = local(target)
    if here is None:
        return
    for place in (*read, earlier):
        there = local(place)
        if there is None:
            continue
        folder = stack_folder(there) if place is earlier else there
        harm = ""
        if place is earlier and here == folder:
            continue
        if here.exists() and (here == there or (here in there.parents and not added_to)):
            harm = "replace what is read"
        elif folder.is_dir() and folder in here.parents:
            harm = "lie in what is read"
        if harm:
            raise ConfigError(
                f"{what} would {harm}: {place}",
                file=Path(str(target)),
                hint="choose another place",
            )


def local(place: Place) -> Path | None:
    """Return where a place really is; None for URLs, and for nothing."""
    return None if place is None or is_url(str(place)) else Path(place).resolve()


def stack_folder(place: Path) -> Path:
    """Return the folder of a published stack, of which a manifest may be given."""
    folder = place.parent
    return folder.parent if folder.name == "__venvstacks__" and not place.is_dir() else place
