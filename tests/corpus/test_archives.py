"""Every archive of the corpus, as a layer of a published stack, through every command that reads one."""

from __future__ import annotations

import io
import tarfile

import pytest

from tests.corpus.archive_trials import archive_trials
from tests.corpus.archives import TAR
from tests.corpus.scene import scene
from tests.corpus.trials import Trial, tried

TRIALS = list(archive_trials())
MARKED = [pytest.param(trial, id=trial.id, marks=[pytest.mark.slow] if trial.slow else []) for trial in TRIALS]


@pytest.mark.parametrize("trial", MARKED)
def test_each_ends_as_the_table_says(trial: Trial) -> None:
    assert {name: problems for name, problems in tried(trial).items() if problems} == {}


def test_no_two_cases_have_one_name() -> None:
    assert len({trial.id for trial in TRIALS}) == len(TRIALS)


@pytest.mark.parametrize("name", ["parent", "member-below-link"])
def test_a_tool_that_unpacks_what_it_is_given_does_not_get_by(name: str) -> None:
    """The canaries see what they are there for."""
    case = next(case for case in TAR if case.name == name)
    with scene() as made, tarfile.open(fileobj=io.BytesIO(case.bytes)) as archive:
        before = made.state()
        try:
            archive.extractall(made.work, filter="fully_trusted")
        except (OSError, KeyError, tarfile.TarError):
            assert name != "parent"
        assert made.state() != before
