"""Runs with the profile guided: refused without traces and trials, repaired where traces miss."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from slim.model.record import UNOWNED, Owner, OwnerKind
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TracedRun, Uses, Witness, platform_key
from slim.traces.write import write_trace
from slim.verification.dynamic.session import host
from tests.support.published_stacks import SITE
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small stacks start through a shell script"
)
LAUNCH = f'[[verify.command]]\nname = "start"\nlayer = "{APPLICATION}"\n' + (
    'argv = ["python", "-m", "main_app"]\nsame_output = true\n'
)
GUIDED = 'profile = "guided"\n[guided]\ntraces = ["slim.trace"]\n'
SURPRISE = (
    "import importlib\nfrom maths import used\n"
    "print(importlib.import_module('neddih.shtam'[::-1]).__name__)\n"
)
PLAIN = "from maths import used\nprint('started')\n"
ONE = frozenset({"start"})


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


POSTINSTALL = (
    '"""venvstacks layer post-installation script.\n"""\n'
    "from compileall import compile_dir\nfrom pathlib import Path\n\n"
    "def _run_postinstall(layer_path: Path) -> None:\n"
    '    pylib_path = layer_path / "lib"\n'
    "    compile_dir(pylib_path, optimize=0, quiet=True)\n\n"
    "_run_postinstall(Path(__file__).parent)\n"
)


def stack(application: str = PLAIN) -> None:
    modules = {"used.py": "", "spare.py": "A = 1\n" * 200, "hidden.py": "", "kept.py": ""}
    more = {"postinstall.py": POSTINSTALL, f"{SITE}/late.py": "B = 2\n"}
    running_stack(Path("stack"), maths=modules, application=application, more=more)


def trace(*modules: str) -> None:
    platform = platform_key(host())
    witnesses = {platform: frozenset({Witness.RECORDER, Witness.TIMES})}
    runs = {
        name: TracedRun(name=name, kind=kind, witnesses=witnesses)
        for name, kind in (("start", RunKind.USE), (INSTALL_RUN, RunKind.INSTALL))
    }
    maths = Owner(kind=OwnerKind.DISTRIBUTION, name="maths", version="1.0")
    uses = {
        (FRAMEWORK, maths): Uses(modules=dict.fromkeys(("maths", "maths.used", *modules), ONE)),
        (APPLICATION, UNOWNED): Uses(modules={"main_app": ONE, "late": frozenset({INSTALL_RUN})}),
    }
    write_trace(Path("slim.trace"), Trace(runs=runs, uses=uses))


def configure(text: str) -> None:
    Path("slim.toml").write_text(f"schema = 1\n{text}")


def run(*options: str, out: str = "out") -> int:
    return main(["run", "stack", "-o", out, "-q", "--report", "json=report.json", *options])


def members(out: str = "out", layer: str = FRAMEWORK) -> set[str]:
    with tarfile.open(next(Path(out).glob(f"{layer}.tar*"))) as archive:
        return {
            name.partition(f"{SITE}/maths/")[2]
            for name in archive.getnames()
            if f"{SITE}/maths/" in name
        }


def test_only_what_runs_used_stays() -> None:
    stack()
    trace("maths.kept")
    configure(GUIDED + LAUNCH)
    assert run("--verify") == 0
    assert members() == {"__init__.py", "used.py", "kept.py"}
    manifest = json.loads(next(Path("out/__venvstacks__").glob("*.json")).read_text())
    notes = [entry["slim"] for part in manifest["layers"].values() for entry in part]
    assert {note["profile"] for note in notes} == {"guided"}
    told = json.loads(Path("report.json").read_text())["runs"][0]["notes"]
    assert f"guided by traced runs: {INSTALL_RUN}, start" in told


def test_what_the_traces_missed_is_taken_back_and_kept_from_then_on() -> None:
    stack(SURPRISE)
    trace()
    configure(GUIDED + LAUNCH)
    assert run("--verify") == 0
    assert members() == {"__init__.py", "used.py", "hidden.py"}
    assert f"{SITE}/maths/hidden.py" in Path("slim.keep.toml").read_text()
    assert run("--verify", out="second") == 0
    assert members("second") == members()
    report = json.loads(Path("report.json").read_text())["runs"][0]
    assert report["verification"]["repairs"] == []


def explained(capsys: pytest.CaptureFixture[str], path: str) -> Any:
    capsys.readouterr()
    assert main(["explain", "stack", path, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["explanations"][0]


def test_a_module_that_is_waited_for_is_taken_back_once_the_time_is_over() -> None:
    """What a trace missed may hang a program instead of failing."""
    waits = (
        "import importlib, time\nfrom maths import used\n"
        "while __name__ == '__main__':\n    try:\n"
        "        importlib.import_module('neddih.shtam'[::-1])\n        break\n"
        "    except ImportError:\n        time.sleep(0.1)\n"
    )
    stack(waits)
    trace()
    configure(GUIDED + LAUNCH + "timeout = 3\n")
    assert run("--verify") == 0
    assert {"used.py", "hidden.py"} <= members()
    assert "spare.py" not in members()
    assert "maths/hidden.py" in Path("slim.keep.toml").read_text()


def test_explain_says_what_would_keep_a_module(capsys: pytest.CaptureFixture[str]) -> None:
    stack()
    trace()
    configure(GUIDED + LAUNCH)
    found = explained(capsys, "maths/spare.py")
    assert found["verdict"] == "removed"
    (why,) = found["action"]["evidence"]
    assert "no traced run imported maths.spare" in why["text"]
    assert "keep glob" in why["text"]
    used = explained(capsys, "maths/used.py")
    assert used["verdict"] == "kept"
    assert "traced runs: imported by start" in json.dumps(used)


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ('profile = "guided"\n' + LAUNCH, ("--verify",), "there is none"),
        (GUIDED + LAUNCH, (), "give --verify"),
        (GUIDED, ("--verify",), "add a [[verify.command]]"),
        ('bytecode = "traced"\n', (), 'bytecode = "traced" goes by traces'),
        (f'[layer.{FRAMEWORK}]\nprofile = "guided"\n{LAUNCH}', ("--verify",), "slim trace STACK"),
        ('enable = ["never-used"]\n' + LAUNCH, ("--verify",), "the rule never-used goes by"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_written(
    text: str, options: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stack()
    trace()
    configure(text)
    assert run(*options) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not Path("out").exists()


def test_a_layer_may_be_guided_alone_and_a_trace_be_given_as_an_option() -> None:
    stack()
    trace()
    configure(f'{LAUNCH}[layer."{FRAMEWORK}"]\nprofile = "guided"\n')
    assert run("--verify", "--trace", "slim.trace") == 0
    assert members() == {"__init__.py", "used.py"}


def test_a_closed_family_that_is_nowhere_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    stack()
    trace()
    configure(GUIDED + 'families = {"sums." = "traced"}\n' + LAUNCH)
    assert main(["run", "stack", "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert "no module of this stack begins so" in " ".join((captured.out + captured.err).split())
    assert main(["run", "stack", "--dry-run", "--strict"]) == 2


def test_an_audit_shows_the_profiles_that_need_no_trace() -> None:
    stack()
    configure(GUIDED)
    assert main(["audit", "stack", "--report", "json=audit.json"]) == 0
    assert main(["audit", "stack", "--profile", "guided"]) == 2


def test_without_the_profile_a_trace_changes_no_byte() -> None:
    stack()
    trace()
    configure("")
    assert run(out="plain") == 0
    configure('[guided]\ntraces = ["slim.trace"]\nfamilies = {"maths." = "traced"}\n')
    assert run(out="traced") == 0
    for file in sorted(Path("plain").rglob("*")):
        if file.is_file():
            assert file.read_bytes() == Path("traced", file.relative_to("plain")).read_bytes()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[guided]\ntrace = []\n", "unknown key"),
        ('[guided]\nfamilies = {"maths" = "traced"}\n', "a dot at the end"),
        ('[guided]\nfamilies = {"maths." = "closed"}\n', "none of traced, open"),
        (GUIDED.replace("slim.trace", "not-there.trace") + LAUNCH, "not-there.trace"),
    ],
)
def test_mistakes_are_told_with_their_place(
    text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stack()
    configure(text)
    assert run("--verify") != 0
    assert told in " ".join(capsys.readouterr().err.split())


def test_traced_bytecode_compiles_what_runs_imported_and_is_verified() -> None:
    stack()
    trace()
    configure(f'bytecode = "traced"\n[guided]\ntraces = ["slim.trace"]\n{LAUNCH}')
    assert run("--verify") == 0
    with tarfile.open(next(Path("out").glob(f"{APPLICATION}.tar*"))) as archive:
        archive.extractall("deployed", filter="tar")
    layer = Path("deployed", APPLICATION)
    subprocess.run([sys.executable, layer / "postinstall.py"], check=True)
    assert {path.name.partition(".")[0] for path in layer.rglob("*.pyc")} == {"main_app"}
    report = json.loads(Path("report.json").read_text())["runs"][0]
    (edited,) = (action for action in report["actions"] if action["rule"] == "bytecode-traced")
    assert edited["layer"] == APPLICATION
    assert "imported (files: 1)" in edited["evidence"][0]["text"]
    refused = {
        each["layer"]: each for each in report["skipped"] if each["path"] == "postinstall.py"
    }
    assert "isn't venvstacks' own" in refused[FRAMEWORK]["evidence"][0]["text"]
    assert main(["verify", "stack", "out", "-q"]) == 0
