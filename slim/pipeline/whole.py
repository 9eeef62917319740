"""A whole run that a cache of results may hold: what its key is made of, and when it counts.

The key has slim's code and rules, what parses and compresses, Python, the whole manifest, every
setting that can change a byte, traces, what ``--previous`` named, rest packs that are taken along,
and for ``--verify`` facts of the host.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slim.errors import SlimError
from slim.formats import read_archive
from slim.formats.base import ReadOptions
from slim.formats.digests import contents_digest, digests_of, sha256_of
from slim.inventory.located import Located
from slim.inventory.manifest import FOLDER, layers_from_manifest, read_json
from slim.model.context import RunContext
from slim.model.guard import REST_FOLDER
from slim.model.outcome import LayerOutcome, RunResult
from slim.model.stack import ArchiveInfo, StackKind
from slim.pipeline.request import RunOrder
from slim.reuse.actions import RUN, action_key, tools
from slim.reuse.cache import KEY_VARIABLE, ResultCache
from slim.reuse.runs import RunCache
from slim.reuse.settings import host, settled
from slim.system.workspace import remove_tree

if TYPE_CHECKING:
    from slim.config.settings import Config
    from slim.pipeline.previous import Previous

_OUTSIDE = ("source", "output", "force", "cache", "recheck", "previous", "later", "dry_run")
"""Fields of an order that decide over no byte, or that the key has otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedSettings:
    """Digests of a configuration in a key: of all of it that can change a byte.

    ``settings`` is a SHA-256 in hexadecimal, ``traces`` are those of the traces. Whoever has read a
    configuration can hand this to another process, which needn't read it to know a run again.
    """

    settings: str
    traces: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Config) -> KeyedSettings:
        """Return that of a configuration.

        Raises TypeError for what can't be told apart by its text, StorageError for a trace.
        """
        text = json.dumps(settled(config), sort_keys=True, separators=(",", ":"))
        return cls(
            settings=hashlib.sha256(text.encode("ascii")).hexdigest(),
            traces=tuple(sha256_of(path) for path in config.guided.traces),
        )


def keyed_settings(config: Config) -> KeyedSettings | None:
    """Return what a key has of a configuration; None where something in it can't be told."""
    try:
        return KeyedSettings.of(config)
    except (TypeError, SlimError):  # the run tells what is wrong with a trace
        return None


class WholeRun:
    """A run that may be in a cache as a whole; it does nothing where it can't be."""

    def __init__(self, results: ResultCache, known: RunCache | None, order: RunOrder) -> None:
        self._results = results
        self._known = known
        self._order = order
        self._expected: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls,
        results: ResultCache,
        order: RunOrder,
        settings: KeyedSettings | None,
        stacks: Sequence[Located],
        previous: Previous | None,
    ) -> WholeRun:
        """Return the run as the cache may have it. Tells where nobody can be trusted with it."""
        key = None
        if settings is not None and _can_be_whole(order, stacks):
            if results.is_trusted:
                key = run_key(order, settings, stacks, previous)
            else:
                results.note(
                    "whole runs aren't taken from a cache that others can write to: set "
                    f"{KEY_VARIABLE} to the secret that its writers sign with"
                )
        return cls(results, None if key is None else RunCache(results, key), order)

    @property
    def rechecked(self) -> bool:
        """True where the run is known and is made anew."""
        return self._expected is not None

    def take(
        self, folder: Path, stacks: Sequence[Located], context: RunContext
    ) -> tuple[RunResult, ...] | None:
        """Fill the folder of the set, and return the results; None where they have to be made.

        Every archive is read back, and what is in it compared with what the run wrote. An entry
        with anything else is dropped and told, and the folder is empty again. The results have no
        rules: the configuration has those.
        """
        if self._known is None:
            return None
        if self._order.recheck and random.random() < self._order.recheck:
            self._expected = self._known.files()
            return None
        results = self._known.take(folder)
        wrong = None if results is None else _problem(folder, results, stacks, context)
        if results is None or wrong is not None:
            if wrong is not None:
                self._known.refuse(wrong)
            remove_tree(folder)
            folder.mkdir()
            return None
        return tuple(
            replace(
                result,
                stack=replace(result.stack, source=located.stack.source),
                output=str(self._order.output),
            )
            for result, located in zip(results, stacks, strict=True)
        )

    def store(self, folder: Path, results: Sequence[RunResult]) -> None:
        """Store the set in a folder, which is right, and compare it where it was known."""
        if self._known is None:
            return
        bare = tuple(map(_bare, results))
        try:
            self._known.store(folder, bare)
        except TypeError as error:
            self._results.note(f"the whole run isn't stored: {error}")
            return
        if self._expected is not None:
            made = self._known.files()
            if made is not None and made != self._expected:
                names = sorted(dict(set(made.items()) ^ set(self._expected.items())))
                self._results.note(
                    "rechecked, and the cache had other bytes for "
                    f"{', '.join(names[:5])}: what was made now is published and stored"
                )


