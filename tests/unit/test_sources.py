"""Sources: what a text names, and how it gets to this machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from slim.errors import ConfigError, StorageError
from slim.sources.base import Holds
from slim.sources.fetch import SCHEMES, fetched, parse

ANY = Holds.STACK | Holds.REPORT


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one committed file, ``reports/old.json``; the current folder."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "old.json").write_text("{}\n")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_path_is_read_where_it_is(tmp_path: Path) -> None:
    with fetched(tmp_path) as place:
        assert place == tmp_path
    assert parse(tmp_path, wanted=ANY).scheme.name == "path"


def test_a_path_that_is_not_there_is_left_to_the_reader(tmp_path: Path) -> None:
    with fetched(tmp_path / "none") as place:
        assert place == tmp_path / "none"


def test_a_report_in_git_is_there_during_the_block(repository: Path) -> None:
    source = parse("HEAD:reports/old.json", wanted=ANY)
    assert source.is_report
    with fetched(source) as place:
        assert place.read_text() == "{}\n"
        assert repository not in place.parents
    assert not place.exists()


def test_a_path_wins_over_a_revision_of_the_same_name(repository: Path) -> None:
    (repository / "HEAD:reports").write_text("here")
    assert parse("HEAD:reports", wanted=ANY).scheme.name == "path"


def test_a_stack_does_not_come_from_git(repository: Path) -> None:
    with fetched("HEAD:reports/old.json") as place:
        assert place == Path("HEAD:reports/old.json")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("-x:y", ConfigError, "dash"),
        ("HEAD:reports/none.json", StorageError, "git says"),
        ("none:reports/old.json", StorageError, "git says"),
    ],
)
def test_what_git_does_not_have(
    repository: Path, text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words), fetched(parse(text, wanted=ANY)):
        pass


def test_every_scheme_has_a_name_of_its_own() -> None:
    assert len({scheme.name for scheme in SCHEMES}) == len(SCHEMES)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a folder that is in use")
def test_a_deleted_working_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(OSError) as raised:
        Path.cwd()
    told = StorageError.from_os_error(raised.value)
    assert (told.file, told.hint) == (
        "the working folder",
        "it was deleted; change to one that exists",
    )
