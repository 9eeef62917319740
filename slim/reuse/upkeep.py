"""Looking after a cache of results: what is in it, what can go, what is wrong in it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slim.errors import UnsafeInputError
from slim.model.cache import CachePruned, CacheStats, CacheVerified
from slim.reuse.cache import (
    BLOBS,
    DAY,
    ENTRIES,
    HEX,
    MAX_ENTRY,
    ResultCache,
    blobs_of,
    check_signature,
    parse_entry,
    secret,
)
from slim.stores.base import Blob, BlobStore
from slim.system.hashing import sha256_of_pieces

_YOUNG: Final = 3600
"""Seconds in which a blob that no entry leads to may still get one: a run writes it first."""


@dataclass(frozen=True, slots=True)
class _Entry:
    blob: Blob
    content: Mapping[str, Any]
    blobs: Mapping[str, int]


def stats(results: ResultCache) -> CacheStats:
    """Count what is in a cache. Raises StorageError."""
    store = results.store
    entries: Counter[str] = Counter()
    oldest: float | None = None
    unreadable = 0
    for name, entry in _entries(store):
        if isinstance(entry, str):
            unreadable += 1
            continue
        assert name
        entries[entry.content["action"]] += 1
        oldest = min(entry.blob.changed, oldest or entry.blob.changed)
    blobs = [blob.size for blob in store.list(BLOBS)]
    return CacheStats(
        place=store.url,
        entries=dict(sorted(entries.items())),
        unreadable=unreadable,
        blobs=len(blobs),
        size=sum(blobs),
        oldest=oldest,
    )


def verify(results: ResultCache, *, drop: bool = False) -> CacheVerified:
    """Read every entry and blob, and tell which aren't what they say. Raises StorageError.

    With ``drop`` those go. Signatures are checked where the environment has the secret.
    """
    store = results.store
    wrong: list[tuple[str, str]] = []
    key = secret()
    sizes: dict[str, int] = {}
    tried = 0
    for blob in store.list(BLOBS):
        tried += 1
        digest = blob.name.rpartition("/")[2]
        if sha256_of_pieces(store.read(blob.name) or ()) == digest:
            sizes[digest] = blob.size
        else:
            wrong.append((blob.name, "has other bytes than its name says"))
    for name, entry in _entries(store):
        tried += 1
        if isinstance(entry, str):
            wrong.append((name, entry))
            continue
        missing = [one for one, size in entry.blobs.items() if sizes.get(one) != size]
        if missing:
            wrong.append((name, f"leads to {BLOBS}/{missing[0]}, which isn't there"))
            continue
        try:
            signed = key is not None and "mac" in entry.content
            check_signature(entry.content, name.rpartition("/")[2], key if signed else None)
        except UnsafeInputError as error:
            wrong.append((name, error.message))
    if drop:
        for name, _ in wrong:
            store.delete(name)
    return CacheVerified(place=store.url, tried=tried, wrong=tuple(wrong), dropped=drop)


def prune(
    results: ResultCache,
    *,
    max_size: int | None,
    older_than: int | None,
    dry_run: bool = False,
) -> CachePruned:
    """Remove what nobody asked for in ``older_than`` days, and the oldest over ``max_size`` bytes.

    What leads nowhere and what nothing leads to goes as well. Raises StorageError.
    """
    store, now = results.store, time.time()
    blobs = {blob.name.rpartition("/")[2]: blob for blob in store.list(BLOBS)}
    going: list[str] = []
    staying: list[_Entry] = []
    for name, entry in _entries(store):
        if isinstance(entry, str) or any(one not in blobs for one in entry.blobs):
            going.append(name)
            continue
        is_old = older_than is not None and now - entry.blob.changed > older_than * DAY
        if is_old:
            going.append(name)
        else:
            staying.append(entry)
    staying.sort(key=lambda entry: (-entry.blob.changed, entry.blob.name))  # the newest first
    wanted: set[str] = set()
    room = max_size
    for entry in staying:
        more = sum(blobs[one].size for one in entry.blobs if one not in wanted)
        if room is not None and more > room:
            going.append(entry.blob.name)
            room = 0 if more else room
            continue
        room = None if room is None else room - more
        wanted.update(entry.blobs)
    led_to = {one for entry in staying for one in entry.blobs}
    gone = [
        blob
        for digest, blob in sorted(blobs.items())
        if digest not in wanted and (digest in led_to or now - blob.changed > _YOUNG)
    ]
    if not dry_run:  # entries first: none may lead to a blob that went
        for name in going:
            store.delete(name)
        for blob in gone:
            store.delete(blob.name)
    return CachePruned(
        place=store.url,
        entries=len(going),
        blobs=len(gone),
        size=sum(blob.size for blob in gone),
        dry_run=dry_run,
    )


def _entries(store: BlobStore) -> Iterator[tuple[str, _Entry | str]]:
    """Every entry by its name in the store; a sentence for one that can't be read."""
    for blob in store.list(ENTRIES):
        digest = blob.name.rpartition("/")[2]
        if blob.size > MAX_ENTRY or not HEX.match(digest):
            yield blob.name, "it is no entry of slim's"
            continue
        data = store.get(blob.name, MAX_ENTRY)
        if data is None:
            continue  # somebody removed it meanwhile
        try:
            content = parse_entry(data, blob.name)
            yield blob.name, _Entry(blob, content, blobs_of(content))
        except UnsafeInputError as error:
            yield blob.name, error.message
