"""Reads the trees of layers; nothing is unpacked under names from the input."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from slim.errors import SlimError
from slim.formats import read_archive
from slim.formats.base import ReadOptions, Tree
from slim.formats.directory import read_directory
from slim.inventory.deployed import as_published
from slim.inventory.located import Located
from slim.model.context import RunContext
from slim.model.stack import UNKNOWN_PLATFORM, Layer, StackKind


def read_options(
    kind: StackKind, layer: Layer, context: RunContext, *, lenient: bool = False
) -> ReadOptions:
    """Options for a layer of such a stack: the names it may have, the ends its links may have.

    ``lenient`` is for looking only: links may lead anywhere, and devices, FIFOs and sockets are
    left out.
    """
    return ReadOptions(
        spool_dir=context.spool_dir,
        limits=context.limits,
        platform=None if layer.platform is UNKNOWN_PLATFORM else layer.platform,
        siblings=kind is not StackKind.FOLDER,
        anywhere=lenient or kind is StackKind.FOLDER,
        skip_special=lenient,
    )


def read_layer(
    located: Located, layer: Layer, context: RunContext, *, lenient: bool = False
) -> Tree:
    """Read one layer, without what installing made in a deployed one. Close the tree.

    Raises UnsafeInputError, LimitError and StorageError.
    """
    place = located.places[layer.name]
    options = read_options(located.kind, layer, context, lenient=lenient)
    tree = read_directory(place, options) if place.is_dir() else read_archive(place, options)
    return as_published(tree) if located.is_deployed else tree


def read_layers(
    located: Located, context: RunContext, resources: ExitStack, *, lenient: bool = False
) -> Mapping[str, Tree]:
    """Read every layer, several at a time. ``resources`` are given what has to be closed.

    Raises the error of the first layer that can't be read.
    """
    progress = context.progress
    progress.stage("Reading layers", total=len(located.places))

    def read(layer: Layer) -> Tree:
        tree = read_layer(located, layer, context, lenient=lenient)
        progress.advance()
        return tree

    trees: dict[str, Tree] = {}
    errors: list[SlimError] = []
    with ThreadPoolExecutor(max_workers=max(1, context.workers)) as pool:
        futures = {layer.name: pool.submit(read, layer) for layer in located.stack}
        for name, future in futures.items():
            try:
                trees[name] = resources.enter_context(future.result())
            except SlimError as error:
                errors.append(error)
    if errors:
        raise errors[0]
    return trees
