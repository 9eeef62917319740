"""Runs with --verify over small stacks that really run: faults are found, undone, written down."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from slim.system.workspace import workspace
from slim.verification.dynamic.sandbox import Sandbox
from tests.support.elf_files import build as build_elf
from tests.support.published_stacks import Content
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, IN_FRAMEWORK, fault, running_stack
from tests.unit.test_binaries_oracle import TEXT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small stacks start through a shell script"
)

LAZY = (
    "import importlib\n\n"
    "def __getattr__(name):\n    return importlib.import_module('maths.' + name)\n"
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def run(*arguments: str, code: int = 0) -> dict[str, Any]:
    """``slim run --verify``; returns the one result of the report."""
    told = main(
        ["run", "stack", "-o", "out", "--verify", "-q", "--report", "json=report.json", *arguments]
    )
    assert told == code
    result: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return result


def elsewhere(stack: Path) -> None:
    """Say that a stack is for another platform than this machine's, so that nothing is run."""
    for file in (stack / "__venvstacks__").rglob("*.json"):
        text = re.sub(
            r'"target_platform": "[^"]*"', '"target_platform": "macosx_arm64"', file.read_text()
        )
        file.write_text(text)


def checks(result: dict[str, Any]) -> dict[str, Any]:
    return {check["name"]: check for check in result["verification"]["checks"]}


def taken_back(result: dict[str, Any]) -> list[str]:
    return sorted(
        f"{file['layer']}/{file['path']}"
        for one in result["verification"]["repairs"]
        for file in one["files"]
    )


def published(layer: str) -> set[str]:
    with tarfile.open(Path("out") / f"{layer}.tar.xz") as archive:
        return {name.removeprefix(f"{layer}/") for name in archive.getnames()}


def command(text: str) -> None:
    Path("slim.toml").write_text(
        f'schema = 1\n[[verify.command]]\nlayer = "{APPLICATION}"\n{text}\n'
    )


LAUNCH = 'argv = ["python", "-m", "main_app"]\nsame_output = true'


# -- nothing wrong ---------------------------------------------------------------------------------


def test_a_sound_stack_passes_every_check() -> None:
    running_stack(
        Path("stack"), maths={"core.py": "x = 1\n", "tests/test_core.py": "import maths\n"}
    )
    command(LAUNCH)
    result = run()
    found = checks(result)
    assert {name: check["passed"] for name, check in found.items()} == dict.fromkeys(found, True)
    assert found["imports"]["tried"] == 3  # maths, maths.core, main_app; tests aren't public
    assert found["launch"]["tried"] == 1
    assert found["deploy"]["tried"] == 3
    assert found["metadata"]["tried"] > 0
    assert result["verification"]["repairs"] == []
    assert not Path("slim.keep.toml").exists()
    assert f"{IN_FRAMEWORK}/tests/test_core.py" not in published(FRAMEWORK)


def test_a_stack_for_another_platform_is_not_run() -> None:
    running_stack(Path("stack"))
    elsewhere(Path("stack"))
    result = run()
    assert set(checks(result)) == {
        "second-opinion",
        "lost-imports",
        "links",
        "licences",
        "record",
        "published",
    }
    (sentence,) = result["verification"]["untried"]
    assert sentence.startswith(
        "nothing was run: the stack is for macosx_arm64, this host is linux_"
    )


# -- faults ----------------------------------------------------------------------------------------


