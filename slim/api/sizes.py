"""Measuring sizes, comparing them, and holding them against budgets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from slim.api.common import PathName
from slim.api.remote import places
from slim.api.settings import load_config
from slim.api.stage_log import logged_stages
from slim.api.updates import read_delta

if TYPE_CHECKING:
    from slim.config.settings import Config
    from slim.model.budget import Budget, Verdict
    from slim.model.delta import Delta
    from slim.model.diff import Comparison, Snapshot
    from slim.model.progress import Progress


def measure(
    source: PathName,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    progress: Progress | None = None,
) -> tuple[Snapshot, ...]:
    """Return the sizes of a stack, by layer, owner and category: what budgets and diffs compare.

    ``source`` is a stack, an archive, a folder, the JSON report of a run, an audit or a check, or
    ``REF:PATH``, a report at a path of a git commit, or the URL of one of these. Returns
    one snapshot for each platform.
    """
    from slim.config.settings import Config
    from slim.sizes import measure as measuring

    config = config or Config()
    platforms = tuple(platforms)
    with logged_stages(progress) as observed, places(observed, platforms) as here:
        named = here.text(source)
        return here.renamed(measuring.measure(named, config, platforms, observed))


def check(
    out: PathName | Sequence[Snapshot],
    budgets: Sequence[Budget] | None = None,
    *,
    baseline: PathName | Sequence[Snapshot] | None = None,
    delta: PathName | Delta | None = None,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    progress: Progress | None = None,
) -> Verdict:
    """Hold a stack against its size budgets.

    ``out`` and ``baseline`` (what growth is measured from) are anything that :func:`measure` takes,
    or what it returned. ``budgets`` are those of ``config`` unless given. ``delta`` is the update
    package from the baseline (its folder, or what :func:`read_delta` returned), for limits of what
    an update downloads.

    A budget that is exceeded is no error: ``verdict.exceeded()`` has it. Raises
    :class:`~slim.errors.ConfigError` where there is no budget, or where one selects nothing.
    """
    from slim import __version__
    from slim.sizes.budget import check as hold

    config = config or load_config()
    package = read_delta(delta) if isinstance(delta, str | os.PathLike) else delta
    return hold(
        _measured(out, config, platforms, progress),
        config.budgets if budgets is None else budgets,
        baseline=None if baseline is None else _measured(baseline, config, (), progress),
        rules=config.rules,
        delta=package,
        slim_version=__version__,
    )


def diff(
    before: PathName | Sequence[Snapshot],
    after: PathName | Sequence[Snapshot],
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    progress: Progress | None = None,
) -> tuple[Comparison, ...]:
    """Return what changed: by layer, owner, category and rule, and which files came and went.

    ``before`` and ``after`` are anything that :func:`measure` takes, or what it returned.
    ``config`` matters only for rules that stopped covering a version. Returns one comparison for
    each platform.
    """
    from slim.sizes.diff import compare, empty, pair

    config = config or load_config()
    old = _measured(before, config, platforms, progress)
    new = _measured(after, config, platforms, progress)
    comparisons = []
    for left, right in pair(old, new):
        present = left or right
        if present is not None:
            earlier, later = left or empty(present), right or empty(present)
            comparisons.append(compare(earlier, later, config.rules))
    return tuple(comparisons)


def _measured(
    what: PathName | Sequence[Snapshot],
    config: Config,
    platforms: Iterable[str],
    progress: Progress | None,
) -> Sequence[Snapshot]:
    if isinstance(what, str | os.PathLike):
        return measure(what, config=config, platforms=platforms, progress=progress)
    return what
