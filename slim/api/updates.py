"""Update packages: making, reading and applying them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from slim.api.common import PathName
from slim.api.stage_log import logged_stages

if TYPE_CHECKING:
    from slim.config.settings import Config
    from slim.model.delta import Delta, DeltaApplied, DeltaMade
    from slim.model.progress import Progress
    from slim.model.settings import Effort


def make_delta(
    old: PathName,
    new: PathName,
    output: PathName,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[DeltaMade, ...]:
    """Write what a client that has ``old`` needs to get ``new``, into the folder ``output``.

    For each layer that changed that is a patch, or the whole archive where that is smaller. Both
    are published stacks, exports, archives or folders; neither is changed. Returns one result for
    each platform.
    """
    from slim.config.settings import Config
    from slim.delta import create

    request = create.MakeRequest(
        old=Path(old),
        new=Path(new),
        output=Path(output),
        limits=(config or Config()).limits,
        platforms=tuple(platforms),
        force=force,
    )
    with logged_stages(progress) as observed:
        return create.make(request, observed)


def read_delta(folder: PathName) -> Delta:
    """Return what the update package in ``folder`` holds. Nothing is applied."""
    from slim.delta import document

    return document.read(Path(folder))


def apply_delta(
    old: PathName,
    delta: PathName,
    output: PathName,
    *,
    config: Config | None = None,
    format: str | None = None,
    effort: Effort | None = None,
    platforms: Iterable[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[DeltaApplied, ...]:
    """Restore the new stack from the old one and an update package.

    ``old`` is the published stack, or the folder that its layers were unpacked into; ``delta`` is
    what :func:`make_delta` wrote. ``format`` names what layers are written as (a format of
    archives, or ``folder``); None means what the old ones are. ``effort`` is how hard to compress;
    None means as hard as the manifest of the new stack says, which gives the published bytes.

    Raises :class:`~slim.errors.IntegrityError` where the old stack isn't the one that the delta was
    made from, and the errors of reading; then nothing was published.
    """
    from slim.config.settings import Config
    from slim.delta import apply

    config = config or Config()
    request = apply.ApplyRequest(
        old=Path(old),
        delta=Path(delta),
        output=Path(output),
        limits=config.limits,
        format=format,
        platforms=tuple(platforms),
        force=force,
        workers=config.workers,
        effort=effort,
    )
    with logged_stages(progress) as observed:
        return apply.apply(request, observed)
