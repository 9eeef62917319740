"""Seeded regressions: a distribution one version up, a test folder that slips in, a debug build.

``slim check`` names each as what it is, whatever the baseline is: the last run's report, the last
published folder, a report in git.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.elf_files import compile_c
from tests.support.published_stacks import (
    Content,
    LayerSpec,
    distribution,
    merge,
    publish,
    write_json,
)

Files = dict[str, Content]
Check = Callable[..., tuple[int, str]]

BUDGETS = """\
schema = 1

# what users download
[[budget]]
name = "download"
archive = ["10 MB", "+5%"]

[[budget]]
name = "layers"
each = "layer"
unpacked = "+1%"
"""


def noise(seed: int, size: int) -> bytes:
    """Bytes that don't compress, so that archives grow with their content."""
    return random.Random(seed).randbytes(size)


def pandas(
    version: str = "3.1.0", *, tests: str = "tests", size: int = 40_000, more: Files | None = None
) -> Files:
    files: Files = {
        "pandas/__init__.py": "from pandas import core\n",
        "pandas/core.py": "x = 1\n",
        "pandas/data.bin": noise(1, 60_000),
        f"pandas/{tests}/__init__.py": "",
        f"pandas/{tests}/test_frame.py": "#" + noise(2, size).hex() + "\n",
        f"pandas/{tests}/data.bin": noise(3, size),
        **(more or {}),
    }
    return dict(distribution("pandas", files, version=version))


def stack(folder: Path, *parts: Files) -> Path:
    layers = {
        "cpython3.13": LayerSpec(
            "runtime", {"lib/python3.13/os.py": "x = 1\n", "lib/python3.13/site.py": "x = 1\n"}
        ),
        "framework-data": LayerSpec(
            "framework", merge(*parts, distribution("six", {"six.py": "x = 1\n" * 500}))
        ),
        "app-main": LayerSpec(
            "application",
            {"lib/python3.13/site-packages/main_app.py": "import pandas\n"},
            requires=("framework-data",),
            launch_module="main_app",
        ),
    }
    publish(folder, layers)
    return folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slim.toml").write_text(BUDGETS)
    return tmp_path


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["check", *arguments])
        out, err = capsys.readouterr()
        return code, out + err

    return run


def slimmed(source: Path, output: str, *options: str) -> None:
    assert (
        main(["run", str(source), "-o", output, "--report", f"json={output}.json", "-q", *options])
        == 0
    )


def test_a_new_version_that_is_larger(place: Path, check: Check) -> None:
    slimmed(stack(place / "a", pandas()), "old")
    slimmed(stack(place / "b", pandas("3.1.1", more={"pandas/extra.bin": noise(4, 30_000)})), "new")
    for baseline in ("old.json", "old"):
        code, printed = check("new", "--baseline", baseline)
        assert code == 1
        assert "✗ download: archive size is" in printed
        assert re.search(r"pandas 3\.1\.0 → 3\.1\.1 \+30\.\d kB: other data", printed)
        assert "six" not in printed
    assert "new pandas/extra.bin  +30.0 kB" in printed  # a folder tells files, a report only sums


def test_an_equal_stack_is_within(place: Path, check: Check) -> None:
    slimmed(stack(place / "a", pandas()), "old")
    slimmed(stack(place / "b", pandas()), "new")
    for baseline in ("old.json", "old"):
        code, printed = check("new", "--baseline", baseline)
        assert (code, "4 budgets held" in printed) == (0, True), printed


def test_a_test_folder_slips_in(place: Path, check: Check) -> None:
    """A rule is switched off, and the tests of pandas are in what is shipped."""
    source = stack(place / "a", pandas())
    slimmed(source, "old")
    rules = ("tests-folders", "tests-modules", "tests-pandas")
    slimmed(source, "new", *(word for rule in rules for word in ("--disable", rule)))
    for baseline in ("old", "old.json"):
        code, printed = check("new", "--baseline", baseline)
        assert code == 1
        assert re.search(r"pandas 3\.1\.0 \+120\.\d kB: tests", printed)
        assert "3 files of tests, 120.0 kB, came in" in printed
    assert "the rule tests-pandas removed" in printed  # the report knows what was removed
    code, printed = check("new", "--baseline", "old")
    assert "new pandas/tests/  3 files, +120.0 kB" in printed  # the folder knows what is in it


