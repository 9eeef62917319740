"""Every case of the corpus through every command that reads a stack."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile

import pytest

from tests.corpus.archives import TAR
from tests.corpus.scene import COMMANDS, scene
from tests.corpus.table import all_trials
from tests.corpus.trials import Trial, tried

MARKED = [
    pytest.param(trial, id=trial.id, marks=[pytest.mark.slow] if trial.slow else [])
    for trial in all_trials()
]


@pytest.mark.parametrize("trial", MARKED)
def test_each_ends_as_the_table_says(trial: Trial) -> None:
    assert {name: problems for name, problems in tried(trial).items() if problems} == {}


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


@pytest.mark.parametrize(
    "name", ["tar: cve-2025-4517", "metadata: manifest, archive path", "folders: link out"]
)
def test_a_process_of_its_own_ends_the_same_way(name: str) -> None:
    """What the other tests call within the test's process, as a user would start it."""
    trial = next(trial for trial in all_trials() if trial.id == name)
    with scene(trial.layer, platform=trial.platform) as made:
        trial.prepare(made)
        before = made.state()
        command = [sys.executable, "-m", "slim", *map(str, COMMANDS["run"](made))]
        environment = {**os.environ, "TMPDIR": str(made.top / "tmp")}
        done = subprocess.run(
            command, cwd=made.work, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == trial.expected["run"].code == 3
        assert all(text in done.stderr for text in trial.expected["run"].says)
        assert done.stdout == ""
        assert made.state() == before
