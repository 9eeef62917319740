"""Publishing in one rename: old set or new set, never half of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slim.errors import ConfigError, StorageError
from slim.publish.staging import check_target, publish, staging


def stage(target: Path, content: str, *, force: bool = False) -> None:
    with staging(target) as folder:
        (folder / "set").mkdir()
        (folder / "set" / "a").write_text(content)
        publish(folder / "set", target, force=force)


def test_a_set_appears_whole_and_nothing_is_left_next_to_it(tmp_path: Path) -> None:
    stage(tmp_path / "out", "new")
    assert (tmp_path / "out" / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_an_existing_set_is_replaced_only_with_force(tmp_path: Path) -> None:
    stage(tmp_path / "out", "old")
    with pytest.raises(StorageError, match="appeared"):
        stage(tmp_path / "out", "new")
    assert (tmp_path / "out" / "a").read_text() == "old"
    stage(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out" / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_without_an_exchange_in_the_kernel_two_renames_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slim.publish.staging._exchange", lambda one, other: False)
    stage(tmp_path / "out", "old")
    stage(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out" / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_a_failure_leaves_the_old_set_and_no_rubbish(tmp_path: Path) -> None:
    stage(tmp_path / "out", "old")
    with pytest.raises(RuntimeError), staging(tmp_path / "out") as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_the_next_run_cleans_up_after_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / ".slim-staging-out.abc").mkdir()
    (tmp_path / ".slim-staging-out.abc" / "half").write_text("half")
    (tmp_path / ".slim-old-out.abc").mkdir()
    (tmp_path / ".slim-old-out.abc" / "a").write_text("old")
    with staging(tmp_path / "out"):
        assert (tmp_path / "out" / "a").read_text() == "old", (
            "the set that was moved aside is put back"
        )
    assert os.listdir(tmp_path) == ["out"]


def test_two_runs_on_one_target_cannot_meet(tmp_path: Path) -> None:
    with (
        staging(tmp_path / "out"),
        pytest.raises(ConfigError, match="another run") as caught,
        staging(tmp_path / "out"),
    ):
        pass
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("source", "target", "force", "word"),
    [
        ("in", "in/out", False, "inside the input"),
        ("in", "in", True, "inside the input"),
        ("in/sub", "in", True, "inside the output"),
        ("in/x.tar.xz", "in", True, "inside the output"),
        ("in", "other", False, "exists already"),
    ],
)
def test_targets_that_would_harm_the_input_are_refused(
    tmp_path: Path, source: str, target: str, force: bool, word: str
) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "x.tar.xz").touch()
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match=word):
        check_target(tmp_path / target, tmp_path / source, force=force)


def test_a_target_reached_through_a_link_is_still_inside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    with pytest.raises(ConfigError, match="inside the input"):
        check_target(tmp_path / "link" / "out", tmp_path / "in", force=False)
