"""Opens a stack that was found: its trees, its layers as their files tell them, its inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from slim.errors import IntegrityError
from slim.formats.assemble import check_again
from slim.formats.base import BytesContent, Content, Member, Tree
from slim.formats.digests import tree_digest
from slim.inventory.deployed import as_published
from slim.inventory.describe import describe, metadata_sites
from slim.inventory.located import Located, check_archives
from slim.inventory.owners import refine_owners
from slim.inventory.platforms import with_platform
from slim.inventory.read import read_layers, read_options
from slim.inventory.scan import scan
from slim.model.context import RunContext
from slim.model.record import FileRecord, Inventory
from slim.model.stack import Layer, LayerKind, Stack, StackKind


@dataclass(kw_only=True)
class LoadedStack:
    """A stack that is open, with everything that its files tell.

    What was opened stays open as long as :func:`load` does.
    """

    stack: Stack
    trees: Mapping[str, Tree]
    """The members of each layer, by its name."""
    places: Mapping[str, Path]
    """The archive or folder that each layer was read from, by its name."""
    warnings: tuple[str, ...]
    """Remarks of reading."""
    context: RunContext
    """How the stack was read, and is scanned."""
    lenient: bool = False
    """True where the stack is only looked at: then owners are also told by names."""

    @cached_property
    def inventory(self) -> Inventory:
        """Every file of every layer. Scanned once, when it is first asked for.

        Raises UnsafeInputError for a RECORD that can't be right.
        """
        inventory = scan(self.stack, self.trees, self.context, self.warnings, lenient=self.lenient)
        return refine_owners(self.stack, self.trees, inventory) if self.lenient else inventory

    @property
    def members(self) -> dict[str, list[Member]]:
        """The members of each layer as they are, by its name."""
        return {layer.name: list(self.trees[layer.name].members.values()) for layer in self.stack}

    def read(self, record: FileRecord) -> memoryview:
        """The bytes of a file; none for links."""
        return self.content(record).view()

    def content(self, record: FileRecord) -> Content:
        """The content of a file, to be read later; an empty one for links."""
        return self.trees[record.layer].members[record.path].content or BytesContent(b"")

    def digests(self, layer: str) -> dict[str, str]:
        """SHA-256 (hexadecimal) of every regular file of a layer, by path."""
        return {
            path: record.sha256
            for path, record in self.inventory.records[layer].items()
            if record.sha256
        }

    def tree_digest(self, layer: str) -> str:
        """The tree digest of a layer."""
        return tree_digest(self.trees[layer].members.values(), self.digests(layer))

    def with_trees(self, trees: Mapping[str, Tree]) -> LoadedStack:
        """The same stack with other trees, and its layers as those trees tell them."""
        layers = _described(self.stack, trees, self.places, self.context)
        return replace(self, stack=replace(self.stack, layers=layers), trees=trees)


@contextmanager
def load(
    located: Located,
    context: RunContext,
    *,
    lenient: bool = False,
    published_only: bool = False,
) -> Iterator[LoadedStack]:
    """Open a stack during the block. Its archives have to be those that its manifest tells.

    ``lenient`` is for looking only: archives that differ from their manifest are a warning, links
    may lead anywhere, RECORDs may be wrong, and in trees of unknown origin every folder with
    installed metadata is a site folder. ``published_only`` leaves out what installing made.

    Raises IntegrityError, UnsafeInputError, LimitError and StorageError.
    """
    complaints = _complaints(located, context, lenient=lenient)
    with ExitStack() as resources:
        trees = read_layers(located, context, resources, lenient=lenient)
        stack, places = located.stack, located.places
        layers = _described(stack, trees, places, context, lenient=lenient)
        if stack.kind is StackKind.ARCHIVE:
            layers, trees, places = _renamed(layers[0], trees, places)
        stack = with_platform(replace(stack, layers=layers), trees)
        if lenient:
            found = tuple(_with_sites(layer, trees[layer.name]) for layer in stack)
            stack = replace(stack, layers=found)
        else:
            _check_again(layers, stack, trees, places, context)
        warnings = (f"{name}: {text}" for name, tree in trees.items() for text in tree.warnings)
        yield LoadedStack(
            stack=stack,
            trees={name: as_published(tree) for name, tree in trees.items()}
            if published_only
            else trees,
            places=places,
            warnings=(*complaints, *warnings),
            context=context,
            lenient=lenient,
        )


def _complaints(located: Located, context: RunContext, *, lenient: bool) -> tuple[str, ...]:
    try:
        check_archives(located, context.progress)
    except IntegrityError as error:
        if not lenient:
            raise
        return (f"{error.where}: {error.message}",)
    return ()


def _described(
    stack: Stack,
    trees: Mapping[str, Tree],
    places: Mapping[str, Path],
    context: RunContext,
    *,
    lenient: bool = False,
) -> tuple[Layer, ...]:
    return tuple(
        describe(
            *(layer, trees[layer.name], stack.kind, places[layer.name], context.limits),
            lenient=lenient,
        )
        for layer in stack
    )


def _renamed(
    layer: Layer, trees: Mapping[str, Tree], places: Mapping[str, Path]
) -> tuple[tuple[Layer, ...], Mapping[str, Tree], Mapping[str, Path]]:
    """A lone archive under its install target: the folder that all of its members lie under."""
    tree = trees[layer.name]
    if not tree.root:
        return (layer,), trees, places
    renamed = replace(layer, name=tree.root, layer_name=tree.root)
    return (renamed,), {tree.root: tree}, {tree.root: places[layer.name]}


def _check_again(
    before: Sequence[Layer],
    stack: Stack,
    trees: Mapping[str, Tree],
    places: Mapping[str, Path],
    context: RunContext,
) -> None:
    """Check the names of layers whose files tell only now that their platform folds names.

    Raises UnsafeInputError.
    """
    for old, layer in zip(before, stack, strict=True):
        if layer.platform is not old.platform and layer.platform.folds_names:
            place = places[layer.name]
            top = place.resolve().name if place.is_dir() else None
            options = read_options(stack.kind, layer, context)
            check_again(trees[layer.name], place, options, top=top)


def _with_sites(layer: Layer, tree: Tree) -> Layer:
    """In a tree of unknown origin, every folder with installed metadata as a site folder."""
    if layer.kind is not LayerKind.PLAIN:
        return layer
    return replace(layer, site_dirs=tuple(sorted({*layer.site_dirs, *metadata_sites(tree)})))
