"""A Mac traces and verifies, Linux slims: guided runs on stacks that can't run on this host.

Nothing of macOS runs here, so the report of its trial is this host's, told to be the Mac's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from slim.model.record import Owner, OwnerKind
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TracedRun, Uses, Witness
from slim.traces.write import write_trace
from tests.support.published_stacks import SITE, LayerSpec, distribution, publish
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, RUNTIME

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="names of POSIX systems")

PLATFORM, KEY = "macosx_arm64", "macos_aarch64"
SPARE = f"{SITE}/maths/spare.py"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack for macOS, the trace of a Mac, and a configuration for the profile guided."""
    monkeypatch.chdir(tmp_path)
    files = {"maths/__init__.py": "", "maths/used.py": "", "maths/spare.py": "A = 1\n" * 100}
    app = {f"{SITE}/main_app.py": "from maths import used\n"}
    layers = {
        RUNTIME: LayerSpec("runtime", {"lib/python3.13/os.py": ""}),
        FRAMEWORK: LayerSpec("framework", distribution("maths", files)),
        APPLICATION: LayerSpec("application", app, requires=(FRAMEWORK,), launch_module="main_app"),
    }
    publish(Path("stack"), layers, platform=PLATFORM)
    traced(Path("mac.trace"), KEY)
    traced(Path("linux.trace"), "linux_x86_64")
    Path("slim.toml").write_text(
        'schema = 1\nprofile = "guided"\n[guided]\ntraces = ["mac.trace"]\n'
        f'[[verify.command]]\nname = "start"\nlayer = "{APPLICATION}"\n'
        'argv = ["python", "-m", "main_app"]\n'
    )


def traced(file: Path, platform: str) -> None:
    witnesses = {platform: frozenset({Witness.RECORDER})}
    runs = {
        name: TracedRun(name=name, kind=kind, witnesses=witnesses)
        for name, kind in (("start", RunKind.USE), (INSTALL_RUN, RunKind.INSTALL))
    }
    maths = Owner(kind=OwnerKind.DISTRIBUTION, name="maths", version="1.0")
    used = dict.fromkeys(("maths", "maths.used"), frozenset({"start"}))
    write_trace(file, Trace(runs=runs, uses={(FRAMEWORK, maths): Uses(modules=used)}))


def run(out: str, *options: str) -> int:
    return main(["run", "stack", "-o", out, "-q", "--report", f"json={out}.json", *options])


def report(file: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(file).read_text())
    return found


def tried(**changed: object) -> None:
    """Write what the Mac would tell of the candidate, with a launch, or with something else."""
    options = ["-q", "--report", "json=verify.json"]
    assert main(["verify", "stack", "candidate", *options]) == 0
    told = report("verify.json")
    (one,) = told["runs"]
    assert [layer["tree_sha256"] for layer in one["layers"]] == [
        layer["tree_sha256"] for layer in report("candidate.json")["runs"][0]["layers"]
    ]
    verification = one["verification"]
    launch = {"name": "launch", "tried": 1, "passed": True, "failures": [], "note": ""}
    verification["checks"].append(launch)
    for key, value in changed.items():
        if key == "tried":
            launch[key] = value
        elif key == "platform":
            one["stack"]["platform"]["tag"] = value
        elif key == "tree_sha256":
            one["layers"][1][key] = value
        else:
            verification[key] = value
    Path("mac.json").write_text(json.dumps(told))


def gone(out: str) -> set[str]:
    (one,) = report(f"{out}.json")["runs"]
    return {action["path"] for action in one["actions"] if action["rule"] == "never-used"}


def test_both_results_of_a_mac_are_accepted() -> None:
    assert run("candidate", "--unverified") == 0
    tried()
    assert run("final", "--tried", "mac.json") == 0
    assert gone("final") == {SPARE}
    (one,) = report("final.json")["runs"]
    assert not one["verification"]["unverified"]
    for layer in (RUNTIME, FRAMEWORK, APPLICATION):
        archive = f"{layer}.tar.xz"
        assert Path("final", archive).read_bytes() == Path("candidate", archive).read_bytes()
    assert '"unverified"' in Path("candidate/__venvstacks__/venvstacks.json").read_text()
    assert '"unverified"' not in Path("final/__venvstacks__/venvstacks.json").read_text()


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"passed": False}, "the trial failed there"),
    ({"tried": 0}, "not all of the 1 commands were run there"),
    ({"platform": "linux_x86_64"}, f"about a stack for {PLATFORM}"),
    ({"tree_sha256": "0" * 64}, f"another result: {FRAMEWORK} differ"),
]


@pytest.mark.parametrize(("changed", "told"), REFUSED)
def test_a_report_that_does_not_tell_it_is_refused(
    changed: dict[str, object], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("candidate", "--unverified") == 0
    tried(**changed)
    assert run("final", "--tried", "mac.json") == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not Path("final").exists()


def test_without_a_report_nothing_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    for options in ((), ("--verify",)):
        assert run("out", *options) == 2
    assert "--tried" in capsys.readouterr().err
    assert run("out", "--tried", "nowhere.json") == 6
    Path("other.json").write_text('{"schema": "urn:slim:audit:v1"}')
    assert run("out", "--tried", "other.json") != 0
    assert not Path("out").exists()


def test_without_a_trace_of_a_mac_nothing_goes_by_traces() -> None:
    text = Path("slim.toml").read_text()
    Path("slim.toml").write_text(text.replace("mac.trace", "linux.trace"))
    assert run("out", "--unverified") == 0
    assert gone("out") == set()
    (one,) = report("out.json")["runs"]
    reasons = {each["path"]: each["reason"] for each in one["skipped"] if "maths" in each["path"]}
    assert reasons[SPARE] == "untraced"
