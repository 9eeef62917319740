"""Plug-ins that are loaded by names put together at run time, and the profile ``aggressive``.

No link and no word speaks of them, so the profile takes them; its launch command is what finds out.
Witnesses of the kind: casadi's solvers, openvino's front ends, torchvision's ``_C_stable``.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from tests.support.deployed_stacks import launch, unpack
from tests.support.elf_files import compile_c
from tests.support.published_stacks import Content
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, IN_FRAMEWORK, running_stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux", reason="the small stacks start through a shell script"
    ),
]

CORE = """
#include <dlfcn.h>
#include <stdio.h>
int solve(const char *folder, const char *kind) {
    char name[4096];
    snprintf(name, sizeof name, "%s/lib%s_%s.so.%d", folder, "plug", kind, 3);
    void *plugin = dlopen(name, RTLD_NOW);
    int (*work)(void) = plugin ? (int (*)(void))dlsym(plugin, "work") : 0;
    return work ? work() : -1;
}
"""
NATIVE = """
import ctypes
from pathlib import Path

HERE = Path(__file__).parent
core = ctypes.CDLL(str(HERE / "libcore.so"))

def solve(kind):
    return core.solve(str(HERE / "plug" / "ins").encode(), kind.encode())
"""
APP = """
import json
from pathlib import Path
from maths import native

kinds = json.loads(Path(__file__).with_name("kinds.json").read_text())
print([native.solve("".join(kind)) for kind in kinds])
"""
KINDS = [["ip", "opt"], ["s", "qp"]]
GATE = f'schema = 1\nprofile = "aggressive"\n[[verify.command]]\nlayer = "{APPLICATION}"\n'
COMMAND = 'argv = ["python", "-m", "main_app"]\nsame_output = true\n'
PLUGINS = f"{IN_FRAMEWORK}/plug/ins"
USED = {f"{PLUGINS}/libplug_ipopt.so.3", f"{PLUGINS}/libplug_sqp.so.3"}
DEEP = f"{IN_FRAMEWORK}/plug/deep/libhidden.so.1"
UNUSED = f"{PLUGINS}/libplug_never.so.3"


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A published stack: one plug-in links a library, one none, one is never asked for."""
    built = tmp_path / "built"
    built.mkdir()
    shared = ("-shared", "-fPIC")
    compile_c(built, "libcore.so", CORE, *shared, "-ldl")
    compile_c(built, "libhidden.so.1", "int deep(void) { return 41; }", *shared,
              "-Wl,-soname,libhidden.so.1")  # fmt: skip
    compile_c(built, "libplug_ipopt.so.3", "int deep(void); int work(void) { return deep() + 1; }",
              *shared, "-Wl,--no-as-needed", f"-L{built}", "-l:libhidden.so.1",
              "-Wl,-rpath,$ORIGIN/../deep")  # fmt: skip
    for kind, answer in (("sqp", 7), ("never", 9)):
        source = f"int work(void) {{ return {answer}; }}"
        compile_c(built, f"libplug_{kind}.so.3", source, *shared)
    place = {name: f"plug/ins/{name}" for name in ("libplug_ipopt.so.3", "libplug_sqp.so.3")}
    place |= {"libplug_never.so.3": "plug/ins/libplug_never.so.3", "libcore.so": "libcore.so"}
    place |= {"libhidden.so.1": "plug/deep/libhidden.so.1"}
    maths: dict[str, Content] = {
        where: (built / name).read_bytes() for name, where in place.items()
    }
    kinds = {f"{IN_FRAMEWORK.rpartition('/')[0]}/kinds.json": json.dumps(KINDS)}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    running_stack(Path("stack"), maths={"native.py": NATIVE, **maths}, application=APP, more=kinds)


def run(*options: str, code: int = 0) -> dict[str, Any]:
    arguments = ["run", "stack", "-o", "out", "-q", "--report", "json=report.json", *options]
    assert main(arguments) == code
    if code:
        return {}
    found: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return found


def repaired(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What was broken, and mended."""
    return [one for repair in result["verification"]["repairs"] for one in repair["broken"]]


def answer(published: str) -> str:
    deployed = unpack(Path(published), Path(f"{published}-deployed").resolve())
    return launch(deployed, APPLICATION, "main_app")


def test_the_break_is_found_and_what_was_loaded_is_kept() -> None:
    Path("slim.toml").write_text(GATE + COMMAND)
    result = run("--verify")
    repairs = result["verification"]["repairs"]
    taken_back = {file["path"] for repair in repairs for file in repair["files"]}
    assert taken_back == {*USED, DEEP}
    assert {one["check"] for one in repaired(result)} >= {"launch"}
    removed = {action["path"] for action in result["actions"] if action["action"] == "remove"}
    assert UNUSED in removed
    assert not removed & {*USED, DEEP}
    assert result["verification"]["unverified"] is False
    assert answer("out") == answer("stack") == "[42, 7]\n"
    kept = tomllib.loads(Path("slim.keep.toml").read_text())
    assert set(kept["layer"][FRAMEWORK]["keep"]) == {*USED, DEEP}
    again = run("--verify", "--force")
    assert again["verification"]["repairs"] == []
    assert {action["path"] for action in again["actions"]} >= {UNUSED}


def test_without_repair_nothing_is_published() -> None:
    Path("slim.toml").write_text(GATE + COMMAND)
    assert main(["run", "stack", "-o", "out", "-q", "--verify", "--no-repair"]) == 1
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("configuration", "options"),
    [
        ('schema = 1\nprofile = "aggressive"\n', ("--verify",)),
        ('schema = 1\nprofile = "aggressive"\n', ()),
        (GATE + COMMAND, ()),
        (GATE.replace(APPLICATION, FRAMEWORK) + COMMAND, ("--verify",)),
    ],
)
def test_without_a_launch_command_that_runs_nothing_is_published(
    configuration: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("slim.toml").write_text(configuration)
    run(*options, code=2)
    told = " ".join(capsys.readouterr().err.split())
    assert "publishes only what was tried" in told
    assert ("give --verify" in told) is ("--verify" not in options)
    assert not Path("out").exists()


@pytest.mark.parametrize("profile", ["safe", "standard"])
def test_other_profiles_take_none_of_them(profile: str) -> None:
    result = run("--profile", profile)
    removed = {action["path"] for action in result["actions"] if action["action"] == "remove"}
    assert not removed & {*USED, DEEP, UNUSED}
    assert answer("out") == answer("stack")


def test_a_command_that_hides_the_failure_shows_what_it_loaded() -> None:
    """Its exit code and output say nothing; the files that it opened before do."""
    Path("slim.toml").write_text(GATE + 'argv = ["python", "-c", "import main_app"]\n')
    result = run("--verify")
    removed = {action["path"] for action in result["actions"] if action["action"] == "remove"}
    assert not removed & {*USED, DEEP}
    assert UNUSED in removed
    checks = {one["check"] for one in repaired(result)}
    assert checks
    assert checks <= {"files", "ld.so"}
