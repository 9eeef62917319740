"""Update packages: making, reading and applying them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from slim.api.common import PathName
from slim.api.remote import places
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
    cache: PathName | None = None,
    unsafe_store: bool = False,
    progress: Progress | None = None,
) -> tuple[DeltaMade, ...]:
    """Write what a client that has ``old`` needs to get ``new``, into the folder ``output``.

    For each layer that changed that is a patch, or the whole archive where that is smaller. Both
    are published stacks, exports, archives or folders, or URLs of stacks; neither is changed.
    ``output`` may be a URL, too: a place of its own; ``unsafe_store`` as for :func:`slim.run`.
    ``cache`` is a folder or URL of a cache of results: updates that were made before are taken from
    there. Returns one result for each platform.
    """
    from slim.config.settings import Config
    from slim.delta import create
    from slim.delta.document import NAME

    platforms = tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        target = here.output(output, force=force, unsafe_store=unsafe_store, index=NAME)
        request = create.MakeRequest(
            old=here.input(old),
            new=here.input(new),
            output=target,
            limits=(config or Config()).limits,
            platforms=platforms,
            force=force,
            cache=None if cache is None else str(cache),
        )
        return here.renamed(create.make(request, observed))


def read_delta(folder: PathName) -> Delta:
    """Return what the update package in ``folder`` holds. Nothing is applied."""
    from slim.delta import document

    with logged_stages(None) as observed, places(observed) as here:
        return document.read(here.input(folder))


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
    unsafe_store: bool = False,
    progress: Progress | None = None,
) -> tuple[DeltaApplied, ...]:
    """Restore the new stack from the old one and an update package.

    ``old`` is the published stack, or the folder that its layers were unpacked into; ``delta`` is
    what :func:`make_delta` wrote. ``format`` names what layers are written as (a format of
    archives, or ``folder``); None means what the old ones are. ``effort`` is how hard to compress;
    None means as hard as the manifest of the new stack says, which gives the published bytes.
    ``unsafe_store`` lets ``output`` lie in a store that ignores create-only writes.

    Raises :class:`~slim.errors.IntegrityError` where the old stack isn't the one that the delta was
    made from, and the errors of reading; then nothing was published.
    """
    from slim.config.settings import Config
    from slim.delta import apply
    from slim.delta.layers import FOLDERS

    config, platforms = config or Config(), tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        target = here.output(output, force=force, unsafe_store=unsafe_store)
        request = apply.ApplyRequest(
            old=here.publishable(old, unpacked=format == FOLDERS),
            delta=here.input(delta),
            output=target,
            limits=config.limits,
            format=format,
            platforms=platforms,
            force=force,
            workers=config.workers,
            effort=effort,
        )
        return here.renamed(apply.apply(request, observed))