def _bare(result: RunResult) -> RunResult:
    """A result without what a later run has itself."""
    layers = tuple(replace(layer, cached=False) for layer in result.layers)
    return replace(result, layers=layers, rules={}, cache=None, output=None)


def _problem(
    folder: Path, results: Sequence[RunResult], stacks: Sequence[Located], context: RunContext
) -> str | None:
    """Return what is wrong with a set that results tell of; None where all of it is right.

    The results have to be of these very stacks, the manifests have to name the archives that the
    results tell of, and each archive has to hold what the run wrote, times included.
    """
    if [result.stack.manifest for result in results] != [one.stack.manifest for one in stacks]:
        return "it is of another stack"
    archives: list[tuple[LayerOutcome, Path]] = []
    for result in results:
        path = folder / FOLDER / str(result.stack.manifest_name)
        try:
            layers = layers_from_manifest(path, read_json(path))
        except SlimError as error:
            return f"its manifest {path.name} can't be read: {error.message}"
        named = {layer.name: layer.archive for layer in layers}
        for outcome in result.layers:
            archive = named.get(outcome.layer.name)
            if not _is_that(folder, archive, outcome):
                return f"its manifest names another archive of {outcome.layer.name}"
            archives.append((outcome, folder / str(outcome.archive_name)))
    context.progress.stage("Verifying layers", total=len(archives))

    def read(item: tuple[LayerOutcome, Path]) -> str | None:
        wrong = _misread(*item, context)
        context.progress.advance()
        return wrong

    with ThreadPoolExecutor(max_workers=context.workers) as pool:
        return next((wrong for wrong in pool.map(read, archives) if wrong is not None), None)


def _is_that(folder: Path, archive: ArchiveInfo | None, outcome: LayerOutcome) -> bool:
    """True if a manifest names the archive that an outcome tells of, and the folder has it."""
    if archive is None or (archive.name, archive.sha256) != (
        outcome.archive_name,
        outcome.archive_sha256,
    ):
        return False
    place = folder / archive.name
    return place.is_file() and sha256_of(place) == archive.sha256


def _misread(outcome: LayerOutcome, place: Path, context: RunContext) -> str | None:
    """Read an archive back; return what is wrong with it, or None."""
    options = ReadOptions(
        spool_dir=context.spool_dir, limits=context.limits, platform=outcome.layer.platform
    )
    try:
        with read_archive(place, options) as tree:
            found = contents_digest(
                tree.members.values(), digests_of(tree), times=outcome.times_compared
            )
    except SlimError as error:
        return f"{place.name} can't be read back: {error.message}"
    return None if found == outcome.contents_sha256 else f"{place.name} has other contents"


def run_key(
    order: RunOrder,
    settings: KeyedSettings,
    stacks: Iterable[Located],
    previous: Previous | None,
) -> str | None:
    """Key of a run; None where something in it can't be told."""
    known = tools()
    if known is None:
        return None
    before = sorted(previous.layers.items()) if previous is not None else []
    try:
        asked = {
            name: settled(getattr(order, name))
            for name in RunOrder.__dataclass_fields__
            if name not in _OUTSIDE
        }
    except TypeError:
        return None
    document: dict[str, object] = {
        "tools": known,
        "stacks": [_manifest(located) for located in stacks],
        "settings": settings.settings,
        "request": asked,
        "previous": [
            [*key, _text(layer.layer.entry), layer.place is not None] for key, layer in before
        ],
        "traces": settings.traces,
        "rest": [_rest_packs(located) for located in stacks],
        "host": host() if order.verify else None,
    }
    return action_key(RUN, document)


def _rest_packs(located: Located) -> list[list[object]]:
    """Rest packs beside a stack, which a run takes along."""
    folder = Path(located.stack.source) / REST_FOLDER
    found = folder.glob("*") if folder.is_dir() else ()
    return [[path.name, sha256_of(path)] for path in sorted(found) if path.is_file()]


def _manifest(located: Located) -> list[object]:
    stack = located.stack
    return [
        stack.manifest_name,
        _text(stack.manifest),
        sorted(stack.metadata_names.items()),
    ]


def _text(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _can_be_whole(order: RunOrder, stacks: Sequence[Located]) -> bool:
    """Return whether the manifest says all that is read, and the set is all that is written."""
    if order.keep_removed is not None or order.symbols is not None:
        return False
    for located in stacks:
        if located.kind is not StackKind.PUBLISHED:
            return False
        for layer in located.stack:
            place = located.places[layer.name]
            if layer.archive is None or place.stat().st_size != layer.archive.size:
                return False  # the run tells what is wrong
    return True
