"""Lists and extracts originals of a backup, without a stack to put them back into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from slim.backup.reader import Original, open_backup
from slim.errors import UnsafeInputError
from slim.formats.base import Member
from slim.formats.directory import write_directory
from slim.formats.links import LinkResolver
from slim.model.context import RunContext
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.record import EntryType
from slim.publish.staging import check_target, publish, staging
from slim.system.workspace import workspace


def list_originals(
    file: Path, globs: Iterable[str], platforms: Iterable[str], limits: Limits
) -> tuple[Original, ...]:
    """Return the originals in a backup that the globs select. Their contents can't be read.

    Raises the errors of :mod:`slim.errors`.
    """
    with (
        workspace() as folder,
        open_backup(file, RunContext(spool_dir=folder, limits=limits)) as backup,
    ):
        return backup.select(globs, platforms)


def write_originals(
    file: Path,
    target: Path,
    globs: Iterable[str],
    platforms: Iterable[str],
    limits: Limits,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> tuple[tuple[Original, ...], tuple[str, ...]]:
    """Write originals into a fresh folder, as LAYER/path.

    Returns them, and the names of links that were left out because they lead out of the folder.
    Raises the errors of :mod:`slim.errors`; when it does, there is no folder.
    """
    progress = progress or Silent()
    check_target(target, file, force=force)
    with (
        staging(target) as folder,
        open_backup(file, RunContext(spool_dir=folder, limits=limits)) as backup,
    ):
        selected = backup.select(globs, platforms)
        progress.stage("Writing originals", total=len(selected))
        members: dict[str, Member] = {}
        for original in selected:
            backup.check_content(original)
            members[original.place] = replace(original.member, path=original.place)
            progress.advance()
        left_out = set(_leading_out(members, file))
        inside = [members[name] for name in sorted(members) if name not in left_out]
        write_directory(inside, folder / "files")
        publish(folder / "files", target, force=force)
    written = tuple(original for original in selected if original.place not in left_out)
    return written, tuple(sorted(left_out))


def _leading_out(members: Mapping[str, Member], source: Path) -> Iterator[str]:
    """Symbolic links that lead, or could lead, out of the folder that is written."""
    links = {
        name: member.link_target or ""
        for name, member in members.items()
        if member.type is EntryType.SYMLINK
    }
    resolver = LinkResolver(
        source=source,
        links=links,
        exists=members.__contains__,
        key=lambda path: path,
        top=None,
        platform=None,
    )
    for name in links:
        try:
            resolver.resolve(name)
        except UnsafeInputError:
            yield name
