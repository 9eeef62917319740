"""``slim check`` and ``slim diff`` as commands: files, exit codes, CI, every kind of source."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from slim.cli import main
from tests.support.published_stacks import small_stack
from tests.support.report_schemas import schema

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    small_stack(tmp_path / "stack")
    return tmp_path


@pytest.fixture
def slim(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        return (code, *capsys.readouterr())

    return run


def budgets(place: Path, limit: str, name: str = "slim.toml") -> None:
    (place / name).write_text(f'schema = 1\n\n[[budget]]\nname = "all"\nunpacked = "{limit}"\n')


def test_exit_codes(place: Path, slim: Run) -> None:
    budgets(place, "1 MB")
    assert slim("check", "stack")[0] == 0
    budgets(place, "1 kB")
    code, out, err = slim("check", "stack")
    assert code == 1
    assert "✗ all: unpacked size is" in out
    assert "slim: refused: over budget: all: unpacked size is" in err
    (place / "slim.toml").unlink()
    code, _, err = slim("check", "stack")
    assert code == 2
    assert "there is no budget" in err
    budgets(place, "1 MX", "own.toml")
    code, _, err = slim("check", "stack", "--budget", "own.toml")
    assert code == 2
    assert "own.toml: budget[0].unpacked: '1 MX' isn't a size" in err
    assert slim("check", "nowhere", "--budget", "own.toml")[0] == 2
    budgets(place, "1 MB", "own.toml")
    assert slim("check", "nowhere", "--budget", "own.toml")[0] == 6
    assert slim("check", "stack", "--budget", "own.toml", "-q") == (0, "", "")


USAGE = [
    (["-q", "-v"], "contradict"),
    (["--allow-raise"], "--update-budget"),
    (["--headroom", "2%"], "--update-budget"),
    (["--headroom", "2 MB", "--update-budget"], "takes a percentage"),
    (["--report", "jsn=x"], "did you mean 'json'?"),
    (["--json", "--report", "sarif=-"], "only one report"),
]


@pytest.mark.parametrize(("options", "message"), USAGE)
def test_wrong_use(place: Path, slim: Run, options: list[str], message: str) -> None:
    budgets(place, "1 MB")
    code, _, err = slim("check", "stack", *options)
    assert code == 2
    assert message in err


def test_what_github_gets(place: Path, slim: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets(place, "1 kB")
    summary = place / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    code, out, err = slim("check", "stack")
    assert code == 1
    assert summary.read_text().startswith("before\n# slim check: 1 of 1 budget exceeded\n")
    assert "::error file=slim.toml,line=3,title=Budget all exceeded::all: unpacked size is" in out
    code, out, err = slim("check", "stack", "--json")
    assert json.loads(out)["passed"] is False
    assert "::error file=slim.toml" in err
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place / "no" / "where.md"))
    assert slim("check", "stack")[0] == 1, "what the budgets say matters more"
    budgets(place, "1 MB")
    assert slim("check", "stack")[0] == 7


def test_elsewhere_nothing_is_written_for_github(place: Path, slim: Run) -> None:
    budgets(place, "1 kB")
    before = sorted(place.rglob("*"))
    _, out, err = slim("check", "stack")
    assert "::error" not in out + err
    assert sorted(place.rglob("*")) == before


def test_the_first_budgets(place: Path, slim: Run) -> None:
    code, out, _ = slim("check", "stack", "--update-budget")
    assert code == 0, out
    assert "slim.toml: budgets written" in out
    text = (place / "slim.toml").read_text()
    assert text.startswith('schema = 1\n\n[[budget]]\nname = "total"\narchive = "')
    assert text.count("[[budget]]") == 4
    assert slim("check", "stack")[0] == 0
    code, out, _ = slim("check", "stack", "--update-budget")
    assert (code, "nothing to tighten" in out) == (0, True)
    assert (place / "slim.toml").read_text() == text


def test_budgets_are_added_to_a_configuration(place: Path, slim: Run) -> None:
    (place / "pyproject.toml").write_text(
        '[project]\nname = "x" # mine\n\n[tool.slim]\nschema = 1\n'
    )
    assert slim("check", "stack", "--update-budget")[0] == 0
    text = (place / "pyproject.toml").read_text()
    assert text.startswith(
        '[project]\nname = "x" # mine\n\n[tool.slim]\nschema = 1\n\n[[tool.slim.budget]]\n'
    )
    assert slim("check", "stack")[0] == 0


def test_the_ratchet(place: Path, slim: Run) -> None:
    budgets(place, "1 MB")
    code, out, _ = slim("check", "stack", "--update-budget", "--headroom", "10%")
    assert code == 0
    assert "all, unpacked: 1 MB -> " in out
    budgets(place, "1 kB")
    text = (place / "slim.toml").read_text()
    assert slim("check", "stack", "--update-budget")[0] == 1
    assert (place / "slim.toml").read_text() == text
    assert slim("check", "stack", "--update-budget", "--allow-raise")[0] == 0
    assert slim("check", "stack")[0] == 0


def test_every_report_to_a_file(place: Path, slim: Run) -> None:
    budgets(place, "1 kB")
    names = ("json", "markdown", "sarif", "junit", "gitlab", "annotations", "terminal")
    options = [part for name in names for part in ("--report", f"{name}=report.{name}")]
    assert slim("check", "stack", *options)[0] == 1
    assert all((place / f"report.{name}").stat().st_size for name in names)


# slim diff


def unpacked(place: Path) -> Path:
    folder = place / "unpacked"
    folder.mkdir()
    for archive in sorted((place / "stack").glob("*.tar.xz")):
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="tar")
    return folder


def test_a_run_and_what_came_of_it(place: Path, slim: Run) -> None:
    assert slim("run", "stack", "-o", "out", "-q", "--report", "json=run.json")[0] == 0
    document = json.loads((place / "run.json").read_text())
    jsonschema.validate(document, schema("report-v1"), jsonschema.Draft202012Validator)
    code, out, _ = slim("diff", "stack", "out", "--json")
    assert code == 0
    (found,) = json.loads(out)["comparisons"]
    totals = document["runs"][0]["totals"]
    for key in ("archive", "unpacked", "deployed", "files"):
        assert found["totals"]["before"][key] == totals[key]["before"]
        assert found["totals"]["after"][key] == totals[key]["after"]
    places = [
        place["place"]
        for owner in found["by_owner"]
        for place in owner["places"]
        if place["kind"] == "gone"
    ]
    assert "cpython3.13/lib/python3.13/idlelib/" in places


def test_a_report_is_what_it_was_made_from(place: Path, slim: Run) -> None:
    assert slim("run", "stack", "-o", "out", "-q", "--report", "json=run.json")[0] == 0
    _, out, _ = slim("diff", "run.json", "out")
    assert "No size differs." in out
    assert slim("audit", "stack", "-q", "--report", "json=audit.json")[0] == 0
    _, out, _ = slim("diff", "audit.json", "stack")
    assert "No size differs." in out


def test_archives_folders_and_wheels(place: Path, slim: Run) -> None:
    folder = unpacked(place)
    archive = "stack/framework-maths.tar.xz"
    _, out, _ = slim("diff", archive, "unpacked/framework-maths")
    assert "by owner" not in out
    (folder / "framework-maths" / "new.bin").write_bytes(b"x" * 5000)
    _, out, _ = slim("diff", archive, "unpacked/framework-maths")
    assert "(unowned) +5.0 kB: other data" in out
    assert "new new.bin  +5.0 kB" in out
    for name, size in (("a", 10), ("b", 3000)):
        with zipfile.ZipFile(place / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("a/__init__.py", "#" * size)
            wheel.writestr(
                "a-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1.0\n"
            )
            wheel.writestr(
                "a-1.0.dist-info/RECORD", "a/__init__.py,,\na-1.0.dist-info/METADATA,,\n"
            )
    code, out, err = slim("diff", "a-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl")
    assert code == 0, err
    assert "a 1.0 +3.0 kB: python source" in out


def test_diff_of_a_stack_with_itself(place: Path, slim: Run) -> None:
    shutil.copytree(place / "stack", place / "copy")
    code, out, _ = slim("diff", "stack", "copy")
    assert code == 0
    assert "No size differs." in out


def test_diff_of_nothing(place: Path, slim: Run) -> None:
    code, _, err = slim("diff", "stack", "nowhere")
    assert code == 6
    assert "nowhere" in err
    code, _, err = slim("diff", "--", "-x:y", "stack")
    assert code == 2
    assert "dash" in err
