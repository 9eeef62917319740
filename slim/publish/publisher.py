"""Fills the staging folder: new archives or folders, and the manifest with sizes and hashes."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from slim.errors import ConfigError, IntegrityError, StorageError
from slim.formats import DIRECTORY, archive_stem, encoders, format_by_name, is_archive_name
from slim.formats.ahead import Ahead
from slim.formats.base import Format, Member, WriteOptions
from slim.formats.digests import sha256_of
from slim.formats.files import copy_file
from slim.inventory.manifest import ENV_METADATA, FOLDER
from slim.model.context import RunContext
from slim.model.progress import Progress
from slim.model.settings import Effort
from slim.model.stack import ArchiveInfo, Layer, Stack, StackKind
from slim.publish.notes import SLIM_KEY
from slim.reuse.actions import writing_key
from slim.reuse.layers import LayerBlocks, LayerCache
from slim.system.atomic import write_new


@dataclass(frozen=True, slots=True, kw_only=True)
class ReusedArchive:
    """An archive that was published before, and holds the very tree that is to be written.

    It is published again, under its name and build number. Where it isn't at hand (``place`` is
    None), what is written has to have its bytes. ``compression`` is the note of its manifest about
    how it was compressed.
    """

    place: Path | None
    archive: ArchiveInfo
    build: object
    compression: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLayer:
    """A layer ready to be written.

    ``source`` is the archive or folder it was read from, ``source_format`` the name of that format,
    ``root`` the folder that an archive's members lie under. ``carry`` says that the source is to be
    carried over byte for byte, ``reused`` that an archive published before is.
    """

    layer: Layer
    members: Sequence[Member]
    source: Path
    source_format: str
    root: str
    carry: bool = False
    reused: ReusedArchive | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of every content by path, in hexadecimal."""

    @property
    def top(self) -> str:
        """Folder that the members are written below; empty for an archive without one."""
        return self.layer.name if self.source_format == DIRECTORY.name else self.root


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLayer:
    """A layer in the staging folder.

    ``format`` is what it was to be written as, ``archive`` what was written (None for a folder).
    ``reused`` says that it is the archive that was published before.
    """

    new: NewLayer
    place: Path
    format: Format
    archive: ArchiveInfo | None
    reused: bool = False
    key: str | None = None
    """Key of writing it in a cache of results; None where it has none."""
    cached: bool = False
    """True where it was taken from there."""
    blocks: LayerBlocks | None = None
    """Blocks of an archive that was written with a cache of results."""

    @property
    def from_cache(self) -> Sequence[str]:
        """Keys of entries of the cache that bytes of it come from."""
        if self.cached and self.key is not None:
            return (self.key,)
        return () if self.blocks is None else self.blocks.taken


_LEAST_AHEAD: Final = 4 << 20
"""Bytes of members with machine code that are worth compressing while a plan is made."""


