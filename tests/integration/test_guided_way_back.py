"""The way back from the profile guided: guard and rest packs unless refused, risk, canaries."""

from __future__ import annotations

import json
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from slim.formats.base import ReadOptions
from slim.formats.digests import digests_of, tree_digest
from slim.formats.directory import read_directory
from slim.model.record import Owner, OwnerKind
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TracedRun, Uses, Witness, platform_key
from slim.traces.write import write_trace
from slim.verification.dynamic.session import host
from tests.support.elf_files import compile_c
from tests.support.published_stacks import SITE
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, fault, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small stacks start through a shell script"
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack, a trace of two runs, and a configuration for the profile guided."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    running_stack(
        Path("stack"),
        maths={"used.py": "", "once.py": "", "spare.py": "A = 1\n" * 200},
        application="from maths import used\nprint('started')\n",
    )
    platform = platform_key(host())
    witnesses = {platform: frozenset({Witness.RECORDER, Witness.TIMES})}
    kinds = {"start": RunKind.USE, "other": RunKind.USE, INSTALL_RUN: RunKind.INSTALL}
    runs = {
        name: TracedRun(name=name, kind=kind, witnesses=witnesses) for name, kind in kinds.items()
    }
    both, one = frozenset({"start", "other"}), frozenset({"other"})
    uses = Uses(modules={"maths": both, "maths.used": both, "maths.once": one})
    maths = Owner(kind=OwnerKind.DISTRIBUTION, name="maths", version="1.0")
    write_trace(Path("slim.trace"), Trace(runs=runs, uses={(FRAMEWORK, maths): uses}))
    Path("slim.toml").write_text(
        'schema = 1\nprofile = "guided"\n[guided]\ntraces = ["slim.trace"]\n'
        f'[[verify.command]]\nname = "start"\nlayer = "{APPLICATION}"\n'
        'argv = ["python", "-m", "main_app"]\n'
    )


def run(*options: str, out: str = "out") -> dict[str, Any]:
    assert main(["run", "stack", "-o", out, "-q", "--report", "json=report.json", *options]) == 0
    result: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return result


def layer_of(result: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in result["layers"] if layer["name"] == FRAMEWORK)


def names(archive: str) -> set[str]:
    with tarfile.open(archive) as tar:
        return {name.rpartition("/")[2] for name in tar.getnames()}


def tree_sha256(folder: Path) -> str:
    with read_directory(folder, ReadOptions(spool_dir=Path("tmp"), anywhere=True)) as tree:
        return tree_digest(tree.members.values(), digests_of(tree))


def test_a_guided_run_has_both_and_tells_the_risk() -> None:
    result = run("--verify")
    assert layer_of(result)["guarded_modules"] == 1
    (pack,) = layer_of(result)["rest_packs"]
    assert {"spare.py", "RECORD"} <= names(f"out/{pack['archive']}")
    assert result["notes"][-2:] == [
        "leave-one-out: 1 of 2 runs imported modules that no other run did (1 module)",
        "leave-one-out, by distribution: maths 1.0 in 1 of 2 runs (1)",
    ]


@pytest.mark.parametrize("whole", [True, False], ids=["whole stack", "one layer"])
def test_what_only_went_since_its_users_did_comes_back_as_well(whole: bool) -> None:
    """A rule of the profile standard takes tkinter once the backend that needs it isn't used."""
    spare = "import maths.needed\n"
    running_stack(
        Path("stack"),
        maths={
            "used.py": "",
            "once.py": "",
            "spare.py": spare,
            "needed.py": "from . import deeper",
            "deeper.py": "",
            "needless.py": "",
        },
        application="from maths import used\nprint('started')\n",
    )
    taken = [f"$site/maths/{name}.py" for name in ("needed", "deeper", "needless")]
    fault(Path("fault.toml"), *taken)
    if not whole:
        text = Path("slim.toml").read_text().replace('profile = "guided"\n', 'guard = "on"\n')
        more = f'[layer.{FRAMEWORK}]\nprofile = "guided"\n'
        Path("slim.toml").write_text(text + more)
    result = run("--unverified", "--pack", "fault.toml")
    gone = {Path(action["path"]).stem: action["rule"] for action in result["actions"]}
    assert {name: gone[name] for name in ("needed", "deeper", "needless")} == {
        "needed": "fault",
        "deeper": "fault",
        "needless": "fault",
    }
    (pack,) = layer_of(result)["rest_packs"]
    back = names(f"out/{pack['archive']}")
    assert {"spare.py", "needed.py", "deeper.py"} <= back
    assert "needless.py" not in back


def test_with_its_rest_pack_a_layer_is_the_one_that_standard_makes(tmp_path: Path) -> None:
    """What profile standard edits comes back edited, to the byte."""
    extension = compile_c(tmp_path, "native.so", "int used(void) { return 1; }", "-shared", "-g")
    name = f"native{sysconfig.get_config_var('EXT_SUFFIX')}"
    running_stack(
        Path("stack"),
        maths={"used.py": "", "once.py": "", "spare.py": "A = 1\n", name: extension.read_bytes()},
        application="from maths import used\nprint('started')\n",
    )
    run("--profile", "standard", "--unverified", "--guard", "off", out="plain")
    result = run("--unverified", "--guard", "off")
    (pack,) = layer_of(result)["rest_packs"]
    assert name in names(f"out/{pack['archive']}")
    assert name not in names(f"out/{FRAMEWORK}.tar.xz")
    for folder, archives in (
        ("plain", [f"plain/{FRAMEWORK}.tar.xz"]),
        ("whole", [f"out/{FRAMEWORK}.tar.xz", f"out/{pack['archive']}"]),
    ):
        for archive in archives:
            with tarfile.open(archive) as tar:
                tar.extractall(f"deployed/{folder}")
    plain, whole = (tree_sha256(Path("deployed", one, FRAMEWORK)) for one in ("plain", "whole"))
    assert whole == plain == pack["tree_sha256"]
    edited = Path("deployed/whole", FRAMEWORK, SITE, "maths", name)
    assert edited.stat().st_size < extension.stat().st_size


def test_both_can_be_refused() -> None:
    result = run("--verify", "--guard", "off", "--rest-pack", "none")
    assert not {"guarded_modules", "rest_packs"} & layer_of(result).keys()
    assert "slim_guard" not in names(f"out/{FRAMEWORK}.tar.xz")
    assert not Path("out/rest").exists()


def test_a_canary_needs_no_trial_and_watches_what_guided_would_take() -> None:
    result = run("--canary")
    assert result["actions"] == []
    assert layer_of(result)["watched_modules"] == 1
    with tarfile.open(f"out/{FRAMEWORK}.tar.xz") as tar:
        table = tar.extractfile(f"{FRAMEWORK}/{SITE}/slim_canary/watched-1.txt")
        assert table is not None
        assert "maths.spare\t0\tmaths/spare.py" in table.read().decode()
        assert "spare.py" in {name.rpartition("/")[2] for name in tar.getnames()}
