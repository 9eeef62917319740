"""Originals are listed and extracted, and what the command says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slim.backup.extract import write_originals
from slim.cli import main
from slim.model.limits import Limits
from tests.support.backup_runs import (
    FRAMEWORK,
    run_with_backup,
    taking,
    venv,
)
from tests.support.published_stacks import (
    SITE,
    small_stack,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``_artifacts``, ``_slim`` and ``removed.tar.zst``; read only."""
    folder = tmp_path_factory.mktemp("made")
    small_stack(folder / "_artifacts")
    run_with_backup(folder / "_artifacts", folder / "_slim", folder / "removed.tar.zst")
    return folder


def test_extracting_leaves_out_links_that_lead_out(tmp_path: Path) -> None:
    venv(tmp_path / "venv")
    run_with_backup(
        tmp_path / "venv",
        tmp_path / "smaller",
        tmp_path / "kept.tar.zst",
        config=taking("$site/**/tests/**"),
    )
    found, left = write_originals(
        tmp_path / "kept.tar.zst", tmp_path / "look", ("**/tests/**",), (), Limits()
    )
    assert left == (f"venv/{SITE}/maths/tests/link.py",)
    assert [one.file.path for one in found] == [f"{SITE}/maths/tests/test_it.py"]
    assert (
        tmp_path / "look" / "venv" / SITE / "maths/tests/test_it.py"
    ).read_text() == "def test(): pass\n"
    assert not list((tmp_path / "look").rglob("link.py"))


def test_the_command_line(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, slimmed, out = str(made / "removed.tar.zst"), str(made / "_slim"), str(tmp_path / "back")
    for wrong in (
        [store],
        [store, slimmed],
        [store, "-o", out],
        [store, "--list", "--extract", out],
        [store, "--list", "-qv"],
    ):
        assert main(["restore", *wrong]) == 2, wrong
    capsys.readouterr()
    assert main(["restore", store, "--list", "**/*.pyi", "--json"]) == 0
    originals = json.loads(capsys.readouterr().out)["originals"]
    assert [(one["deployed_path"], one["rule"], one["size"]) for one in originals] == [
        (f"{FRAMEWORK}/{SITE}/maths/core.pyi", "stubs", 7),
        (f"{FRAMEWORK}/{SITE}/maths/stubs/more.pyi", "stubs", 7),
    ]
    assert main(["restore", store, slimmed, "-o", out, "**/*.pyi", "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["restored"][0]["layers"]
    assert [(one["name"], one["files"], one["original"]) for one in layers if one["files"]] == [
        (FRAMEWORK, 2, False)
    ]
    assert main(["restore", store, slimmed, "-o", out]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["restore", store, slimmed, "-o", out, "--force", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["restore", store, "--extract", str(tmp_path / "look"), "**/*.pyi"]) == 0
    assert "2 originals" in capsys.readouterr().out
    assert (tmp_path / "look" / FRAMEWORK / SITE / "maths/core.pyi").read_text() == "x: int\n"
