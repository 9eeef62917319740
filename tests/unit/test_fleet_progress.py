"""Words about the progress of a fleet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slim.cli.fleet_progress import fleet_progress, progress_text, result_text
from slim.model.fleet import FleetProgress, TaskCost, TaskResult
from tests.golden import fleets

HALF = FleetProgress(
    stacks=5, stacks_done=2, failed=1, size=9_000_000, size_done=4_500_000,
    running=2, tries=5, hits=3,
)  # fmt: skip
DONE, BROKEN = fleets.failed().tasks[0], fleets.failed().tasks[3]


def test_stacks_bytes_hits_tries() -> None:
    told = "2/5 stacks, 4.5 MB/9.0 MB, 2 running, 3 hits, 5 tries, 1 failed"
    assert progress_text(HALF) == told
    assert progress_text(replace(HALF, failed=0, tries=1)).endswith("3 hits, 1 try")


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (DONE, "[2/5] assistant (linux_x86_64): 365.0 MB -> 173.0 MB (-53%), 12 s"),
        (replace(DONE, cost=TaskCost(resumed=True)), "[2/5] assistant (linux_x86_64): done before"),
        (BROKEN, "[2/5] notes\\x1b[31m<b> (linux_x86_64): unsafe or malformed input: a.tar.xz: "
                 "../x: leaves its folder"),
    ],
)  # fmt: skip
def test_a_line_a_stack(result: TaskResult, words: str) -> None:
    assert result_text(HALF, result) == words


def test_a_log_gets_lines_only_where_they_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose, lines in ((0, 0), (1, 1)):
        with fleet_progress(quiet=False, verbose=verbose) as observe:
            observe(HALF)
            observe(replace(HALF, last=DONE))
        assert len(capsys.readouterr().err.splitlines()) == lines
