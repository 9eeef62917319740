"""A quick part of ``python -m tests.faults``, which tries everything."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import (
    ERRORS,
    SIGNALS,
    Tally,
    errors,
    kills,
    short_writes,
    signals,
    survey,
)
from tests.faults.scenarios import NAIVE, SCENARIOS, Sandbox
from tests.faults.surroundings import (
    changing_input,
    file_sizes,
    may_mount,
    read_only,
    read_only_input,
    small_disks,
    two_runs,
)
from tests.faults.tracing import Point, Zygote

pytestmark = [
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("strace") is None, reason="needs strace"
    ),
    pytest.mark.xdist_group("faults"),
]
BY_NAME = {scenario.name: scenario for scenario in (*SCENARIOS, NAIVE)}


@pytest.fixture(scope="module")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with Zygote(tmp_path_factory.mktemp("scratch")) as started:
        yield started


@pytest.fixture(scope="module")
def replacing(
    tmp_path_factory: pytest.TempPathFactory, zygote: Zygote
) -> tuple[Sandbox, list[Point]]:
    """A run with reports that replaces an older output: whatever a run does, this does."""
    box = Sandbox(BY_NAME["reports"], tmp_path_factory.mktemp("faults") / "box", zygote)
    return box, survey(box)


def assert_good(tally: Tally) -> None:
    assert tally.tried
    assert not tally.wrong, "\n".join(tally.wrong)


def test_a_kill_leaves_the_old_set_or_the_new_one(replacing: tuple[Sandbox, list[Point]]) -> None:
    box, points = replacing
    tally = kills(box, points[::3])
    assert_good(tally)
    assert tally.ends == {"killed": tally.tried}
    assert {"old", "new+old+old"} <= tally.states.keys(), (
        "it was killed before and after the set appeared"
    )


@pytest.mark.parametrize(("number", "name"), list(enumerate(ERRORS)))
def test_no_error_is_silent(replacing: tuple[Sandbox, list[Point]], number: int, name: str) -> None:
    box, points = replacing
    assert_good(errors(box, points[number :: 2 * len(ERRORS)], name))


def test_what_a_disk_loses_is_found_out(replacing: tuple[Sandbox, list[Point]]) -> None:
    box, points = replacing
    tally = short_writes(box, points)
    assert_good(tally)
    assert "exit 0" not in tally.ends


@pytest.mark.parametrize(("number", "name"), list(enumerate(SIGNALS)))
def test_signals_end_a_run_cleanly(
    replacing: tuple[Sandbox, list[Point]], number: int, name: str
) -> None:
    box, points = replacing
    assert_good(signals(box, points[number::6], name))


@pytest.mark.parametrize("name", ["symbols", "restore", "extract", "delta", "apply"])
def test_other_commands_and_outputs(tmp_path: Path, zygote: Zygote, name: str) -> None:
    box = Sandbox(BY_NAME[name], tmp_path / "box", zygote)
    points = survey(box)
    tally = kills(box, points[::4])
    assert_good(tally)
    assert {"old", "new"} <= tally.states.keys()
    assert_good(errors(box, points[1::12], "ENOSPC"))
    lost = short_writes(box, points)
    assert_good(lost)
    # Of a patch made with the method that gave the larger one, nobody reads what was lost.
    assert lost.ends["exit 0"] <= (name == "delta")


@pytest.fixture(scope="module")
def plain(zygote: Zygote) -> Iterator[Sandbox]:
    """Where another user can come, too."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        Path(name).chmod(0o755)
        yield Sandbox(BY_NAME["replace"], Path(name) / "box", zygote)


def test_files_may_only_get_so_large(plain: Sandbox) -> None:
    assert_good(file_sizes(plain))


@pytest.mark.skipif(not may_mount(), reason="mounting needs root")
def test_full_and_read_only_file_systems(plain: Sandbox) -> None:
    for tally in (*small_disks(plain), *read_only(plain), read_only_input(plain)):
        assert_good(tally)
        if "disk" in tally.fault or "inodes" in tally.fault:
            assert tally.ends["exit 6"] > 5
            assert tally.ends["exit 0"] == 1


def test_two_runs_on_one_output(plain: Sandbox, tmp_path: Path) -> None:
    with Zygote(tmp_path / "scratch") as other:
        tally = two_runs(plain, survey(plain)[::13], other)
    assert_good(tally)
    assert {"second exit 0", "second exit 2"} <= tally.ends.keys()


@pytest.mark.parametrize("name", ["carried", "folder", "restore", "delta"])
def test_an_input_that_changes(tmp_path: Path, zygote: Zygote, name: str) -> None:
    box = Sandbox(BY_NAME[name], tmp_path / "box", zygote)
    tally = changing_input(box, survey(box)[::10])
    assert_good(tally)
    assert tally.ends["exit 5"], "it changed while it was read"


def test_a_naive_publisher_is_found_out(tmp_path: Path, zygote: Zygote) -> None:
    box = Sandbox(NAIVE, tmp_path / "box", zygote)
    points = survey(box)
    assert kills(box, points[1::3]).broken
    assert errors(box, points[1::3], "ENOSPC").silent
