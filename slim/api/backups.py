"""Bringing back what a run removed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from slim.api.common import PathName
from slim.api.remote import places
from slim.api.stage_log import logged_stages

if TYPE_CHECKING:
    from slim.backup.reader import Original
    from slim.config.settings import Config
    from slim.model.backup import ExtractedOriginals, Restored, StoredOriginal
    from slim.model.progress import Progress


def restore(
    backup: PathName,
    stack: PathName,
    output: PathName,
    globs: Iterable[str] = (),
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    force: bool = False,
    unsafe_store: bool = False,
    progress: Progress | None = None,
) -> tuple[Restored, ...]:
    """Put originals back into the stack that a run wrote, and write the result to ``output``.

    ``backup`` is the archive of ``run(keep_removed=...)``, ``stack`` what that run published; it
    isn't changed. Without ``globs`` everything comes back, and every layer is checked to be the
    original again. Globs select paths in a layer, or ``LAYER/path``; RECORD, sizes and hashes of
    the result are true either way. Each of the three may be a URL of an object store;
    ``unsafe_store`` as for :func:`slim.run`. Returns one result for each manifest.
    """
    from slim.backup import restore as restoring
    from slim.config.settings import Config

    config, platforms = config or Config(), tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        target = here.output(output, force=force, unsafe_store=unsafe_store)
        request = restoring.RestoreRequest(
            source=here.publishable(stack),
            backup=here.input(backup),
            output=target,
            globs=tuple(globs),
            platforms=platforms,
            limits=config.limits,
            workers=config.workers,
            effort=config.effort,
            force=force,
        )
        return here.renamed(restoring.restore(request, observed))


def list_originals(
    backup: PathName,
    globs: Iterable[str] = (),
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
) -> tuple[StoredOriginal, ...]:
    """Return what ``backup`` holds, or what of it ``globs`` select, in the order of the archive.

    ``backup`` is a path, or the URL of an archive of originals.
    """
    from slim.backup import extract
    from slim.config.settings import Config

    limits = (config or Config()).limits
    with logged_stages(None) as observed, places(observed) as here:
        return _stored(extract.list_originals(here.input(backup), globs, platforms, limits))


def extract_originals(
    backup: PathName,
    folder: PathName,
    globs: Iterable[str] = (),
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> ExtractedOriginals:
    """Write originals of ``backup`` into the new ``folder``, as ``LAYER/path``, to look at.

    ``backup`` is a path, or the URL of an archive of originals. Without ``globs`` all of them.
    Symbolic links that lead out of the folder are left out, and named in the result.
    """
    from slim.backup import extract
    from slim.config.settings import Config
    from slim.model.backup import ExtractedOriginals

    limits = (config or Config()).limits
    with logged_stages(progress) as observed, places(observed) as here:
        written, left_out = extract.write_originals(
            here.input(backup),
            Path(folder),
            globs,
            platforms,
            limits,
            force=force,
            progress=observed,
        )
    return ExtractedOriginals(folder=str(folder), originals=_stored(written), left_out=left_out)


def _stored(originals: Iterable[Original]) -> tuple[StoredOriginal, ...]:
    from slim.backup.index import file_document
    from slim.model.backup import StoredOriginal

    return tuple(
        StoredOriginal(
            place=original.place, file=original.file, document=file_document(original.file)
        )
        for original in originals
    )
