"""Odd surroundings: closed descriptors, full devices, reports onto the input, links as output."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.published_stacks import small_stack
from tests.support.runnable_stacks import running_stack

SLIM = (sys.executable, "-m", "slim")
posix = pytest.mark.skipif(os.name == "nt", reason="shells and descriptors of POSIX")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "stack/lib/python3.13/site-packages/pkg/tests").mkdir(parents=True)
    package = tmp_path / "stack/lib/python3.13/site-packages/pkg"
    (package / "__init__.py").write_text("VALUE = 1\n")
    (package / "tests/test_pkg.py").write_text("import pkg\n")
    return tmp_path


def shell(here: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``slim`` in bash, where descriptors can be closed."""
    line = command.replace("slim", " ".join(SLIM), 1)
    return subprocess.run(
        ["bash", "-c", line],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def published(here: Path) -> bool:
    return (here / "out/lib/python3.13/site-packages/pkg/__init__.py").is_file()


@posix
@pytest.mark.parametrize("option", ["", "--json"])
@pytest.mark.parametrize("lost", [">&-", "> /dev/full"])
def test_output_that_is_lost_changes_nothing_that_was_done(
    here: Path, option: str, lost: str
) -> None:
    done = shell(here, f"slim run stack -o out {option} {lost}")
    assert (done.returncode, published(here)) == (7, True), done.stderr
    assert done.stderr.startswith("slim: output: stdout: ")
    assert "Traceback" not in done.stderr


@posix
def test_a_report_that_cannot_be_written_does_not_keep_the_others_from_it(here: Path) -> None:
    done = shell(
        here, "slim run stack -o out --report html=/dev/full --report json=told.json > shown"
    )
    assert (done.returncode, published(here)) == (7, True), done.stderr
    assert json.loads((here / "told.json").read_text())["runs"]
    assert "profile standard" in (here / "shown").read_text()


@posix
def test_a_closed_stderr_is_no_refusal(here: Path) -> None:
    done = shell(here, "slim run stack -o out 2>&-")
    assert (done.returncode, published(here)) == (0, True)


@posix
@pytest.mark.parametrize("asked", ["--help", "--version", "run --help"])
def test_who_has_seen_enough_of_the_help_is_no_error(here: Path, asked: str) -> None:
    done = shell(here, f"set -o pipefail; slim {asked} | true")
    assert (done.returncode, done.stderr) == (0, "")


@posix
def test_nothing_is_opened_under_the_number_of_a_closed_descriptor(here: Path) -> None:
    done = shell(here, "slim run stack -o out <&- >&- 2>&-")
    assert (done.returncode, published(here)) == (7, True)
    written = (here / "out/lib/python3.13/site-packages/pkg/__init__.py").read_text()
    assert written == "VALUE = 1\n"


@posix
def test_a_width_that_nobody_has_is_bounded(here: Path) -> None:
    done = shell(here, "slim run stack --dry-run", COLUMNS="99999999")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 400


@posix
@pytest.mark.parametrize("limit", [5, 6, 7, 8, 9, 12])
def test_a_limit_on_open_files_leaves_nothing_behind(here: Path, limit: int) -> None:
    small_stack(here / "published")
    before = sorted(here.iterdir())
    assert shell(here, f"ulimit -n {limit}; slim run published -o out").returncode in (0, 6)
    assert sorted(path for path in here.iterdir() if path.name != "out") == before


@posix
@pytest.mark.parametrize("mask", ["777", "700", "000"])
def test_a_umask_that_keeps_one_from_ones_own_files_changes_nothing(here: Path, mask: str) -> None:
    running_stack(here / "published", maths={"tests/test_a.py": "x = 1\n"})
    done = shell(here, f"umask {mask}; slim run published -o out --verify --report json=told.json")
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mode & 0o600 == 0o600 for path in (here / "out").rglob("*"))


@posix
@pytest.mark.parametrize("command", ["audit stack", "run stack -o out", "explain stack pkg.py"])
def test_a_full_stderr_is_no_refusal(here: Path, command: str) -> None:
    (here / "slim.toml").write_text("schema = 1\n")
    expected = shell(here, f"slim {command.replace(' out', ' other')}").returncode
    assert shell(here, f"slim {command} 2> /dev/full").returncode == expected != 1


@posix
def test_a_page_of_a_workflow_that_cannot_be_written_is_lost_output(here: Path) -> None:
    (here / "budget.toml").write_text('schema = 1\n[[budget]]\nname = "all"\nunpacked = "1 GB"\n')
    page = "GITHUB_STEP_SUMMARY=/nowhere/page"
    assert shell(here, f"{page} slim check stack --budget budget.toml").returncode == 7


@posix
def test_a_refusal_stays_a_refusal_where_it_cannot_be_printed(here: Path) -> None:
    (here / "budget.toml").write_text('schema = 1\n[[budget]]\nname = "all"\nunpacked = "1 B"\n')
    done = shell(here, "slim check stack --budget budget.toml > /dev/full")
    assert done.returncode == 1
    assert "over budget" in done.stderr


