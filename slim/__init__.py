"""Make the Python layers of a venvstacks stack smaller, and prove that they still work.

What each command does is a function of :mod:`slim.api`; the package has them under the same names
(``slim.run(...)``), imported when they are first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slim.api import (
        apply_delta,
        audit,
        build_sample,
        cache_stats,
        check,
        check_rules,
        check_trace,
        collect_trace,
        compare_traces,
        diff,
        explain,
        extract_originals,
        list_originals,
        load_config,
        make_delta,
        measure,
        merge_traces,
        place_recorder,
        prune_cache,
        read_delta,
        read_trace,
        restore,
        run,
        show_trace,
        trace,
        verify,
        verify_cache,
        write_trace,
    )

__version__ = "0.1.0"
__distribution__ = "venvstacks-slim"
"""Name of the distribution that this package belongs to: on PyPI, ``slim`` is somebody else's."""

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


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module("slim.api"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
