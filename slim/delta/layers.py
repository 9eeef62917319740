"""Makes the layers of the new stack from the old ones and a delta, and writes them.

The delta is untrusted. Every layer that is written has the digest that the delta promises, and the
old layers are never written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from slim.delta.files import file_of, regular_file
from slim.delta.hints import GET_AGAIN
from slim.delta.old_layers import OldLayers
from slim.delta.rebuild import PatchFile, Wanted, check_old, read_table, rebuild_layer
from slim.delta.sides import side_of
from slim.errors import ConfigError, IntegrityError, RefusedError
from slim.formats import DIRECTORY, archive_stem, encoders, format_by_name, read_archive
from slim.formats.base import Format, Member, ReadOptions, Tree, WriteOptions
from slim.formats.directory import read_directory
from slim.formats.files import copy_file
from slim.inventory.deployed import as_published
from slim.model.context import RunContext
from slim.model.delta import DeltaAction, LayerDelta, LayerState, NamedFile, StackDelta
from slim.model.record import EntryType
from slim.model.settings import Effort
from slim.model.stack import UNKNOWN_PLATFORM, Platform, StackKind
from slim.verification.published import compare

FOLDERS = "folder"
"""Name of layers as folders in ``--format``."""


@dataclass(frozen=True, kw_only=True)
class LayerMaker:
    """Maker of the new layers of one stack."""

    delta: Path
    """Folder of the delta."""
    stack: StackDelta
    """Stack that the layers are of, as the delta has it."""
    old: OldLayers
    """Layers that the delta is applied to."""
    output: Path
    """Folder that the new layers are written into."""
    format: str | None
    """Format of archives, or :data:`FOLDERS`; None for that of the old layers."""
    effort: Effort | None
    """Effort of compression; None for that of the published archives."""
    published_efforts: Mapping[str, Effort]
    """Efforts that the published archives were compressed with, by layer, where they are known."""
    executor: Executor
    context: RunContext

    def make(self, layer: LayerDelta, new: LayerState) -> Path:
        """Write one layer and return its place.

        Raises IntegrityError if the old layer or what comes of it isn't what the delta says,
        UnsafeInputError and LimitError for a malformed delta, ConfigError if two layers would be
        written to one place, RefusedError if what was written can't be read back.
        """
        archive_format = self._format(new)
        target = self._target(layer, new, archive_format)
        source = self._published_archive(layer, new)
        if source is not None and new.archive is not None and target.name == new.archive.name:
            copy_file(source, target)
            _check(file_of(target, source.name), new.archive, source)
            if layer.action is DeltaAction.FULL:
                with ExitStack() as resources:  # the archive hasn't been read yet
                    self._archive_tree(resources, new, source)
            return target
        with ExitStack() as resources:
            tree, digests = self._tree(resources, layer, new, source)
            self._write(layer, new, tree, digests, target, archive_format)
        return target

    def effort_of(self, layer: str) -> Effort:
        """Effort that a layer is compressed with."""
        return self.effort or self.published_efforts.get(layer) or Effort()

    # Places

    def _format(self, new: LayerState) -> Format:
        """Format that the layer is written in."""
        wanted = self.format
        if wanted is None:
            wanted = FOLDERS if self.old.folders else (new.format or self.old.format or FOLDERS)
        return DIRECTORY if wanted == FOLDERS else format_by_name(wanted)

    def _target(self, layer: LayerDelta, new: LayerState, archive_format: Format) -> Path:
        if archive_format is DIRECTORY:
            return self._free(layer.name)
        if new.archive is not None and new.format == archive_format.name:
            return self._free(new.archive.name)
        stem = archive_stem(new.archive.name) if new.archive is not None else layer.name
        return self._free(f"{stem}{archive_format.suffixes[0]}")

    def _free(self, name: str) -> Path:
        target = self.output / name
        if target.exists() or target.is_symlink():
            raise ConfigError(
                f"two layers are both written to {name!r}",
                file=self.delta,
                hint="apply the delta for one --platform at a time",
            )
        return target

    # Trees

    def _published_archive(self, layer: LayerDelta, new: LayerState) -> Path | None:
        """Return an archive with the very bytes of the new layer's, in the delta or among the old.

        Raises IntegrityError if it isn't.
        """
        if layer.action is DeltaAction.FULL:
            assert layer.file is not None
            return self._file(layer.file)
        place = self.old.places.get(layer.name)
        if (
            layer.action is DeltaAction.UNCHANGED
            and new.archive is not None
            and place is not None
            and place.is_file()
        ):
            _check(file_of(place), new.archive, place)
            return place
        return None

    def _tree(
        self, resources: ExitStack, layer: LayerDelta, new: LayerState, source: Path | None
    ) -> tuple[Tree, Mapping[str, str]]:
        """Return the tree of the new layer, and the SHA-256 of its files by path."""
        if source is not None:
            return self._archive_tree(resources, new, source)
        old = None if layer.old is None else self._old_tree(resources, layer)
        if layer.action is not DeltaAction.UNCHANGED:
            return self._patched_tree(resources, layer, new, old)
        assert old is not None
        # As it is, or without what installing made.
        for tree in (old, as_published(old)):
            side = side_of(tree)
            if side.tree_digest == new.tree_sha256:
                return tree, side.digests
        raise IntegrityError(
            "isn't the layer that the delta was made from",
            file=self.old.places[layer.name],
            hint="what was added to or changed in the folder since has to go, "
            "or download the layer whole",
        )

    def _archive_tree(
        self, resources: ExitStack, new: LayerState, source: Path
    ) -> tuple[Tree, Mapping[str, str]]:
        side = side_of(resources.enter_context(read_archive(source, self._options())))
        if side.tree_digest != new.tree_sha256 or side.tree.root != new.root:
            raise IntegrityError(
                "isn't the layer that the delta promises", file=source, hint=GET_AGAIN
            )
        return side.tree, side.digests

    def _patched_tree(
        self, resources: ExitStack, layer: LayerDelta, new: LayerState, old: Tree | None
    ) -> tuple[Tree, Mapping[str, str]]:
        assert layer.file is not None and layer.table is not None
        patch = PatchFile(
            path=self._file(layer.file),
            size=layer.file.size,
            table_size=layer.table[0],
            table_unpacked=layer.table[1],
        )
        wanted = Wanted(
            layer=layer.name,
            old_tree=None if layer.old is None else layer.old.tree_sha256,
            new_tree=new.tree_sha256,
            root=new.root,
            size=new.size,
            is_folder=new.archive is None,
        )
        table = read_table(patch, self._options())
        side = None
        if old is not None:
            side = check_old(table, old, wanted, folder=self.old.places[layer.name].is_dir())
        tree, digests = rebuild_layer(patch, table, side, wanted, self._options())
        return resources.enter_context(tree), digests

    def _old_tree(self, resources: ExitStack, layer: LayerDelta) -> Tree:
        place = self.old.places.get(layer.name)
        if place is None:
            raise IntegrityError(
                f"the layer {layer.name!r} isn't there",
                file=self.old.source,
                hint="the delta needs it",
            )
        if place.is_dir():
            options = self._options(anywhere=True, skip_special=True)
            return resources.enter_context(read_directory(place, options))
        return resources.enter_context(read_archive(place, self._options()))

    def _file(self, wanted: NamedFile) -> Path:
        """Return the place of a file of the delta that is the one that its document names."""
        path = regular_file(self.delta / wanted.name, "the delta's file is missing")
        _check(file_of(path), wanted, path)
        return path

    def _options(self, *, anywhere: bool = False, skip_special: bool = False) -> ReadOptions:
        platform = Platform.parse(self.stack.platform)
        is_folder = self.stack.kind == StackKind.FOLDER.value
        return ReadOptions(
            spool_dir=self.context.spool_dir,
            limits=self.context.limits,
            platform=None if platform.tag == UNKNOWN_PLATFORM.tag else platform,
            siblings=not is_folder,
            anywhere=anywhere or (is_folder and self.old.plain),
            skip_special=skip_special,
        )

    # Writing

    def _write(
        self,
        layer: LayerDelta,
        new: LayerState,
        tree: Tree,
        digests: Mapping[str, str],
        target: Path,
        archive_format: Format,
    ) -> None:
        members = [*([tree.root_member] if tree.root_member else []), *tree.members.values()]
        written_as = archive_format if target.suffix else DIRECTORY
        options = self._write_options(layer.name, written_as)
        written_as.write(iter(members), new.root or layer.name, target, options)
        if (
            written_as is not DIRECTORY
            and new.archive is not None
            and file_of(target).sha256 == new.archive.sha256
        ):
            return  # the published bytes need no comparison
        self._read_back(target, written_as, members, digests)

    def _write_options(self, layer: str, archive_format: Format) -> WriteOptions:
        """Options for as many compression threads as have room in memory."""
        effort = self.effort_of(layer)
        room = encoders(self.context.workers, effort, archive_format)
        return WriteOptions(
            executor=self.executor,
            workers=room,
            threads=room,
            effort=effort,
            machine=Platform.parse(self.stack.platform).machine,
        )

    def _read_back(
        self,
        target: Path,
        written_as: Format,
        members: Sequence[Member],
        digests: Mapping[str, str],
    ) -> None:
        expected = [member for member in members if member.path]
        _, failures = compare(
            target,
            expected,
            dict(_digests_as_files(expected, digests)),
            self._options(anywhere=target.is_dir()),
            times=written_as.holds_times,
        )
        if failures:
            raise RefusedError(
                f"what was written isn't what was restored: {failures[0]}", file=target.name
            )


def _digests_as_files(
    members: Sequence[Member], digests: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Digests by path, those of hard links included, which may be read back as files."""
    for member in members:
        path = (member.link_target or "") if member.type is EntryType.HARDLINK else member.path
        if path in digests:
            yield member.path, digests[path]


def _check(found: NamedFile, wanted: NamedFile, place: Path) -> None:
    """Raise IntegrityError unless a file has the size and hash that the delta says."""
    if (found.size, found.sha256) != (wanted.size, wanted.sha256):
        raise IntegrityError(
            f"has {found.size} bytes and SHA-256 {found.sha256}, "
            f"the delta says {wanted.size} and {wanted.sha256}",
            file=place,
            hint="the delta belongs to another stack, or the file was changed or cut",
        )
