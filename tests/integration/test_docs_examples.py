"""Every example in the documentation is executed, in the order of its page, on a small stack."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import slim.sample.build
from slim.cli import main
from slim.config.load import load_config
from slim.passes import SCHEMAS
from slim.sample.publish import publish_layers
from tests.support.docs_examples import Block, Step, blocks, matches, steps
from tests.support.published_stacks import small_stack

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
RECIPES = ROOT / "fixtures" / "ci"
ELSEWHERE = {"audit.md", "verify.md"}
"""Pages whose examples have tests of their own."""

PAGES = sorted(path.name for path in DOCS.glob("*.md") if path.name not in ELSEWHERE)
SHELL_NOT_RUN = {
    ("index.md", "slim demo"): "the demo has tests of its own",
    ("cache.md", "slim cache prune"): "test_results_cache.py does each, and checks what is left",
    ("extending.md", "importtime"): "measures; test_startup.py says what isn't imported",
    ("extending.md", "docs/generate.py"): "the documentation session of the noxfile runs it",
    ("field.md", "python -m tests.field"): "takes hours; test_field.py tries a part",
    ("fleet.md", "dask scheduler"): "test_fleet_dask.py starts a scheduler and workers",
    ("guard.md", "SLIM_CANARY"): "needs a Python that reads .pth files; test_canary.py",
    ("guard.md", "tar -xf _slim/rest"): "test_guard.py unpacks a pack over its layer",
    ("guided.md", "bench/guided.py"): "a stack of the lab, in half an hour and more",
    ("guided.md", "slim trace _artifacts"): "test_trace_run.py and test_guided_run.py do both",
    ("macos-signing.md", "codesign"): "needs a Mac",
    ("native.md", "bench/native.py fetch"): "downloads a gigabyte of wheels",
    (
        "nothing-lost.md",
        "debuginfod -F symbols",
    ): "test_symbols.py tries debuggers and the commands that are theirs",
    (
        "nothing-lost.md",
        "add-symbol-file",
    ): "test_symbols.py tries debuggers and the commands that are theirs",
    ("nothing-lost.md", "DBGFileMappedPaths"): "needs a Mac",
    ("nothing-lost.md", "_NT_SYMBOL_PATH"): "needs Windows",
    ("recipes.md", "gh release create"): "makes a release",
    (
        "reliability.md",
        "python -m tests.corpus",
    ): "the corpus is a test, and test_docs_reliability.py compares its counts",
    (
        "reliability.md",
        "python -m tests.faults",
    ): "test_faults.py tries a part of it, and the naive publisher",
    (
        "reliability.md",
        "python -m tests.reproducibility",
    ): "test_reproducibility.py tries a part of it",
    ("reliability.md", "python -m tests.fuzz"): "CI fuzzes in a step of its own",
    ("extending.md", "zensical build"): "CI builds the site",
    ("extending.md", "-X importtime"): "prints a few hundred lines",
    ("remote.md", "slim run s3://bucket"): "needs a server; test_remote.py starts one",
    ("trace.md", "slim trace merge"): "needs a Python that reads .pth files; test_trace_run.py",
    ("trace.md", "slim trace recorder"): "test_trace_run.py carries the recorder",
}
"""Shell blocks that are only checked for syntax: (page, a part of the block), and why."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_stack(tmp_path_factory.mktemp("published") / "_artifacts")


