"""The profile ``aggressive`` publishes only what was tried, unless ``--unverified`` is given."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import slim
from slim.cli import main
from slim.errors import ConfigError
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, RUNTIME, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small stacks start through a shell script"
)
LAUNCH = '[[verify.command]]\nlayer = "{}"\nargv = ["python", "-c", "print(1)"]\n'
WORDS = "not verified: profile aggressive removes by inference, and nothing tried the result"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    running_stack(tmp_path / "stack", maths={"tests/test_a.py": ""})
    return tmp_path


def configure(text: str) -> None:
    Path("slim.toml").write_text(f"schema = 1\n{text}")


def run(*options: str) -> int:
    return main(["run", "stack", "-o", "out", "-q", "--report", "json=report.json", *options])


def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return found


def notes() -> dict[str, Any]:
    """The manifest's ``slim`` note of each layer."""
    (manifest,) = Path("out/__venvstacks__").glob("*.json")
    layers = json.loads(manifest.read_text())["layers"]
    return {
        entry["install_target"]: entry["slim"]
        for section in layers.values()
        for entry in section
        if "slim" in entry
    }


BOLD = 'profile = "aggressive"\n'
ONE = 'enable = ["documentation-folders"]\n'
REFUSED = [
    (BOLD, (), f"--verify with a [[verify.command]] for layer {APPLICATION}"),
    (BOLD + LAUNCH.format(APPLICATION), (), "give --verify;"),
    (BOLD, ("--verify",), f"add a [[verify.command]] for layer {APPLICATION}"),
    (BOLD + LAUNCH.format(FRAMEWORK), ("--verify",), f"for layer {APPLICATION}"),
    (f'[layer.{FRAMEWORK}]\nprofile = "aggressive"\n', (), "--verify with"),
    ("", ("--profile", "aggressive", "--layer", FRAMEWORK), "--verify with"),
    (ONE, (), f"--verify with a [[verify.command]] for layer {APPLICATION}"),
    (ONE, ("--verify",), f"add a [[verify.command]] for layer {APPLICATION}"),
    (ONE, ("--profile", "safe"), "(documentation-folders)"),
    (f"[layer.{FRAMEWORK}]\n{ONE}", (), "(documentation-folders)"),
    ("", ("--enable", "documentation-folders"), "(documentation-folders)"),
]


@pytest.mark.parametrize(("text", "options", "hint"), REFUSED)
def test_what_nothing_tries_is_refused_before_work_begins(
    text: str, options: tuple[str, ...], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(text)
    assert run(*options) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert re.search("the profile aggressive,?( which)? removes by inference", told)
    assert hint in told
    assert "--unverified" in told
    assert not Path("out").exists()
    assert not Path("report.json").exists()


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (f'{BOLD}[layer.{FRAMEWORK}]\nprofile = "safe"\n', ("--layer", FRAMEWORK)),
        (f'[layer.{FRAMEWORK}]\nprofile = "aggressive"\nskip = true\n', ()),
        ("", ("--profile", "standard", "--unverified")),
        (ONE, ("--disable", "documentation-folders")),
        (
            f'{ONE}[layer.{FRAMEWORK}]\ndisable = ["documentation-folders"]\n',
            ("--layer", FRAMEWORK),
        ),
        ('enable = ["pyomo-examples"]\n', ("--profile", "safe")),
    ],
)
def test_other_runs_need_no_trial(text: str, options: tuple[str, ...]) -> None:
    configure(text)
    assert run(*options) == 0
    assert report()["verification"]["unverified"] is False
    assert not any("unverified" in note for note in notes().values())


def test_a_dry_run_needs_no_trial() -> None:
    configure(BOLD)
    arguments = ["run", "stack", "--dry-run", "-q", "--report", "json=report.json"]
    assert main(arguments) == 0
    assert report()["verification"]["unverified"] is False


def test_what_a_command_tried_is_published() -> None:
    configure(BOLD + LAUNCH.format(APPLICATION))
    assert run("--verify") == 0
    assert report()["verification"]["unverified"] is False
    assert set(notes()) >= {RUNTIME, FRAMEWORK, APPLICATION}
    assert not any("unverified" in note for note in notes().values())


@pytest.mark.parametrize(
    ("text", "options", "unverified"),
    [(ONE + LAUNCH.format(APPLICATION), "--verify", False), (ONE, "--unverified", True)],
)
def test_a_rule_that_is_enabled_by_name_needs_a_trial_too(
    text: str, options: str, unverified: bool
) -> None:
    configure(text)
    assert run(options) == 0
    assert report()["verification"]["unverified"] is unverified


@pytest.mark.parametrize("options", [("--unverified",), ("--unverified", "--verify")])
def test_unverified_results_say_so_everywhere(
    options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(BOLD)
    more = ("--report", "markdown=report.md", "--report", "html=report.html")
    arguments = ["run", "stack", "-o", "out", "--report", "json=report.json", *more, *options]
    assert main(arguments) == 0
    assert WORDS in " ".join(capsys.readouterr().out.split())
    assert report()["verification"]["unverified"] is True
    assert WORDS in Path("report.md").read_text()
    assert re.search(rf'class="alert"[^>]*>{WORDS}<', Path("report.html").read_text())
    assert {note.get("unverified") for note in notes().values()} == {True}


def test_notes_follow_the_trial_when_a_result_is_run_again() -> None:
    configure(BOLD + LAUNCH.format(APPLICATION))
    assert run("--unverified") == 0
    Path("out").rename("first")
    arguments = ["run", "first", "-o", "out", "-q", "--verify"]
    assert main(arguments) == 0
    assert not any("unverified" in note for note in notes().values())


def test_a_stack_that_cannot_be_tried_here_needs_unverified(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for file in Path("stack/__venvstacks__").rglob("*.json"):
        text = re.sub(
            r'"target_platform": "[^"]*"', '"target_platform": "win_amd64"', file.read_text()
        )
        file.write_text(text)
    configure(BOLD + LAUNCH.format(APPLICATION))
    assert run("--verify") == 2
    assert "the stack is for win_amd64" in " ".join(capsys.readouterr().err.split())
    assert run("--verify", "--unverified") == 0
    assert report()["verification"]["unverified"] is True


def test_a_plain_folder_without_interpreter_is_refused_after_reading(place: Path) -> None:
    site = place / "venv/lib/python3.13/site-packages"
    site.mkdir(parents=True)
    (site / "a.py").write_text("")
    configure(BOLD + LAUNCH.format("venv"))
    config = slim.load_config(place / "slim.toml")
    with pytest.raises(ConfigError, match="nothing was run: the stack's platform isn't known"):
        slim.run("venv", "out", config=config, verify=True)
    assert not Path("out").exists()
    (result,) = slim.run("venv", "out", config=config, unverified=True)
    assert result.verification.unverified
