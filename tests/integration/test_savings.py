"""What standard takes from a stack of real wheels hasn't become less: tests/field/savings.toml."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.field.uses import HERE
from tests.support.platform_wheels import installed
from tests.support.published_stacks import SITE, STDLIB, LayerSpec, merge, publish

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("savings")]

KNOWN = tomllib.loads((HERE / "savings.toml").read_text(encoding="utf-8"))
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 36)] + ["manylinux2014_x86_64"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[str, str]]:
    """Bytes that a dry run saves, by distribution and pass."""
    folder = tmp_path_factory.mktemp("savings")
    stack = folder / "stack"
    publish(
        stack,
        {
            "cpython3.13": LayerSpec("runtime", merge({"bin/python": "#!/bin/sh\n"}, _library())),
            "app-models": LayerSpec(
                "application",
                merge(
                    {f"{SITE}/show_models.py": "import pandas, transformers\n"},
                    installed(folder / "wheels", PLATFORMS, *KNOWN["wheels"]),
                ),
                launch_module="show_models",
            ),
        },
        suffix=".tar",
    )
    report = folder / "report.json"
    command = [
        sys.executable,
        "-m",
        "slim",
        "run",
        str(stack),
        "--dry-run",
        "--no-config",
        "--no-cache",
    ]
    subprocess.run([*command, "-q", "--report", f"json={report}"], check=True)
    (run,) = json.loads(report.read_text(encoding="utf-8"))["runs"]
    found: Counter[tuple[str, str]] = Counter()
    for action in run["actions"]:
        owner = (action.get("owner") or {}).get("name") or "?"
        found[owner, action["pass"]] += action["before"] - (action.get("after") or 0)
    return found


def _library() -> dict[str, bytes]:
    """The standard library of the Python that runs the tests, without what is installed in it."""
    library = Path(sysconfig.get_path("stdlib"))
    return {
        f"{STDLIB}/{path.relative_to(library).as_posix()}": path.read_bytes()
        for path in library.rglob("*.py")
        if path.relative_to(library).parts[0] not in ("site-packages", "test")
    }


@pytest.mark.parametrize(
    ("owner", "taken_by"),
    [(owner, taken_by) for owner, passes in KNOWN["least"].items() for taken_by in passes],
)
def test_no_less_is_taken_than_before(
    owner: str, taken_by: str, saved: Counter[tuple[str, str]]
) -> None:
    assert saved[owner, taken_by] >= KNOWN["least"][owner][taken_by]