@pytest.mark.parametrize("name", ["slim.toml", "own.toml", "slim.keep.toml"])
@pytest.mark.parametrize("command", ["run stack -o out", "audit stack"])
def test_a_report_never_replaces_configuration(here: Path, command: str, name: str) -> None:
    (here / "slim.toml").write_text('schema = 1\npacks = ["own.toml"]\n')
    (here / "own.toml").write_text('schema = 1\ndescription = "none"\n')
    (here / "slim.keep.toml").write_text("schema = 1\n")
    before = (here / name).read_bytes()
    arguments = [*command.split(), "--keep-file", "slim.keep.toml", "--report", f"json={name}"]
    done = subprocess.run(
        [*SLIM, *arguments], cwd=here, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "would replace a file that is read" in done.stderr
    assert (here / name).read_bytes() == before


@pytest.mark.parametrize("command", ["run stack -o out", "audit stack", "diff stack stack"])
@pytest.mark.parametrize("name", ["same", "link", "hard"])
def test_a_report_never_replaces_what_is_read(here: Path, command: str, name: str) -> None:
    source = here / "stack/lib/python3.13/site-packages/pkg/__init__.py"
    places = {"same": source, "link": here / "link", "hard": here / "hard"}
    if name == "link":
        places[name].symlink_to(source)
    elif name == "hard":
        os.link(source, places[name])
    done = subprocess.run(
        [*SLIM, *command.split(), "--report", f"json={places[name]}"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "would replace a file that is read" in done.stderr
    assert source.read_text() == "VALUE = 1\n"
    assert not (here / "out").exists()


def test_a_report_of_a_run_does_not_come_to_lie_in_the_input(here: Path) -> None:
    run = [*SLIM, "run", "stack", "-o", "out", "--report", "json=stack/told.json"]
    done = subprocess.run(run, cwd=here, capture_output=True, text=True, check=False)
    assert (done.returncode, (here / "stack/told.json").exists()) == (2, False)
    audit = [*SLIM, "audit", "stack", "--report", "json=stack/told.json"]
    assert subprocess.run(audit, cwd=here, capture_output=True, check=False).returncode == 0


def test_an_output_that_is_a_dangling_link_is_found_out_at_once(here: Path) -> None:
    (here / "out").symlink_to("nowhere")
    done = subprocess.run(
        [*SLIM, "run", "stack", "-o", "out"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "is a link that leads nowhere" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--cache stack/made", "the cache would lie in the input"),
        ("--cache out", "the cache would lie in the output"),
        ("--verify --keep-file stack/keep.toml", "would lie in the input"),
        ("--keep-removed old.tar.zst --report json=old.tar.zst", "and something else would go to"),
        ("--verify --keep-file a.toml --signing-list a.toml", "and something else would go to"),
    ],
)
def test_what_is_written_is_told_apart_before_work_begins(
    here: Path, options: str, told: str
) -> None:
    before = sorted(here.rglob("*"))
    done = subprocess.run(
        [*SLIM, "run", "stack", "-o", "out", *options.split()],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("place", ["stack", "before/made", "out/made"])
def test_the_cache_of_an_update_lies_in_neither_side(here: Path, place: str) -> None:
    shutil.copytree(here / "stack", here / "before")
    before = sorted(here.rglob("*"))
    done = subprocess.run(
        [*SLIM, "delta", "before", "stack", "-o", "out", "--cache", place],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "the cache would lie in" in done.stderr) == (2, True), done.stderr
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        "run stack -o own.toml --pack own.toml --force",
        "run stack -o own.toml --config own.toml --force",
        "run stack -o held --pack held/own.toml --force",
        "run stack -o held --previous held/before --force",
        "run stack -o held/before/out --previous held/before",
        "run stack -o out --previous held/before --symbols held/before",
        "run stack -o out --previous held/before --keep-removed held/before/old.tar.zst",
        "run stack -o out --cache made --symbols made",
        "run stack -o out --cache made --report json=made",
        "restore old.tar.zst stack -o old.tar.zst --force",
        "restore old.tar.zst stack -o own.toml --config own.toml --force",
        "delta apply stack held -o own.toml --config own.toml --force",
        "check held --budget held/own.toml --update-budget",
    ],
)
def test_nothing_that_is_written_replaces_what_is_read(here: Path, command: str) -> None:
    text = 'schema = 1\ndescription = "none"\n' if "--pack" in command else "schema = 1\n"
    (here / "held").mkdir()
    for file in (here / "own.toml", here / "held/own.toml", here / "old.tar.zst"):
        file.write_text(text)
    shutil.copytree(here / "stack", here / "held/before")
    before = sorted(here.rglob("*"))
    arguments = [*SLIM, *command.split()]
    done = subprocess.run(arguments, cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert sorted(here.rglob("*")) == before


def test_a_stack_may_be_replaced_by_its_next_version(here: Path) -> None:
    shutil.copytree(here / "stack", here / "out")
    run = [*SLIM, "run", "stack", "-o", "out", "--previous", "out", "--force"]
    done = subprocess.run(run, cwd=here, capture_output=True, text=True, check=False)
    assert "would" not in done.stderr
