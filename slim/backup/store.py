"""Reads a store of originals: one archive with an index, from anybody, so nothing in it is believed.

What the index says and what the archive holds have to agree, member by member, before anything is
done with either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slim.backup.index import parse_index
from slim.errors import ConfigError, IntegrityError, LimitError, UnsafeInputError
from slim.formats import read_archive
from slim.formats.base import Member, ReadOptions, Tree
from slim.formats.digests import digest_of
from slim.formats.names import display
from slim.model.backup import INDEX_NAME, BackupFile, BackupIndex, BackupLayer, BackupStack
from slim.model.limits import Limits
from slim.model.record import EntryType
from slim.rules.glob import GlobError, compile_glob, compile_regexes

_HINT = "the file was changed after slim wrote it; get it again"


@dataclass(frozen=True, slots=True)
class Original:
    """One original in a store: which stack and layer it is of, what is known about it, and its member."""

    stack: BackupStack
    layer: BackupLayer
    file: BackupFile
    member: Member

    @property
    def deployed_path(self) -> str:
        """The path below the folder that all layers are unpacked into."""
        return f"{self.layer.name}/{self.file.path}"

    @property
    def place(self) -> str:
        """The name in the store: the deployed path, after a folder for its platform where there are several."""
        return self.stack.member_of(self.layer, self.file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A store that is open: every original is there and is what the index says; contents are compared by
    :func:`check_content`."""

    source: Path
    index: BackupIndex
    originals: tuple[Original, ...]


@contextmanager
def open_store(source: Path, *, spool_dir: Path, limits: Limits) -> Iterator[Store]:
    """Open a store and compare its members with its index: names, types, modes, sizes, link targets.

    Raises UnsafeInputError, LimitError and StorageError.
    """
    # Links may lead anywhere here (a venv's do): nothing is created from them without a check of
    # its own.
    options = ReadOptions(spool_dir=spool_dir, limits=limits, anywhere=True)
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
        yield Store(source=source, index=index, originals=tuple(_originals(source, index, tree)))


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
    return UnsafeInputError(message, file=source, place=display(name), hint=_HINT)


def check_content(source: Path, original: Original) -> None:
    """Compare a content with its SHA-256 in the index. Raises IntegrityError."""
    content = original.member.content
    if content is not None and digest_of(content).hex() != original.file.sha256:
        raise IntegrityError(
            "the content's SHA-256 isn't what the index says",
            file=source,
            place=display(original.deployed_path),
            hint=_HINT,
        )


def chosen(originals: Sequence[Original], patterns: Iterable[str]) -> tuple[Original, ...]:
    """The originals that any of the globs selects, by path in the layer or with the layer's name before it; all of
    them where no glob is given.

    Raises ConfigError for a glob that is malformed or that selects nothing, all such globs at once.
    """
    patterns = tuple(patterns)
    if not patterns:
        return tuple(originals)
    picked: dict[int, Original] = {}
    idle: list[str] = []
    for pattern in patterns:
        found = _matching(originals, pattern)
        picked.update(found)
        if not found:
            idle.append(pattern)
    if idle:
        raise ConfigError(
            f"nothing that was kept matches {', '.join(map(display, idle))}",
            hint="slim restore FILE --list shows what there is; globs are as in rules: dir/**, **/*.so, $site/pkg/**",
        )
    return tuple(picked[number] for number in sorted(picked))


def _matching(originals: Sequence[Original], pattern: str) -> dict[int, Original]:
    try:
        glob = compile_glob(pattern)
    except GlobError as error:
        raise ConfigError(f"the glob {display(pattern)!r}: {error}") from None
    regexes = {}
    found = {}
    for number, original in enumerate(originals):
        key = (original.stack.folder, original.layer.name)
        if key not in regexes:
            layer = original.layer.as_layer(original.stack.platform)
            regexes[key] = compile_regexes(glob.regexes(layer), layer)
        regex = regexes[key]
        if regex and (regex.match(original.file.path) or regex.match(original.deployed_path)):
            found[number] = original
    return found