@pytest.fixture
def place(tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "NO_COLOR",
        "FORCE_COLOR",
        "COLUMNS",
        "SLIM_DEBUG",
        "GITHUB_ACTIONS",
        "GITHUB_STEP_SUMMARY",
    ):
        monkeypatch.delenv(name, raising=False)
    # Layers of the sample stack stay uncompressed here; test_sample_run.py has it as it is.
    uncompressed = partial(publish_layers, format_name="tar")
    monkeypatch.setattr(slim.sample.build, "publish_layers", uncompressed)
    shutil.copytree(published, tmp_path / "_artifacts")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page(name: str) -> list[Block]:
    return blocks((DOCS / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PAGES)
def test_examples(name: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in page(name):
        where = f"docs/{name}:{block.line}"
        if block.title is not None:
            (place / block.title).write_text(block.body, encoding="utf-8")
        match block.language:
            case "console":
                for step in steps(block.body):
                    run(step, where, capsys)
            case "python":
                with contextlib.chdir(place):
                    exec(compile(block.body, where, "exec"), {"__name__": "example"})
            case "toml":
                tomllib.loads(block.body)
                assert block.title, f"{where}: TOML needs a title, so that it is tried"
                if block.title == "slim.toml":
                    load_config(SCHEMAS, file=place / "slim.toml")
            case "json":
                json.loads(block.body)
            case "sh":
                syntax(block, where)
            case "text" | "yaml":
                pass
            case other:
                pytest.fail(f"{where}: nothing tries {other} blocks")


def run(step: Step, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert step.command.startswith("slim "), f"{where}: only slim is run in console blocks"
    capsys.readouterr()
    code = main(shlex.split(step.command)[1:])
    out, err = capsys.readouterr()
    told = out + ("" if step.code == 1 else err)
    assert code == step.code, f"{where}: {step.command}\n{out}{err}"
    if step.expected is not None:
        assert matches(step.expected, told), (
            f"{where}: {step.command} told\n{told}\ninstead of\n{step.expected}"
        )


def syntax(block: Block, where: str) -> None:
    shell = shutil.which("sh")
    if shell is None:
        pytest.skip("there is no sh")
    done = subprocess.run(
        [shell, "-n"], input=block.body, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{where}: {done.stderr}"


def test_every_shell_block_is_run_or_has_a_reason() -> None:
    recipes = {path.read_text(encoding="utf-8") for path in RECIPES.iterdir()}
    for name in PAGES:
        for block in page(name):
            if block.language == "sh" and block.body not in recipes:
                assert any(where == name and part in block.body for where, part in SHELL_NOT_RUN), (
                    name,
                    block.line,
                )


def test_recipes_are_the_files() -> None:
    shown = {block.body for block in page("recipes.md")}
    for path in RECIPES.iterdir():
        assert path.read_text(encoding="utf-8") in shown, path.name


# The commands of the recipes


@pytest.fixture
def programs(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with this slim, and stand-ins for what builds the stack and fetches the baseline."""
    folder = place / "programs"
    folder.mkdir()
    (place / "_artifacts").rename(place / "prepared")
    (place / "slim.toml").write_text(
        'schema = 1\n\n[[budget]]\nname = "download"\narchive = ["1 MB", "+2%"]\n'
    )
    scripts = {
        "slim": f'exec "{sys.executable}" -m slim "$@"',
        "venvstacks": 'if [ "$1" = publish ]; then cp -r prepared _artifacts; fi',
        "pip": "exit 0",
        "curl": "exit 22",
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.org")
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    return folder


def shell(script: str, program: str = "sh") -> subprocess.CompletedProcess[str]:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} isn't installed")
    return subprocess.run([found, "-e", "-c", script], capture_output=True, text=True, check=False)


def scripts_of(name: str, key: Callable[[Any], list[str]]) -> list[str]:
    yaml = pytest.importorskip("yaml")
    return key(yaml.safe_load((RECIPES / name).read_text(encoding="utf-8")))


@pytest.mark.slow
def test_the_plain_shell_recipe(place: Path, programs: Path) -> None:
    script = (RECIPES / "stack.sh").read_text(encoding="utf-8")
    done = shell(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 budget held" in done.stdout
    assert "no baseline" in done.stdout.replace("there is no --baseline", "no baseline")
    (place / "baseline").mkdir()
    shutil.move(place / "slim-report.json", place / "baseline" / "slim-report.json")
    shutil.rmtree(place / "_slim")
    shutil.rmtree(place / "_artifacts")
    done = shell(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0%" in done.stdout


@pytest.mark.slow
def test_the_github_recipe(place: Path, programs: Path) -> None:
    def runs(document: Any) -> list[str]:
        steps = document["jobs"]["slim"]["steps"]
        return [
            step["run"] for step in steps if "run" in step and not step.get("continue-on-error")
        ]

    for script in scripts_of("github-workflow.yml", runs):
        done = shell(script, "bash")
        assert done.returncode == 0, done.stdout + done.stderr
    assert (place / "slim-report.json").is_file()


@pytest.mark.slow
def test_the_gitlab_recipe(place: Path, programs: Path) -> None:
    for script in scripts_of("gitlab-ci.yml", lambda document: document["stack"]["script"]):
        done = shell(script)
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((place / "budgets.json").read_text()) == []
    assert "<testsuites" in (place / "budgets.xml").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "code", "passed"), [("1 MB", 0, "true"), ("1 kB", 1, "false")])
def test_the_action(
    place: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, limit: str, code: int, passed: str
) -> None:
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "check"]
    (place / "own budgets.toml").write_text(f'schema = 1\n[[budget]]\narchive = "{limit}"\n')
    inputs = {
        "STACK": "prepared",
        "BASELINE": "missing; touch harm",
        "BUDGET": "own budgets.toml",
        "JSON": "check.json",
        "SARIF": "check.sarif",
        "PROGRAM": str(programs / "slim"),
    }
    for name, value in inputs.items():
        monkeypatch.setenv(f"SLIM_{name}", value)
    monkeypatch.setenv("GITHUB_OUTPUT", str(place / "output"))
    done = shell(step["run"], "bash")
    assert done.returncode == code, done.stdout + done.stderr
    assert "::notice title=slim check::there is no baseline" in done.stdout
    assert (place / "output").read_text() == f"passed={passed}\n"
    assert json.loads((place / "check.sarif").read_text())["version"] == "2.1.0"
    assert not (place / "harm").exists()


def test_the_action_takes_inputs_by_environment_only() -> None:
    """An expression inside a script is code from whoever wrote the input."""
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    scripts = re.findall(r"^      run: \|\n((?:        .*\n|\n)+)", text, re.MULTILINE)
    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts)


def test_actions_are_pinned_by_commit() -> None:
    files = [
        ROOT / "action.yml",
        RECIPES / "github-workflow.yml",
        *(ROOT / ".github" / "workflows").glob("*.yml"),
    ]
    uses = [
        line.strip()
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert uses
    for line in uses:
        assert re.fullmatch(r"-? ?uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_the_hook_checks_what_it_says(place: Path) -> None:
    yaml = pytest.importorskip("yaml")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    pattern = re.compile(hook["files"])
    for name, wanted in {
        "slim.toml": True,
        "a/slim.toml": True,
        "our-slim-rules.toml": True,
        "x/slim-budgets.toml": True,
        "pyproject.toml": False,
        "notslim.toml": False,
    }.items():
        assert bool(pattern.search(name)) is wanted, name
    budgets = place / "slim-budgets.toml"
    budgets.write_text('schema = 1\n[[budget]]\narchive = "1 MB"\n')
    command = hook["entry"].split()
    assert command[0] == "slim"
    assert main([*command[1:], str(budgets)]) == 0
    budgets.write_text("schema = 1\n[[budget]]\n")
    assert main([*command[1:], str(budgets)]) == 2
