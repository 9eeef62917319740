"""A whole run that a cache of results may hold: what its key is made of, and when it counts.

The key has slim's code and rules, what parses and compresses, Python, the whole manifest, every
setting that can change a byte, traces, what ``--previous`` named, rest packs that are taken along,
and for ``--verify`` facts of the host.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from slim.errors import SlimError
from slim.formats.digests import sha256_of
from slim.guard.rest_pack import FOLDER
from slim.inventory.located import Located
from slim.model.outcome import RunResult
from slim.model.stack import StackKind
from slim.pipeline.prepare import RunRequest
from slim.pipeline.previous import Previous
from slim.reuse.actions import RUN, action_key, tools
from slim.reuse.cache import KEY_VARIABLE, ResultCache
from slim.reuse.runs import RunCache
from slim.reuse.settings import host, settled

_OUTSIDE = ("source", "output", "force", "cache", "recheck", "previous", "dry_run", "config")
"""Fields of a request that decide over no byte, or that the key has otherwise."""


class WholeRun:
    """A run that may be in a cache as a whole; it does nothing where it can't be."""

    def __init__(self, results: ResultCache, known: RunCache | None, request: RunRequest) -> None:
        self._results = results
        self._known = known
        self._request = request
        self._expected: Mapping[str, str] | None = None

    @classmethod
    def of(
        cls,
        results: ResultCache,
        request: RunRequest,
        stacks: Sequence[Located],
        previous: Previous | None,
    ) -> WholeRun:
        """Return the run as the cache may have it. Tells where nobody can be trusted with it."""
        key = None
        if _can_be_whole(request, stacks):
            if results.is_trusted:
                key = run_key(request, stacks, previous)
            else:
                results.note(
                    "whole runs aren't taken from a cache that others can write to: set "
                    f"{KEY_VARIABLE} to the secret that its writers sign with"
                )
        return cls(results, None if key is None else RunCache(results, key), request)

    @property
    def rechecked(self) -> bool:
        """True where the run is known and is made anew."""
        return self._expected is not None

    def take(self, folder: Path, stacks: Sequence[Located]) -> tuple[RunResult, ...] | None:
        """Fill the folder of the set, and return the results; None where they have to be made."""
        if self._known is None:
            return None
        if self._request.recheck and random.random() < self._request.recheck:
            self._expected = self._known.files()
            return None
        results = self._known.take(folder)
        if results is None or len(results) != len(stacks):
            return None
        rules = {rule.id: rule for rule in self._request.config.rules}
        return tuple(
            replace(
                result,
                stack=replace(result.stack, source=located.stack.source),
                output=str(self._request.output),
                rules=rules,
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


def run_key(
    request: RunRequest, stacks: Iterable[Located], previous: Previous | None
) -> str | None:
    """Key of a run; None where something in it can't be told."""
    known = tools()
    if known is None:
        return None
    before = sorted(previous.layers.items()) if previous is not None else []
    try:
        asked = {
            name: settled(getattr(request, name))
            for name in request.__dataclass_fields__
            if name not in _OUTSIDE
        }
        document: dict[str, object] = {
            "tools": known,
            "stacks": [_manifest(located) for located in stacks],
            "settings": settled(request.config),
            "request": asked,
            "previous": [
                [*key, _text(layer.layer.entry), layer.place is not None] for key, layer in before
            ],
            "traces": [sha256_of(path) for path in request.config.guided.traces],
            "rest": [_rest_packs(located) for located in stacks],
            "host": host() if request.verify else None,
        }
    except (TypeError, SlimError):  # the run tells what is wrong with a trace
        return None
    return action_key(RUN, document)


def _rest_packs(located: Located) -> list[list[object]]:
    """Rest packs beside a stack, which a run takes along."""
    folder = Path(located.stack.source) / FOLDER
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


def _can_be_whole(request: RunRequest, stacks: Sequence[Located]) -> bool:
    """Return whether the manifest says all that is read, and the set is all that is written."""
    if request.keep_removed is not None or request.symbols is not None:
        return False
    for located in stacks:
        if located.kind is not StackKind.PUBLISHED:
            return False
        for layer in located.stack:
            place = located.places[layer.name]
            if layer.archive is None or place.stat().st_size != layer.archive.size:
                return False  # the run tells what is wrong
    return True
