"""A cache of results as JSON."""

from __future__ import annotations

from slim.model.cache import CachePruned, CacheStats, CacheVerified
from slim.reports.common.json_parts import SCHEMA_VERSION
from slim.system.json_text import dumps, named, prose


def stats(found: CacheStats) -> str:
    """Return how many results and bytes are in a cache, as JSON text."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            **named("place", found.place),
            "entries": {prose(action): number for action, number in found.entries.items()},
            "unreadable": found.unreadable,
            "blobs": found.blobs,
            "size": found.size,
            "oldest": found.oldest,
        }
    )


def pruned(found: CachePruned) -> str:
    """Return what went from a cache, as JSON text."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            **named("place", found.place),
            "entries": found.entries,
            "blobs": found.blobs,
            "size": found.size,
            "dry_run": found.dry_run,
        }
    )


def verified(found: CacheVerified) -> str:
    """Return what is wrong in a cache, as JSON text."""
    return dumps(
        {
            "schema_version": SCHEMA_VERSION,
            **named("place", found.place),
            "tried": found.tried,
            "wrong": [{**named("name", name), "why": prose(why)} for name, why in found.wrong],
            "dropped": found.dropped,
        }
    )