class Publisher:
    """Stages the stacks of one run for one output.

    ``folder`` is created, private, and on the output's file system.
    """

    def __init__(
        self,
        output: Path,
        folder: Path,
        *,
        format_name: str | None,
        effort: Effort,
        cache: LayerCache | None = None,
    ) -> None:
        self._output = output
        self._folder = folder
        self._format = format_name
        self._effort = effort
        self.cache = cache
        self._refused: set[str] = set()
        self._single: Path | None = (
            None  # what becomes the output itself, instead of the folder around it
        )
        folder.mkdir()

    def begin(
        self, stack: Stack, likely: Iterable[NewLayer], context: RunContext, ahead: Ahead
    ) -> None:
        """Have blocks compressed that layers are likely to have, while a plan is made.

        ``likely`` has the members with machine code alone. There is a thread fewer than there are
        workers, and room for two encoders is left to the plan and the processes that parse.
        """
        groups, threads = {}, context.workers - 1
        for new in sorted(likely, key=lambda new: (-_size(new), new.layer.name)):
            written_as = self.format_of(stack, new.source_format)
            if written_as.likely is None or _size(new) < _LEAST_AHEAD:
                continue
            threads = min(threads, encoders(context.workers + 1, self._effort, written_as) - 2)
            options = WriteOptions(effort=self._effort, machine=new.layer.platform.machine)
            blocks = written_as.likely(new.members, new.top, options)
            if self.cache is not None:
                known = self.cache.blocks(written_as)
                blocks = (block for block in blocks if known.take(block.key) is None)
            groups[new.layer.name] = blocks
        if groups and threads > 0:
            ahead.begin(groups, threads)

    def write_layers(
        self,
        stack: Stack,
        layers: Sequence[NewLayer],
        context: RunContext,
        ahead: Ahead | None = None,
    ) -> list[WrittenLayer]:
        """Write the layers, as many at a time as have room to be compressed.

        What compresses in blocks does so on a pool that all layers share, so that a layer whose
        blocks are done makes room for another's; what can't does so on the thread that writes.
        ``ahead`` has blocks that were begun, and knows which of them are right.
        """
        progress = context.progress
        progress.stage("Writing layers", total=sum(map(_size, layers)), unit="bytes")
        places = [self._place(stack, new) for new in layers]
        for new in layers:
            if (
                os.path.lexists(self._place(stack, new))
                or places.count(self._place(stack, new)) > 1
            ):
                raise ConfigError(
                    f"two stacks both write {self._place(stack, new).name!r}",
                    file=stack.source,
                    hint="run slim on one --platform at a time, or publish with --tag-outputs",
                )
        encoding = min(
            (
                encoders(context.workers, self._effort, self.format_of(stack, new.source_format))
                for new in layers
            ),
            default=1,
        )
        writing = max(1, min(encoding, len(layers)))
        with (
            ThreadPoolExecutor(max_workers=encoding) as compressors,
            ThreadPoolExecutor(max_workers=writing) as writers,
        ):
            options = WriteOptions(
                executor=compressors,
                workers=encoding,
                threads=encoding // writing,
                effort=self._effort,
                begun=ahead,
            )
            if ahead is not None:
                ahead.occupy(compressors)
            # The largest first, so that the last one to finish is a small one.
            order = sorted(layers, key=lambda new: (-_size(new), new.layer.name))
            futures = {
                new.layer.name: writers.submit(self._write, stack, new, options, progress)
                for new in order
            }
            try:
                return [futures[new.layer.name].result() for new in layers]
            except BaseException:  # an interruption, too: what hasn't begun won't
                if ahead is not None:
                    ahead.stop()
                writers.shutdown(wait=False, cancel_futures=True)
                compressors.shutdown(wait=False, cancel_futures=True)
                raise

    def format_of(self, stack: Stack, source_format: str) -> Format:
        """Return the format in which a layer is written that was read as one of that name."""
        if self._format is not None:
            return format_by_name(self._format)
        if stack.kind in (StackKind.PUBLISHED, StackKind.ARCHIVE):
            return format_by_name(source_format)
        return DIRECTORY

    def _place(self, stack: Stack, new: NewLayer) -> Path:
        written_as = self.format_of(stack, new.source_format)
        if written_as is DIRECTORY:
            return self._folder / new.layer.name
        if new.reused is not None and new.reused.place is not None:
            return self._folder / new.reused.archive.name
        if new.layer.archive is None:
            return self._folder / f"{new.layer.name}{written_as.suffixes[0]}"
        name = new.layer.archive.name
        if written_as.name == new.source_format:
            return self._folder / name
        return self._folder / f"{archive_stem(name)}{written_as.suffixes[0]}"

    def _write(
        self, stack: Stack, new: NewLayer, options: WriteOptions, progress: Progress
    ) -> WrittenLayer:
        place = self._place(stack, new)
        written_as = self.format_of(stack, new.source_format)
        size = _size(new)
        root = new.top
        options = replace(options, machine=new.layer.platform.machine)
        key, cached, blocks = None, False, None
        try:
            if written_as is DIRECTORY:
                written_as.write(iter(new.members), root, place, options)
                progress.advance(size)
                if stack.kind is StackKind.FOLDER:
                    self._single = place
                return WrittenLayer(new=new, place=place, format=written_as, archive=None)
            if new.reused is not None and new.reused.place is not None:
                copy_file(new.reused.place, place)
            elif new.carry and place.name == new.source.name:
                copy_file(new.source, place)
            else:
                if self.cache is not None:
                    effort, machine = options.effort, options.machine
                    key = writing_key(new.members, new.digests, root, written_as, effort, machine)
                usable = self.cache if key is not None and key not in self._refused else None
                cached = usable is not None and key is not None and usable.take(key, place)
                if not cached:
                    blocks = None if usable is None else usable.blocks(written_as)
                    options = replace(options, blocks=blocks)
                    written_as.write(iter(new.members), root, place, options)
            progress.advance(size)
            archive = ArchiveInfo(
                name=place.name, size=place.stat().st_size, sha256=sha256_of(place)
            )
            before = new.reused is not None and new.reused.place is not None
            if (
                new.carry
                and not before
                and new.layer.archive is not None
                and place.name == new.source.name
            ):
                _check_carried(archive, new.layer.archive, new.source)
        except OSError as error:
            raise StorageError.from_os_error(error, file=error.filename or place) from None
        if stack.kind is StackKind.ARCHIVE and is_archive_name(self._output.name):
            self._single = place
        written = WrittenLayer(
            new=new,
            place=place,
            format=written_as,
            archive=archive,
            key=key,
            cached=cached,
            blocks=blocks,
        )
        return written if new.reused is None else self._as_reused(written, new.reused)

    def rewrite(
        self, stack: Stack, refused: WrittenLayer, why: str, context: RunContext
    ) -> WrittenLayer:
        """Write a layer anew whose archive, or blocks, of the cache were the wrong ones."""
        assert self.cache is not None and refused.key is not None
        self._refused.add(refused.key)
        for key in refused.from_cache:
            self.cache.refuse(key, why)
        try:
            refused.place.unlink()
        except OSError as error:
            raise StorageError.from_os_error(error, file=refused.place) from None
        return self.write_layers(stack, [refused.new], context)[0]

    def _as_reused(self, written: WrittenLayer, reused: ReusedArchive) -> WrittenLayer:
        """The layer under the name that it had before, if it has the bytes that it had before."""
        assert written.archive is not None
        if written.archive.sha256 != reused.archive.sha256:
            if reused.place is not None:
                raise IntegrityError(
                    "changed while slim was reading it", file=reused.place, hint="start again"
                )
            return written
        place = self._folder / reused.archive.name
        if place != written.place:
            if os.path.lexists(place):
                return written
            written.place.rename(place)
        return replace(written, place=place, archive=reused.archive, reused=True)

    def write_manifest(
        self,
        stack: Stack,
        written: Iterable[WrittenLayer],
        notes: Mapping[str, Mapping[str, object]],
    ) -> None:
        """Write the manifest and ``env_metadata`` again.

        They get the new archive names, sizes and hashes, and ``notes`` (by layer) under the key
        :data:`SLIM_KEY`; the old build number where the old archive was reused. Every other key is
        carried over as it was.
        """
        if stack.manifest_name is None:
            if stack.kind is StackKind.BUILD:
                self._copy_builds(stack)
            return
        manifest = copy.deepcopy(dict(stack.manifest))
        by_target = {one.new.layer.name: one for one in written}
        for section in cast(dict[str, list[dict[str, Any]]], manifest["layers"]).values():
            for entry in section if isinstance(section, list) else []:
                one = by_target.get(entry["install_target"])
                if one is None:
                    continue
                _update(entry, one.archive, notes.get(one.new.layer.name))
                if one.reused and one.new.reused is not None and one.new.reused.build is not None:
                    entry["archive_build"] = one.new.reused.build
                name = stack.metadata_names.get(one.new.layer.name)
                if name is not None:
                    _write_json(self._folder / FOLDER / ENV_METADATA / name, entry)
        _write_json(self._folder / FOLDER / stack.manifest_name, manifest)

    def add_files(self, files: Mapping[str, Path]) -> None:
        """Copy files to their paths below the set. Raises ConfigError where one lies already."""
        for name, source in sorted(files.items()):
            place = self._folder / name
            if os.path.lexists(place):
                raise ConfigError(
                    f"two stacks both write {name!r}",
                    file=source,
                    hint="run slim on one --platform at a time, or publish with --tag-outputs",
                )
            place.parent.mkdir(parents=True, exist_ok=True)
            copy_file(source, place)

    def _copy_builds(self, stack: Stack) -> None:
        for layer in stack:
            name = f"{layer.name}.last-build.json"
            if (Path(stack.source) / name).is_file():
                copy_file(Path(stack.source) / name, self._folder / name)

    def staged(self) -> Path:
        """Return the file or folder that is to be published.

        That is the folder of the set; the tree itself where the input was a plain folder; the one
        archive where the input was one and the output is named like one.
        """
        return self._single or self._folder


def _size(new: NewLayer) -> int:
    return sum(member.size for member in new.members)


def _check_carried(copied: ArchiveInfo, wanted: ArchiveInfo, source: Path) -> None:
    if copied.sha256 != wanted.sha256:
        hint = "nothing else may write to the stack during a run; start again"
        raise IntegrityError("changed while slim was copying it", file=source, hint=hint)


def _update(
    entry: dict[str, Any], archive: ArchiveInfo | None, note: Mapping[str, object] | None
) -> None:
    if archive is not None:
        entry["archive_name"] = archive.name
        entry["archive_size"] = archive.size
        entry["archive_hashes"] = {"sha256": archive.sha256}
    if note is not None:
        entry[SLIM_KEY] = dict(note)


def json_text(value: Mapping[str, object]) -> str:
    """JSON the way venvstacks writes it: sorted keys, two spaces, a final newline."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_new(path, json_text(value).encode())
