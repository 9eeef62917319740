"""What ``-vv`` adds: stages and their times, refusals and started programs, on stderr only."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from slim import api
from slim.cli import main
from slim.cli.logs import logging_to_stderr
from slim.errors import SlimError
from tests.support.published_stacks import small_stack

LINE = re.compile(r" *\d+\.\d{3} s  slim\.[\w.]+: .+")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_stack(tmp_path_factory.mktemp("published") / "_artifacts")


@pytest.mark.parametrize("level", ["", "-v", "-vv"])
def test_logging_is_for_vv(
    stack: Path, level: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stack.parent)
    assert main(["run", "_artifacts", "--dry-run", *([level] if level else [])]) == 0
    out, err = capsys.readouterr()
    assert "framework-maths" in out
    assert "slim.stages" not in out
    lines = err.splitlines()
    assert bool(lines) == (level == "-vv")
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    if lines:
        assert any(re.search(r"slim\.stages: Planning: \d+\.\d{3} s$", line) for line in lines)
        assert any("is refused to tests-folders: imported; import" in line for line in lines)
    assert logging.getLogger("slim").handlers == []


def test_stdout_is_the_same(
    stack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stack.parent)
    told = []
    for level in ("-v", "-vv"):
        assert main(["diff", "_artifacts", "_artifacts", level]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]


def test_the_library_logs_where_its_user_wants_it(
    stack: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.run(stack, dry_run=True)
    assert caplog.records == []
    with caplog.at_level(logging.INFO, "slim"):
        api.run(stack, dry_run=True)
    assert {record.name for record in caplog.records} == {"slim.stages", "slim.pipeline.prepare"}


def test_started_programs_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO, "slim"), pytest.raises(SlimError):
        api.measure("HEAD:report.json")
    assert "starting git cat-file blob HEAD:report.json" in caplog.messages


def test_names_cannot_harm_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr():
        logging.getLogger("slim.test").info("%s", "a\x1b[2Jb\nc")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert len(err.splitlines()) == 2
