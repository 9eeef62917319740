"""Looking after a cache of results, which ``run`` and ``make_delta`` take and fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slim.api.common import PathName

if TYPE_CHECKING:
    from slim.model.cache import CachePruned, CacheStats, CacheVerified


def cache_stats(place: PathName) -> CacheStats:
    """Return what is in the cache of results at ``place``, a folder or URL."""
    from slim.reuse.cache import open_cache
    from slim.reuse.upkeep import stats

    return stats(open_cache(str(place), create=False))


def prune_cache(
    place: PathName,
    *,
    max_size: int | None = None,
    older_than: int | None = None,
    dry_run: bool = False,
) -> CachePruned:
    """Remove from the cache of results at ``place`` what leads nowhere, and what is old.

    ``max_size`` are the bytes of blobs that stay, of the entries that were of use last;
    ``older_than`` the days after which an entry goes that was of no use. With ``dry_run`` nothing
    is removed.
    """
    from slim.reuse.cache import open_cache
    from slim.reuse.upkeep import prune

    results = open_cache(str(place), create=False)
    return prune(results, max_size=max_size, older_than=older_than, dry_run=dry_run)


def verify_cache(place: PathName, *, drop: bool = False) -> CacheVerified:
    """Read every entry and blob of the cache of results at ``place``; return which are wrong.

    With ``drop`` those are removed. A run finds them too, when it meets them.
    """
    from slim.reuse.cache import open_cache
    from slim.reuse.upkeep import verify

    return verify(open_cache(str(place), create=False), drop=drop)
