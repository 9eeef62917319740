"""Reads backups. They are untrusted, as any other input.

Index and archive have to agree, member by member, before anything is done with either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slim.backup.index import CHANGED_HINT, parse_index
from slim.errors import ConfigError, IntegrityError, LimitError, UnsafeInputError
from slim.formats import read_archive
from slim.formats.base import Member, ReadOptions, Tree
from slim.formats.digests import digest_of
from slim.formats.names import display
from slim.model.backup import INDEX_NAME, BackupFile, BackupIndex, BackupLayer, BackupStack
from slim.model.context import RunContext
from slim.model.record import EntryType
from slim.rules.glob import GlobError, compile_glob


@dataclass(frozen=True, slots=True)
class Original:
    """Original in a backup: its stack and layer, its entry in the index, and its member."""

    stack: BackupStack
    layer: BackupLayer
    file: BackupFile
    member: Member

    @property
    def deployed_path(self) -> str:
        """Path below the folder that all layers are unpacked into."""
        return f"{self.layer.name}/{self.file.path}"

    @property
    def place(self) -> str:
        """Name in the backup: the deployed path, below a folder if there are several stacks."""
        return self.stack.member_of(self.layer, self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """Backup that is open. Its members are those of the index.

    Contents haven't been compared yet: :meth:`check_content` does.
    """

    source: Path
    index: BackupIndex
    originals: tuple[Original, ...]

    def check_content(self, original: Original) -> None:
        """Compare a content with its SHA-256 in the index. Raises IntegrityError if it differs."""
        content = original.member.content
        if content is not None and digest_of(content).hex() != original.file.sha256:
            raise IntegrityError(
                "the content's SHA-256 isn't what the index says",
                file=self.source,
                place=display(original.deployed_path),
                hint=CHANGED_HINT,
            )

    def select(self, globs: Iterable[str], platforms: Iterable[str] = ()) -> tuple[Original, ...]:
        """Return the originals of the platforms (all, if empty) that any of the globs selects.

        Without a glob those are all. Globs are matched with the path in the layer, and with that
        after the layer's name. Raises ConfigError for a platform that isn't there, and for globs
        that are malformed or select nothing.
        """
        originals, globs = self._of_platforms(platforms), tuple(globs)
        if not globs:
            return tuple(originals)
        selected: dict[int, Original] = {}
        idle: list[str] = []
        for glob in globs:
            matching = _matching(originals, glob)
            selected.update(matching)
            if not matching:
                idle.append(glob)
        if idle:
            raise ConfigError(
                f"nothing that was kept matches {', '.join(map(display, idle))}",
                hint="slim restore FILE --list shows what there is; "
                "globs are as in rules: dir/**, **/*.so, $site/pkg/**",
            )
        return tuple(selected[number] for number in sorted(selected))

    def _of_platforms(self, platforms: Iterable[str]) -> list[Original]:
        wanted = set(platforms)
        there = {stack.platform.tag for stack in self.index.stacks}
        if wanted - there:
            raise ConfigError(
                f"nothing was kept of platform {', '.join(sorted(wanted - there))}",
                file=self.source,
                hint=f"there is: {', '.join(sorted(there))}",
            )
        return [
            original
            for original in self.originals
            if not wanted or original.stack.platform.tag in wanted
        ]


@contextmanager
def open_backup(source: Path, context: RunContext) -> Iterator[Backup]:
    """Open a backup and compare its members with its index: names, types, modes, sizes, links.

    Raises UnsafeInputError, LimitError and StorageError.
    """
    # Links may lead anywhere (a venv's do). What creates files of them checks where they lead.
    limits = context.limits
    options = ReadOptions(spool_dir=context.spool_dir, limits=limits, anywhere=True)
    with read_archive(source, options) as tree:
        index_member = tree.members.get(INDEX_NAME)
        if index_member is None or index_member.content is None:
            raise UnsafeInputError(
                f"has no {INDEX_NAME}: this isn't a file that slim run --keep-removed wrote",
                file=source,
                hint="give the FILE of --keep-removed FILE, not a layer's archive",
            )
        if index_member.size > limits.metadata_file:
            raise LimitError(
                f"{index_member.size} bytes of {INDEX_NAME}, more than {limits.metadata_file}",
                file=source,
                hint="raise the limit metadata_file if that is right",
            )
        index = parse_index(bytes(index_member.content.view()), source=source, limits=limits)
        yield Backup(source=source, index=index, originals=tuple(_originals(source, index, tree)))


def _originals(source: Path, index: BackupIndex, tree: Tree) -> Iterator[Original]:
    named = {INDEX_NAME}
    for stack, layer, file in index:
        name = stack.member_of(layer, file)
        member = tree.members.get(name)
        if member is None:
            raise _differs(source, name, "the index names it, but it isn't there")
        if name in named:
            raise _differs(source, name, "the index names it twice")
        named.add(name)
        kind = EntryType.FILE if file.type is EntryType.HARDLINK else file.type
        if (member.type, member.size, member.mode) != (kind, file.size, file.mode):
            raise _differs(source, name, "type, size or mode aren't what the index says")
        if kind is EntryType.SYMLINK and member.link_target != file.link_target:
            raise _differs(source, name, "the link's target isn't what the index says")
        yield Original(stack=stack, layer=layer, file=file, member=member)
    for path, member in tree.members.items():
        if path not in named and member.type is not EntryType.DIRECTORY:
            raise _differs(source, path, "the index doesn't name it")


def _differs(source: Path, name: str, message: str) -> UnsafeInputError:
    return UnsafeInputError(message, file=source, place=display(name), hint=CHANGED_HINT)


def _matching(originals: Sequence[Original], pattern: str) -> dict[int, Original]:
    """Return the originals that a glob selects, by their index in the sequence."""
    try:
        glob = compile_glob(pattern)
    except GlobError as error:
        raise ConfigError(f"the glob {display(pattern)!r}: {error}") from None
    regexes = {}
    matching = {}
    for number, original in enumerate(originals):
        key = (original.stack.folder, original.layer.name)
        if key not in regexes:
            layer = original.layer.as_layer(original.stack.platform)
            regexes[key] = glob.compile(layer)
        regex = regexes[key]
        if regex and (regex.match(original.file.path) or regex.match(original.deployed_path)):
            matching[number] = original
    return matching
