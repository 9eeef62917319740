"""Runs over small published stacks with modules that can't be imported, tried before and after."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, IN_FRAMEWORK, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small stacks start through a shell script"
)

TAIL = "\nclass Model(torch.Module):\n    pass\n\n__all__ = ['Model']\n" + "x = 1\n" * 200
MATHS = {
    "__init__.py": "import os.path\nLISTED = sorted(os.listdir(os.path.dirname(__file__)))\n",
    "models.py": "import json\nimport torch" + TAIL,
    "late.py": "from .models import Model" + TAIL,
    "_own.py": "import torch" + TAIL,
    "works.py": "try:\n    import torch\nexcept ImportError:\n    torch = None\n" + "x = 1\n" * 200,
}
PROGRAM = """
import importlib, importlib.util, pkgutil, maths
for name in ("models", "late", "_own", "works", "missing"):
    try:
        importlib.import_module("maths." + name)
        print(name, "works")
    except ImportError as error:
        print(name, type(error).__name__, error, error.name, error.__traceback__ is not None)
        print([line for line in __import__("traceback").format_exc().splitlines()
               if "maths" in line and "line" in line])
    print(importlib.util.find_spec("maths." + name) is not None)
try:
    from maths import models
except ImportError as error:
    print(type(error).__name__, error)
print([one.name for one in pkgutil.iter_modules(maths.__path__)])
print("__all__ = ['Model']" in open(maths.__path__[0] + "/models" + ".py").read())
print([name for name in maths.LISTED if not name.startswith("__pycache__")])
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)


def run(*arguments: str, code: int = 0, source: str = "stack") -> dict[str, Any]:
    """``slim run``; returns the one result of the report."""
    options = ["-o", "out", "-q", "--report", "json=report.json", *arguments]
    assert main(["run", source, *options]) == code
    result: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return result


def cut(result: dict[str, Any]) -> list[str]:
    return sorted(
        action["path"].rpartition("/")[2]
        for action in _walk(result)
        if action.get("rule") == "unimportable-modules" and action.get("action") == "rewrite"
    )


def _walk(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _walk(child)


def answer(folder: str) -> str:
    """What the application prints, its layers unpacked from a published folder."""
    place = Path("deployed")
    for archive in Path(folder).glob("*.tar.*"):
        with tarfile.open(archive) as opened:
            opened.extractall(place, filter="tar")
    program = [str(place / APPLICATION / "bin/python"), "-B", "-m", "main_app"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(program, capture_output=True, text=True, env=environment, check=True)
    place.rename(Path(f"{folder}-deployed"))
    return done.stdout.replace(f"{folder}-deployed", "deployed")


def test_importers_finders_listings_and_readers_see_no_difference() -> None:
    running_stack(Path("stack"), maths=MATHS, application=PROGRAM)
    result = run()
    assert cut(result) == ["_own.py", "late.py", "models.py"]
    before = answer("stack")
    assert "models ModuleNotFoundError No module named 'torch' torch" in before
    assert "works works" in before
    assert answer("out") == before
    models = Path("out-deployed", FRAMEWORK, IN_FRAMEWORK, "models.py").read_text()
    assert models.startswith("import json\nimport torch\nraise ImportError(")
    assert len(models) < 300
    record = next(Path("out-deployed", FRAMEWORK).rglob("RECORD")).read_text()
    assert "maths/models.py,sha256=" in record
    assert f",{len(models)}\n" in record


def test_another_application_has_it() -> None:
    running_stack(
        Path("stack"),
        maths=MATHS,
        application="import torch\n",
        more={"lib/python3.13/site-packages/torch/__init__.py": "class Module: pass\n"},
    )
    assert cut(run()) == []


def test_provided_by_the_configuration_or_the_command_line() -> None:
    running_stack(Path("stack"), maths=MATHS)
    assert cut(run("--provided", "torch")) == []
    Path("slim.toml").write_text('schema = 1\n[layer.framework-maths]\nprovided = ["torch"]\n')
    assert cut(run("--force")) == []
    Path("slim.toml").write_text('schema = 1\nprovided = ["torch.nn"]\n')
    assert main(["run", "stack", "-o", "other"]) == 2


def test_the_safe_profile_cuts_nothing() -> None:
    running_stack(Path("stack"), maths=MATHS)
    assert cut(run("--profile", "safe")) == []


def test_a_lone_archive_tells_why_it_stays() -> None:
    running_stack(Path("stack"), maths=MATHS)
    (archive,) = Path("stack").glob(f"{FRAMEWORK}*.tar.*")
    result = run(source=str(archive))
    assert cut(result) == []
    texts = {
        evidence["text"]
        for refusal in _walk(result)
        if refusal.get("rule") == "unimportable-modules" and "reason" in refusal
        for evidence in refusal["evidence"]
    }
    assert "a lone archive: the layers that it is used with may have what isn't here" in texts


def test_the_original_refutes_a_cut() -> None:
    """A package hides from slim that it makes the module itself; only a private module asks."""
    hidden = "import sys\ngetattr(sys, 'modu' + 'les')['to' + 'rch'] = sys\nsys.Module = object\n"
    maths = {
        "__init__.py": hidden,
        "_own.py": "import torch" + TAIL,
        "_bad.py": "import jax" + TAIL,
    }
    running_stack(
        Path("stack"), maths=maths, application="import maths._own as own; print(own.x)\n"
    )
    result = run("--verify")
    check = next(one for one in result["verification"]["checks"] if one["name"] == "unimportable")
    assert check["passed"]
    assert [one["files"][0]["path"] for one in result["verification"]["repairs"]] == [
        f"{IN_FRAMEWORK}/_own.py"
    ]
    assert cut(result) == ["_bad.py"]
    assert answer("out") == "1\n"


def test_verify_tries_what_was_cut_in_every_layer_that_loads_it() -> None:
    running_stack(Path("stack"), maths=MATHS, application=PROGRAM)
    result = run("--verify")
    check = next(one for one in result["verification"]["checks"] if one["name"] == "unimportable")
    assert check["passed"]
    assert check["tried"] == 6  # three modules, in the framework and in the application
    assert result["verification"]["repairs"] == []