def test_a_rule_that_stopped_matching(place: Path, check: Check) -> None:
    rule = """
        [[rule]]
        id = "pandas-samples"
        pass = "leftovers"
        reason = "Samples are for the documentation."
        safety = "safe"
        package = "pandas <3.1.1"
        remove = ["$package/pandas/samples/**"]
        """
    (place / "slim.toml").write_text(BUDGETS + rule)
    samples = {"pandas/samples/one.bin": noise(7, 50_000)}
    slimmed(stack(place / "a", pandas(more=samples)), "old")
    slimmed(stack(place / "b", pandas("3.1.1", more=samples)), "new")
    for current in ("new", "new.json"):
        code, printed = check(current, "--baseline", "old.json")
        assert code == 1
        assert re.search(r"pandas 3\.1\.0 → 3\.1\.1 \+50\.\d kB: other data", printed)
        assert "the rule pandas-samples removed" in printed
        assert "the rule pandas-samples is for pandas <3.1.1, which pandas 3.1.1 isn't" in printed


def test_a_debug_build(place: Path, check: Check) -> None:
    source = "int slim_%s(int x) { return x; }\n"
    lines = "".join(source % number for number in range(300))
    plain = compile_c(place, "plain.so", lines, "-shared", "-fPIC", "-O2").read_bytes()
    debug = compile_c(place, "debug.so", lines, "-shared", "-fPIC", "-O2", "-g").read_bytes()
    old = stack(place / "old", pandas(more={"pandas/_libs/fast.so": plain}))
    new = stack(place / "new", pandas(more={"pandas/_libs/fast.so": debug}))
    code, printed = check(str(new), "--baseline", str(old))
    assert code == 1
    assert "pandas 3.1.0 +" in printed
    assert "of debugging information, a debug build?: pandas/_libs/fast.so" in printed


def test_a_report_in_git(place: Path, check: Check) -> None:
    slimmed(stack(place / "a", pandas()), "old")
    slimmed(stack(place / "b", pandas("3.1.1", more={"pandas/extra.bin": noise(4, 30_000)})), "new")
    for command in (
        ["init", "-q"],
        ["add", "old.json"],
        ["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "baseline"],
        ["tag", "v1"],
    ):
        subprocess.run(["git", *command], check=True, capture_output=True)
    (place / "old.json").unlink()
    code, printed = check("new", "--baseline", "v1:old.json")
    assert code == 1
    assert "pandas 3.1.0 → 3.1.1 +30.1 kB" in printed
    code, printed = check("new", "--baseline", "v2:old.json")
    assert code == 6
    assert "git says" in printed


def test_a_check_report_is_a_baseline_too(place: Path, check: Check) -> None:
    assert check(str(stack(place / "a", pandas())), "--report", "json=base.json")[0] == 0
    code, printed = check(
        str(stack(place / "b", pandas("3.1.1", size=60_000))), "--baseline", "base.json"
    )
    assert code == 1
    assert "pandas 3.1.0 → 3.1.1 +60.0 kB: tests" in printed


def test_an_audit_report_is_a_baseline_too(place: Path, check: Check) -> None:
    assert (
        main(["audit", str(stack(place / "a", pandas())), "--report", "json=base.json", "-q"]) == 0
    )
    code, printed = check(
        str(stack(place / "b", pandas("3.1.1", size=60_000))), "--baseline", "base.json"
    )
    assert code == 1
    assert "pandas 3.1.0 → 3.1.1 +60.0 kB: tests" in printed


def test_without_a_baseline_growth_is_visibly_unchecked(place: Path, check: Check) -> None:
    code, printed = check(str(stack(place / "a", pandas())))
    assert code == 0
    assert "4 limits weren't checked: there is no --baseline" in printed
    assert "3 not checked" in printed


def test_a_dry_run_has_no_archives(place: Path, check: Check) -> None:
    source = stack(place / "a", pandas())
    assert main(["run", str(source), "--dry-run", "-q", "--report", "json=dry.json"]) == 0
    code, _ = check("dry.json", "--report", "json=check.json")
    assert code == 0
    limits = json.loads((place / "check.json").read_text())["results"][0]["limits"]
    assert limits[0]["actual"] is None
    assert "dry run" in limits[0]["note"]


def test_a_broken_report(place: Path, check: Check) -> None:
    source = stack(place / "a", pandas())
    write_json(place / "bad.json", {"schema": "urn:slim:report:v1", "runs": [{"stack": 1}]})
    code, printed = check(str(source), "--baseline", "bad.json")
    assert code == 3
    assert "bad.json: runs[0]" in printed
