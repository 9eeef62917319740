"""Canaries: a run that removes nothing, and layers that log what would have gone and is used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from slim.cli import main
from slim.model.record import UNOWNED, Owner, OwnerKind
from slim.model.trace import RunKind, Witness
from slim.traces.merge import merge
from slim.traces.read import read_trace
from tests.support.backup_runs import entries, entry
from tests.support.published_stacks import SITE, distribution
from tests.support.runnable_stacks import FRAMEWORK, fault, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the small stacks have names of POSIX systems"
)

MATHS = Owner(kind=OwnerKind.DISTRIBUTION, name="maths", version="1.0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deployed canary, ``deployed``, and the set it came from, ``out``."""
    folder = tmp_path_factory.mktemp("canary")
    modules = {f"{name}.py": f"name = {name!r}\n" for name in ("core", "one", "two", "three")}
    spare = distribution("spare", {"spare/__init__.py": ""})
    record = f"{SITE}/spare-1.0.dist-info/RECORD"  # as venvstacks leaves it: no bytecode is there
    spare[record] = f"{spare[record]!s}spare/__pycache__/__init__.cpython-313.pyc,,\n"
    maths = {**modules, "sub/__init__.py": "", "sub/x.py": ""}
    running_stack(folder / "stack", maths=maths, more=spare)
    pack = fault(
        folder / "fault.toml", "$site/maths/one.py", "$site/maths/two.py", "$site/maths/sub/**"
    )
    where = ["-o", str(folder / "out"), "--report", f"json={folder / 'report.json'}"]
    options = ["--canary", "--pack", str(pack), "--no-config", "-q"]
    done = main(["run", str(folder / "stack"), *where, *options])
    assert done == 0
    for archive in (folder / "out").glob("*.tar.xz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder / "deployed")
    return folder


def start(folder: Path, code: str, log: Path | None) -> subprocess.Popen[str]:
    site = folder / "deployed" / FRAMEWORK / SITE
    return subprocess.Popen(
        [sys.executable, "-c", f"import site; site.addsitedir({str(site)!r})\n{code}"],
        env={"PATH": os.environ["PATH"], **({} if log is None else {"SLIM_CANARY": str(log)})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def python(folder: Path, code: str, log: Path | None) -> str:
    process = start(folder, code, log)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


def test_nothing_goes_and_the_report_says_what_is_watched(folder: Path) -> None:
    before = entries(folder / f"stack/{FRAMEWORK}.tar.xz")
    after = entries(folder / f"out/{FRAMEWORK}.tar.xz")
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[-1] for name in after.keys() - before.keys()} == {
        "slim_canary",
        "__init__.py",
        "_slim_canary.pth",
        "watched-1.txt",
    }
    report = json.loads((folder / "report.json").read_text())["runs"][0]
    assert report["actions"] == []
    assert [layer.get("watched_modules") for layer in report["layers"]] == [None, 4, None]
    assert entry(folder / "out", FRAMEWORK)["slim"]["canary"] is True


def test_what_is_used_is_logged_as_it_happens_and_is_a_trace(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import maths.core, maths.one, os\n"
        "open(maths.__path__[0] + '/two.py').read()\n"
        "import importlib; importlib.import_module('maths.sub.x')\n"
        "os._exit(0)\n"
    )
    python(folder, code, log)
    trace = read_trace(log)
    (run,) = trace.runs.values()
    assert (run.name, run.kind) == ("canary", RunKind.CANARY)
    assert list(run.witnesses.values()) == [frozenset({Witness.CANARY})]
    uses = trace.of(FRAMEWORK, MATHS)
    assert uses is not None
    assert sorted(uses.modules) == ["maths.one", "maths.sub", "maths.sub.x"]
    assert sorted(uses.read) == ["maths/two.py"]
    assert trace.of(FRAMEWORK, UNOWNED) is None
    assert merge([trace, trace]) == trace
    merged = tmp_path / "merged"
    assert main(["trace", "merge", str(log), "-o", str(merged), "-q"]) == 0
    assert read_trace(merged) == trace


def test_processes_share_a_log(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    names = ["one", "two", "sub", "sub.x", "one", "core"]
    started = [start(folder, f"import maths.{name}", log) for name in names]
    for process in started:
        process.communicate(timeout=60)
    uses = read_trace(log).of(FRAMEWORK, MATHS)
    assert uses is not None
    assert sorted(uses.modules) == ["maths.one", "maths.sub", "maths.sub.x", "maths.two"]
    assert os.listdir(tmp_path) == ["log"]


def test_without_the_variable_nothing_is_watched(folder: Path, tmp_path: Path) -> None:
    code = "import sys, maths.one; print(any('canary' in str(one) for one in sys.meta_path))"
    assert python(folder, code, None) == "False\n"
    other = tmp_path / "notes.txt"
    other.write_text("mine\n")
    python(folder, "import maths.one", other)
    python(folder, "import maths.one", tmp_path / "nowhere" / "log")
    assert other.read_text() == "mine\n"


def test_a_canary_has_nothing_to_keep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", str(folder / "stack"), "-o", str(folder / "no"), "--canary", "-q"]
    assert main([*arguments, "--keep-removed", str(folder / "kept.tar.zst")]) == 2
    assert "a canary removes nothing" in capsys.readouterr().err


def test_a_script_is_run_as_ever(folder: Path, tmp_path: Path) -> None:
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text("from maths import one\nprint(one.name)\n")
    home = folder / "deployed" / FRAMEWORK / SITE
    usercustomize = tmp_path / "start" / "sitecustomize.py"
    usercustomize.parent.mkdir()
    usercustomize.write_text(f"import site\nsite.addsitedir({str(home)!r})\n")
    done = subprocess.run(
        [sys.executable, script],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(usercustomize.parent),
            "SLIM_CANARY": str(log),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr
    assert "module maths.one canary" in log.read_text()