def test_a_public_subpackage_comes_back_and_the_next_run_needs_no_search() -> None:
    running_stack(
        Path("stack"),
        maths={
            "__init__.py": LAZY,
            "core.py": "x = 1\n",
            "testing/__init__.py": "from maths.testing.tools import check\n",
            "testing/tools.py": "check = 1\n",
            "testing/_unused.py": "1 / 0\n",
            "testing/README": "nothing\n",
        },
    )
    pack = fault(Path("fault.toml"), "$site/maths/testing/**")
    result = run("--pack", str(pack))
    culprits = [
        f"{FRAMEWORK}/{IN_FRAMEWORK}/testing/{name}" for name in ("__init__.py", "tools.py")
    ]
    assert taken_back(result) == culprits
    (repair,) = result["verification"]["repairs"]
    assert {one["name"] for one in repair["broken"]} == {"maths.testing", "maths.testing.tools"}
    assert repair["rules"] == ["fault"]
    there = published(FRAMEWORK)
    assert f"{IN_FRAMEWORK}/testing/tools.py" in there
    assert f"{IN_FRAMEWORK}/testing/_unused.py" not in there
    kept = tomllib.loads(Path("slim.keep.toml").read_text())
    assert kept == {
        "schema": 1,
        "layer": {
            FRAMEWORK: {
                "keep": [f"{IN_FRAMEWORK}/testing/{name}" for name in ("__init__.py", "tools.py")]
            }
        },
    }
    assert "imports: " in Path("slim.keep.toml").read_text()
    first = {path.name: path.read_bytes() for path in Path("out").glob("*.tar.xz")}
    again = run("--pack", str(pack), "--force")
    assert again["verification"]["repairs"] == []
    assert {path.name: path.read_bytes() for path in Path("out").glob("*.tar.xz")} == first


def test_without_repair_nothing_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    running_stack(Path("stack"), maths={"__init__.py": LAZY, "extra.py": "x = 1\n"})
    pack = fault(Path("fault.toml"), "$site/maths/extra.py")
    result = run("--pack", str(pack), "--no-repair", "--report", "junit=verify.xml", code=1)
    (failure,) = checks(result)["imports"]["broken"]
    assert (failure["name"], failure["before"]) == ("maths.extra", "worked")
    assert "No module named 'maths.extra'" in failure["after"]
    assert not Path("out").exists()
    assert 'message="ModuleNotFoundError: No module named' in Path("verify.xml").read_text()
    assert "verification refused the result" in capsys.readouterr().err


def test_a_module_may_be_given_up() -> None:
    running_stack(
        Path("stack"), maths={"__init__.py": LAZY, "extra/__init__.py": "", "extra/more.py": ""}
    )
    Path("slim.toml").write_text('schema = 1\n[verify]\nwithout = ["maths.extra"]\n')
    result = run("--pack", str(fault(Path("fault.toml"), "$site/maths/extra/**")))
    assert result["verification"]["repairs"] == []
    assert f"{IN_FRAMEWORK}/extra/more.py" not in published(FRAMEWORK)


def test_a_data_file_that_only_the_command_reads() -> None:
    application = (
        "import maths, pathlib\n"
        "if __name__ == '__main__':\n"
        "    print((pathlib.Path(maths.__file__).parent / 'da' 'ta' / 'table.bin').read_text())\n"
    )
    data: dict[str, Content] = {f"data/{number}.bin": f"{number}" for number in range(40)}
    running_stack(Path("stack"), maths={**data, "data/table.bin": "42"}, application=application)
    command(LAUNCH)
    result = run("--pack", str(fault(Path("fault.toml"), "$site/maths/data/**")))
    assert taken_back(result) == [f"{FRAMEWORK}/{IN_FRAMEWORK}/data/table.bin"]
    assert checks(result)["launch"]["passed"]


