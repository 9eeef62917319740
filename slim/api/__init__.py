"""slim as a library: what each command does, as a function. The command line is its first user.

Every function takes paths (``str`` or :class:`os.PathLike`), returns frozen types of
:mod:`slim.model`, and raises nothing but the errors of :mod:`slim.errors` for what is wrong with an
input, a configuration or a file system. None of them prints. ``config`` comes from
:func:`load_config`; without one the built-in rules are used with their defaults and no file is
read. ``platforms`` are tags such as ``linux_x86_64`` that limit which manifests of a stack are
read; empty means all. ``progress`` is told how far the work is.

The package exports the same names: ``slim.run`` is :func:`run`. For that to be true whatever has
been imported before, no room (folder of the package) may have the name of a function, because
importing ``slim.x`` sets the attribute ``x`` of the package; a test holds that. Importing this
module is cheap: each function imports what it needs when it is called.
"""

from __future__ import annotations

from slim.api.backups import extract_originals, list_originals, restore
from slim.api.caches import cache_stats, prune_cache, verify_cache
from slim.api.settings import check_rules, load_config
from slim.api.sizes import check, diff, measure
from slim.api.stacks import audit, build_sample, explain, run, verify
from slim.api.traces import (
    check_trace,
    collect_trace,
    compare_traces,
    merge_traces,
    place_recorder,
    read_trace,
    show_trace,
    trace,
    write_trace,
)
from slim.api.updates import apply_delta, make_delta, read_delta

__all__ = [
    "apply_delta",
    "audit",
    "build_sample",
    "cache_stats",
    "check",
    "check_rules",
    "check_trace",
    "collect_trace",
    "compare_traces",
    "diff",
    "explain",
    "extract_originals",
    "list_originals",
    "load_config",
    "make_delta",
    "measure",
    "merge_traces",
    "place_recorder",
    "prune_cache",
    "read_delta",
    "read_trace",
    "restore",
    "run",
    "show_trace",
    "trace",
    "verify",
    "verify_cache",
    "write_trace",
]
