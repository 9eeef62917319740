"""Lost imports: told by ``slim verify``, held by ``slim run`` where its plan didn't see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slim.analysis.imports.proof import ImportProof, Proof
from slim.cli import main
from tests.support.published_stacks import SITE, Files, LayerSpec, distribution, publish
from tests.support.stack_runs import run

HELPERS = f"{SITE}/maths/tests/helpers.py"
MATHS: Files = {
    "maths/__init__.py": "",
    "maths/check.py": "def check():\n    from maths.tests.helpers import run\n    return run()\n",
    "maths/tests/__init__.py": "from maths.tests import common\n",
    "maths/tests/common.py": "",
    "maths/tests/helpers.py": "def run(): return 0\n",
    "maths/tests/test_more.py": "",
}


def stack(folder: Path, maths: Files) -> Path:
    application: Files = {"app_main.py": "import maths.check\n"}
    layers = {
        "cpython3.13": LayerSpec("runtime", {}),
        "framework-maths": LayerSpec("framework", distribution("maths", maths), ("cpython3.13",)),
        "app-x": LayerSpec(
            "application",
            distribution("x", application),
            ("framework-maths", "cpython3.13"),
            launch_module="app_main",
        ),
    }
    return publish(folder, layers)


def check_of(report: dict[str, Any]) -> dict[str, Any]:
    checks = report["verification"]["checks"]
    (found,) = (check for check in checks if check["name"] == "lost-imports")
    return dict(found)


def test_a_plan_that_did_not_see_an_import_is_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImportProof, "prove", lambda *_args, **_more: Proof())
    report = run(stack(tmp_path / "stack", MATHS), tmp_path / "out")
    gone = {action["path"].removeprefix(f"{SITE}/") for action in report["actions"]}
    assert "maths/tests/test_more.py" in gone
    assert gone.isdisjoint(f"maths/tests/{name}.py" for name in ("__init__", "common", "helpers"))
    held = {
        (skipped["path"], fact["file"], fact["line"])
        for skipped in report["skipped"]
        for fact in skipped["evidence"]
    }
    assert (HELPERS, f"framework-maths/{SITE}/maths/check.py", 2) in held
    assert check_of(report)["passed"]


def test_verify_tells_what_another_tool_took(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    whole = stack(tmp_path / "whole", MATHS)
    less = {name: content for name, content in MATHS.items() if name != "maths/tests/helpers.py"}
    command = ["verify", str(whole), str(stack(tmp_path / "less", less)), "-q", "--no-config"]
    assert main([*command, "--report", "json=report.json"]) == 1
    found = check_of(json.loads(Path("report.json").read_text())["runs"][0])
    assert found["failures"] == [
        f"framework-maths/{SITE}/maths/check.py:2: maths.tests.helpers is gone "
        f"(framework-maths/{HELPERS}, taken by tests-folders)"
    ]
    less["maths/check.py"] = "def check(): return 0\n"
    assert main([*command[:2], str(stack(tmp_path / "other", less)), *command[3:]]) == 0


def test_a_dropped_distribution_is_not_missed(tmp_path: Path) -> None:
    config = tmp_path / "slim.toml"
    config.write_text('schema = 1\ndrop = [{ name = "maths", despite = ["x"] }]\n')
    output, source = tmp_path / "out", stack(tmp_path / "stack", MATHS)
    options = ["--config", str(config), "-q"]
    report = tmp_path / "report.json"
    command = ["run", str(source), "-o", str(output), *options]
    assert main([*command, "--report", f"json={report}"]) == 0
    assert "the user drops it" in check_of(json.loads(report.read_text())["runs"][0])["note"]
    assert main(["verify", str(source), str(output), *options]) == 0