@pytest.mark.slow
def test_two_removals_that_only_help_together_and_that_no_message_names() -> None:
    application = (
        "import maths, pathlib, sys\n"
        "if __name__ == '__main__':\n"
        "    top = pathlib.Path(maths.__file__).parent\n"
        "    names = {path.name for path in top.rglob('*')}\n"
        "    sys.exit(0 if {'al' 'pha', 'om' 'ega'} <= names else 3)\n"
    )
    files: dict[str, Content] = {f"one/{number:02}": "" for number in range(30)}
    files |= {f"two/{number:02}": "" for number in range(30)}
    running_stack(
        Path("stack"), maths={**files, "one/alpha": "", "two/omega": ""}, application=application
    )
    command('argv = ["python", "-m", "main_app"]')
    one = fault(Path("one.toml"), "$site/maths/one/**", name="first")
    two = fault(Path("two.toml"), "$site/maths/two/**", name="second")
    result = run("--pack", str(one), "--pack", str(two))
    assert taken_back(result) == [
        f"{FRAMEWORK}/{IN_FRAMEWORK}/{name}" for name in ("one/alpha", "two/omega")
    ]
    (repair,) = result["verification"]["repairs"]
    assert repair["rules"] == ["first", "second"]


def test_two_faults_at_once_are_two_findings() -> None:
    application = (
        "import maths\n"
        "if __name__ == '__main__':\n"
        "    print(open(maths.__path__[0] + '/da' + 'ta.bin').read())\n"
    )
    running_stack(
        Path("stack"),
        maths={"__init__.py": LAZY, "extra.py": "", "data.bin": "1"},
        application=application,
    )
    command(LAUNCH)
    one = fault(Path("one.toml"), "$site/maths/extra.py", name="first")
    two = fault(Path("two.toml"), "$site/maths/data.bin", name="second")
    result = run("--pack", str(one), "--pack", str(two))
    assert taken_back(result) == [
        f"{FRAMEWORK}/{IN_FRAMEWORK}/{name}" for name in ("data.bin", "extra.py")
    ]
    assert len(result["verification"]["repairs"]) == 2


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_library_that_is_opened_by_a_name_put_together(place: Path) -> None:
    Path("answer.c").write_text("int answer(void) { return 42; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "libanswer.so.1", "answer.c"], check=True)
    module = (
        "import ctypes, os\n"
        "name = 'lib' + 'ans' + 'wer' + '.so' + '.1'\n"
        "path = os.path.join(os.path.dirname(__file__), 'plug' + 'ins', name)\n"
        "answer = ctypes.CDLL(path).answer()\n"
    )
    library = Path("libanswer.so.1").read_bytes()
    running_stack(Path("stack"), maths={"native.py": module, "plugins/libanswer.so.1": library})
    result = run("--pack", str(fault(Path("fault.toml"), "$site/maths/plugins/**")))
    assert taken_back(result) == [f"{FRAMEWORK}/{IN_FRAMEWORK}/plugins/libanswer.so.1"]
    assert checks(result)["ld.so"]["passed"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("here", [True, False])
def test_a_library_that_another_needs_comes_back_whatever_the_host(
    here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not here:
        monkeypatch.setattr(
            "slim.verification.repair.obstacle", lambda stack, members: "nothing was run: elsewhere"
        )
    Path("deep.c").write_text("int deep(void) { return 42; }\n")
    Path("answer.c").write_text("int deep(void); int answer(void) { return deep(); }\n")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-Wl,-soname,libdeep.so.1", "-o", "libdeep.so.1", "deep.c"],
        check=True,
    )
    link = ["-L.", "-l:libdeep.so.1", "-Wl,-rpath,$ORIGIN/deep"]
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "libanswer.so", "answer.c", *link], check=True)
    libraries: dict[str, Content] = {
        "libanswer.so": Path("libanswer.so").read_bytes(),
        "deep/libdeep.so.1": Path("libdeep.so.1").read_bytes(),
        "deep/other.bin": "x",
    }
    module = (
        "import ctypes, os\n"
        "ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'libanswer.so')).answer()\n"
    )
    running_stack(Path("stack"), maths={"native.py": module, **libraries})
    result = run("--pack", str(fault(Path("fault.toml"), "$site/maths/deep/**")))
    assert taken_back(result) == [f"{FRAMEWORK}/{IN_FRAMEWORK}/deep/libdeep.so.1"]
    assert checks(result)["links"]["passed"]
    assert ("imports" in checks(result)) is here
    assert ("nothing was run: elsewhere" in result["verification"]["untried"]) is not here


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("lief", [True, False], ids=["lief", "nobody"])
def test_an_edit_that_breaks_a_library_is_taken_back(
    monkeypatch: pytest.MonkeyPatch, lief: bool
) -> None:
    """The editor leaves a file that the loader refuses, as GNU strip does with some.

    Our own judge looks away. LIEF sees it; where LIEF looks away, too, trying the result tells.
    """
    from slim.model.recipe import Recipe
    from slim.passes import EDITORS
    from slim.verification import oracles
    from slim.verification.second_opinion.opinion import Opinion, SecondOpinion

    Path("answer.c").write_text(
        "static int helper(void) { return 42; }\nint answer(void) { return helper(); }\n"
    )
    for name in ("libanswer", "libother"):
        subprocess.run(
            ["cc", "-g", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", name, "answer.c"],
            check=True,
        )
    editor = EDITORS["elf-symbols"]

    def breaking(data: memoryview, options: Any) -> Any:
        edited = bytearray(editor.edit(data, options).whole(data))
        if b"libanswer" in bytes(data):
            at = int.from_bytes(
                edited[32:40], "little"
            )  # e_phoff: the program headers, of 56 bytes each
            for index in range(int.from_bytes(edited[56:58], "little")):
                header = at + 56 * index
                if edited[header : header + 4] == b"\1\0\0\0" and edited[
                    header + 8 : header + 16
                ] != bytes(8):
                    edited[header + 8] ^= 1  # p_offset of a PT_LOAD that isn't the first
        return Recipe((bytes(edited),))

    monkeypatch.setitem(EDITORS, "elf-symbols", replace(editor, edit=breaking))
    monkeypatch.setattr(oracles, "refused_edits", lambda edits: {})
    if not lief:
        monkeypatch.setattr(SecondOpinion, "ask", lambda self, questions: Opinion())
    module = "import ctypes, os\nfor name in ('libanswer.so', 'libother.so'):\n"
    module += "    ctypes.CDLL(os.path.join(os.path.dirname(__file__), name)).answer()\n"
    libraries: dict[str, Content] = {
        f"{name}.so": Path(name).read_bytes() for name in ("libanswer", "libother")
    }
    running_stack(Path("stack"), maths={"native.py": module, **libraries})
    result = run()
    broken = f"{IN_FRAMEWORK}/libanswer.so"
    if lief:
        assert taken_back(result) == []
        assert checks(result)["second-opinion"]["tried"] == 2
        (refused,) = [skip for skip in result["skipped"] if skip["path"] == broken]
        assert refused["reason"] == "unsafe-to-edit"
        assert refused["evidence"][0]["kind"] == "second-opinion"
        assert "the segments differ" in refused["evidence"][0]["text"]
    else:
        assert taken_back(result) == [f"{FRAMEWORK}/{broken}"]
        (repair,) = result["verification"]["repairs"]
        assert {one["check"] for one in repair["broken"]} == {"links", "dlopen", "imports"}
    rewritten = [action["path"] for action in result["actions"] if action["action"] == "rewrite"]
    assert f"{IN_FRAMEWORK}/libother.so" in rewritten


def test_a_command_that_never_worked_is_no_proof(capsys: pytest.CaptureFixture[str]) -> None:
    running_stack(Path("stack"), application="import sys\nsys.exit('no disk')\n")
    command('argv = ["python", "-m", "main_app"]')
    result = run(code=1)
    (broken,) = checks(result)["launch"]["broken"]
    assert broken["after"] == "the original fails already: exit code 1 instead of 0: no disk"


@pytest.mark.slow
def test_output_that_differs_each_time_is_told_apart_from_a_fault() -> None:
    running_stack(Path("stack"), application="import time\nprint('at', time.time_ns())\n")
    command(LAUNCH)
    (broken,) = checks(run(code=1))["launch"]["broken"]
    assert "not even the original does the same twice" in broken["after"]
    command(LAUNCH + '\nignore = ["at [0-9]+"]')
    assert checks(run())["launch"]["passed"]


# -- servers ---------------------------------------------------------------------------------------

SERVER = """
import http.server, pathlib, subprocess, sys, maths
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (pathlib.Path(maths.__file__).parent / ('pa' + 'ge')).read_bytes()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
if __name__ == "__main__":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    http.server.HTTPServer(("127.0.0.1", 8123), Handler).serve_forever()
"""


@pytest.mark.slow
def test_a_server_is_asked_and_shut_down_with_its_children() -> None:
    running_stack(Path("stack"), maths={"page": "<h1>hello</h1>"}, application=SERVER)
    command(
        'argv = ["python", "-m", "main_app"]\nready = { port = 8123 }\n'
        'request = { url = "http://127.0.0.1:8123/", body = "hello", same = true }'
    )
    result = run("--pack", str(fault(Path("fault.toml"), "$site/maths/page")))
    assert taken_back(result) == [f"{FRAMEWORK}/{IN_FRAMEWORK}/page"]
    assert checks(result)["launch"]["passed"]
    assert processes_with("time.sleep(600)") == []


# -- hostile modules -------------------------------------------------------------------------------


SPAWN = "import subprocess, sys\nsubprocess.Popen([sys.executable, *{}])\n"


def processes_with(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if marker in line:
                found.append(int(folder.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("namespaces", [True, False])
def test_what_modules_do_is_contained_and_told(
    namespaces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not namespaces:
        monkeypatch.setattr("slim.verification.dynamic.sandbox._ATTEMPTS", ((),))
    before = {path: path.read_bytes() for path in Path().glob("stack/*.tar.xz")}
    running_stack(
        Path("stack"),
        maths={
            "a_first.py": "x = 1\n",
            "crash.py": "import ctypes\nctypes.string_at(0)\n",
            "exits.py": "import os\nos._exit(0)\n",
            "forks.py": "import os\nos.fork()\n",
            "hangs.py": "while True:\n    pass\n",
            "quits.py": "import sys\nsys.exit(1)\n",
            "writes.py": "import pathlib\n"
            "pathlib.Path(__file__).with_name('cache.bin').write_text('x')\n",
            "spawns.py": SPAWN.format(["-c", "import time; time.sleep(601)"]),
            "z_last.py": "x = 1\n",
        },
    )
    Path("slim.toml").write_text("schema = 1\n[verify]\ntimeout = 3\n")
    result = run()
    found = checks(result)
    assert all(check["passed"] for check in found.values())
    assert found["imports"]["tried"] == 7  # maths, main_app, a_first, forks, spawns, writes, z_last
    notes = "\n".join(result["verification"]["notes"])
    assert "maths.crash: ended its process by signal 11" in notes
    assert "maths.exits: ended its process with exit code 0" in notes
    assert "maths.hangs: didn't finish within 3 seconds" in notes
    assert "1 module started a process when imported, which was ended: maths.forks" in notes
    assert "1 module wrote into the stack when imported, which was undone: maths.writes" in notes
    untried = "\n".join(result["verification"]["untried"])
    assert namespaces or "this host doesn't let programs run without a network" in untried
    assert "4 modules weren't tried: they failed in the original" in untried
    assert processes_with("time.sleep(601)") == []
    assert f"{IN_FRAMEWORK}/cache.bin" not in published(FRAMEWORK)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert list(Path("tmp").iterdir()) == []


def test_nothing_gets_out(place: Path) -> None:
    escape = (
        "import os, pathlib, socket\n"
        f"secret = pathlib.Path({str(place / 'precious')!r})\n"
        "told = ['HOME' in os.environ and os.environ['HOME'] != "
        + repr(os.environ.get("HOME", ""))
        + "]\n"
        "told.append(not any(name.startswith('PYTHONPATHX') for name in os.environ))\n"
        "try:\n    secret.write_text('gone')\n    told.append('wrote')\n"
        "except OSError:\n    told.append('read-only')\n"
        "try:\n    socket.create_connection(('192.0.2.1', 80), timeout=1)\n"
        "    told.append('network')\n"
        "except OSError as error:\n    told.append(error.errno)\n"
        "if __name__ == '__main__':\n    print(told)\n"
    )
    (place / "precious").write_text("kept")
    with workspace(place) as work:
        isolation = Sandbox(work).isolation
    running_stack(Path("stack"), application=escape)
    command('argv = ["python", "-m", "main_app"]\noutput = ["^.True, True"]')
    result = run()
    assert checks(result)["launch"]["passed"]
    if isolation.files:
        assert (place / "precious").read_text() == "kept"
    assert bool(isolation.missing) == any(
        "doesn't let programs run" in sentence for sentence in result["verification"]["untried"]
    )


# -- a killed run ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_process_and_the_next_no_folder(
    place: Path, way: signal.Signals
) -> None:
    marker = f"slim-test-{os.getpid()}"
    loop = (
        SPAWN.format(["-c", "import time; time.sleep(600)", marker])
        + "import time\ntime.sleep(600)\n"
    )
    running_stack(Path("stack"), maths={"hangs.py": loop})
    Path("slim.toml").write_text("schema = 1\n[verify]\ntimeout = 2\n")
    arguments = [sys.executable, "-m", "slim", "run", "stack", "-o", "out", "--verify", "-q"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # Whoever runs the tests in the background has Ctrl-C ignored (sh(1)), and so would the run be.
    started = subprocess.Popen(
        arguments,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not processes_with(marker):
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.05)
    if way is signal.SIGKILL:
        started.kill()
    else:
        os.killpg(started.pid, way)  # what a terminal does on Ctrl-C
    assert started.wait() == (-way if way is signal.SIGKILL else 130)
    while processes_with(marker):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert bool(list((place / "tmp").glob("slim-work-*"))) == (way is signal.SIGKILL)
    assert not Path("out").exists()
    run()
    assert list((place / "tmp").glob("slim-work-*")) == []


def test_a_workspace_that_is_in_use_stays(tmp_path: Path) -> None:
    with workspace(tmp_path) as first:
        with workspace(tmp_path) as second:
            assert first.is_dir() and second != first
        assert first.is_dir() and not second.exists()
    assert not first.exists()


# -- slim verify -----------------------------------------------------------------------------------


def test_verify_alone_finds_what_somebody_else_broke(capsys: pytest.CaptureFixture[str]) -> None:
    files: dict[str, Content] = {
        "__init__.py": LAZY,
        "core.py": "x = 1\n",
        "tests/test_core.py": "",
    }
    running_stack(Path("stack"), maths={**files, "extra.py": "x = 1\n"})
    running_stack(
        Path("good"),
        maths={name: data for name, data in files.items() if not name.startswith("tests")}
        | {"extra.py": "x = 1\n"},
    )
    running_stack(Path("bad"), maths=files)
    assert main(["verify", "stack", "good"]) == 0
    assert "Nothing that worked stopped working" in capsys.readouterr().out
    assert main(["verify", "stack", "bad", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["runs"][0]
    assert [one["name"] for one in checks(told)["imports"]["broken"]] == ["maths.extra"]


def test_verify_alone_judges_files_that_differ(capsys: pytest.CaptureFixture[str]) -> None:
    """Each native file and METADATA that differs is judged as a run judges its own edits."""
    from slim.passes import EDITORS

    data = build_elf(TEXT)
    edited = EDITORS["elf-symbols"].edit(memoryview(data), {"level": "unneeded"}).whole(data)
    broken = bytearray(edited)
    broken[24] ^= 1  # e_entry of the ELF header
    for name, library, table in (
        ("stack", data, "1"),
        ("good", edited, "1"),
        ("bad", bytes(broken), "2"),
    ):
        running_stack(Path(name), maths={"libx.so": library, "table.csv": table})
        elsewhere(Path(name))
    assert main(["verify", "stack", "good", "--json"]) == 0
    found = checks(json.loads(capsys.readouterr().out)["runs"][0])
    assert (found["edits"]["tried"], found["edits"]["failures"]) == (1, [])
    assert found["second-opinion"]["tried"] + bool(found["second-opinion"]["note"]) == 1
    assert main(["verify", "stack", "bad", "--json"]) == 1
    found = checks(json.loads(capsys.readouterr().out)["runs"][0])
    (failure,) = found["edits"]["failures"]
    assert failure == f"{FRAMEWORK}/{IN_FRAMEWORK}/libx.so: e_entry has changed"
    assert found["edits"]["note"] == "changed files of kinds that slim doesn't edit, not judged: 1"


@pytest.mark.slow
def test_verify_takes_deployed_trees() -> None:
    running_stack(Path("stack"), maths={"core.py": "x = 1\n", "extra.py": "x = 1\n"})
    for name in ("old", "new"):
        Path(name).mkdir()
        for archive in Path("stack").glob("*.tar.xz"):
            with tarfile.open(archive) as members:
                members.extractall(name, filter="fully_trusted")
        (Path(name) / FRAMEWORK / "pyvenv.cfg").write_text(f"home = {name}\n")
    state = {path: path.lstat().st_mtime_ns for path in Path("old").rglob("*")}
    assert main(["verify", "old", "new", "-q"]) == 0
    (Path("new") / FRAMEWORK / IN_FRAMEWORK / "extra.py").unlink()
    assert main(["verify", "old", "new", "-q"]) == 1
    assert {path: path.lstat().st_mtime_ns for path in Path("old").rglob("*")} == state


def test_verify_refuses_stacks_that_don_t_belong_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    running_stack(Path("stack"))
    shutil.copytree("stack", "other")
    manifest = Path("other/__venvstacks__/venvstacks.json")
    value = json.loads(manifest.read_text())
    del value["layers"]["applications"]
    manifest.write_text(json.dumps(value))
    assert main(["verify", "stack", "other", "-q"]) == 2
    assert "has no stack with the layers" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("$site/maths/lost.py",)], ids=["alone", "and a module"])
def test_what_an_install_step_needs_comes_back(more: tuple[str, ...]) -> None:
    """Nothing else was tried when the step failed: nothing else is known of the original yet."""
    step = "from pathlib import Path\nnext(Path(__file__).parent.parent.rglob('needed.txt'))\n"
    maths = {"needed.txt": "x", "spare.txt": "y", "lost.py": "", "__init__.py": LAZY}
    running_stack(Path("stack"), maths=maths, more={"postinstall.py": step})
    rules = fault(Path("fault.toml"), "$site/maths/*.txt", *more)
    found = checks(run("--pack", str(rules)))
    assert {one["passed"] for one in found.values()} == {True}
    assert {f"{IN_FRAMEWORK}/needed.txt", f"{IN_FRAMEWORK}/lost.py"} <= published(FRAMEWORK)
    assert f"{IN_FRAMEWORK}/spare.txt" not in published(FRAMEWORK)


def test_an_install_step_that_never_worked_is_told() -> None:
    step = "raise SystemExit('no ' + __file__)\n"
    running_stack(Path("stack"), maths={"spare.txt": "y"}, more={"postinstall.py": step})
    result = run("--pack", str(fault(Path("fault.toml"), "$site/maths/*.txt")))
    told = "\n".join(result["verification"]["untried"])
    assert f"install step wasn't tried: it failed in the original: {APPLICATION}" in told
