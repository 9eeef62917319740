"""Every case of the corpus, in one list."""

from __future__ import annotations

import functools

from tests.corpus.archive_trials import archive_trials
from tests.corpus.config_trials import config_trials
from tests.corpus.delta_trials import delta_trials
from tests.corpus.metadata_trials import metadata_trials
from tests.corpus.native_trials import native_trials
from tests.corpus.report_trials import limit_trials, report_trials
from tests.corpus.restore_trials import restore_trials
from tests.corpus.tree_trials import tree_trials
from tests.corpus.trials import Trial


@functools.cache
def all_trials() -> tuple[Trial, ...]:
    """The table. Each case has a name of its own."""
    stacks = (archive_trials, tree_trials, native_trials, metadata_trials)
    others = (report_trials, restore_trials, delta_trials, config_trials, limit_trials)
    found = tuple(trial for table in (*stacks, *others) for trial in table())
    assert len({trial.id for trial in found}) == len(found)
    return found
