"""Checks of ``--verify`` beyond imports: libraries alone, versions, and files that are opened."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from slim.verification.dynamic import probes
from tests.support.published_stacks import Content
from tests.support.runnable_stacks import APPLICATION, FRAMEWORK, IN_FRAMEWORK, fault, running_stack

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small stacks start through a shell script"
)
needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0) -> dict[str, Any]:
    command = ["run", "stack", "-o", "out", "--verify", "-q", "--report", "json=report.json"]
    assert main([*command, *arguments]) == code
    result: dict[str, Any] = json.loads(Path("report.json").read_text())["runs"][0]
    return result


def checks(result: dict[str, Any]) -> dict[str, Any]:
    return {check["name"]: check for check in result["verification"]["checks"]}


def taken_back(result: dict[str, Any]) -> list[str]:
    repairs = result["verification"]["repairs"]
    return sorted(f"{one['layer']}/{one['path']}" for each in repairs for one in each["files"])


def build(name: str, source: str, *more: str) -> bytes:
    Path(f"{name}.c").write_text(source)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", name, f"{name}.c", *more], check=True)
    return Path(name).read_bytes()


@needs_compiler
def test_a_library_that_nothing_imports_still_loads(capsys: pytest.CaptureFixture[str]) -> None:
    """ld.so finds all that it needs; the function that it needs isn't in there any more."""
    whole = build("libdeep.so.1", "int deep(void) { return 42; }\n", "-Wl,-soname,libdeep.so.1")
    link = ["-L.", "-l:libdeep.so.1", "-Wl,-rpath,$ORIGIN"]
    plugin = build("plugin.so", "int deep(void); int plug(void) { return deep(); }\n", *link)
    empty = build("libdeep.so.1", "int other;\n", "-Wl,-soname,libdeep.so.1")
    odd = build("odd.so", "int nowhere(void); int odd(void) { return nowhere(); }\n")
    files: dict[str, Content] = {"plugin.so": plugin, "odd.so": odd}
    running_stack(Path("stack"), maths={**files, "libdeep.so.1": whole})
    running_stack(Path("bad"), maths={**files, "libdeep.so.1": empty})
    assert main(["verify", "stack", "stack", "--json"]) == 0
    good = json.loads(capsys.readouterr().out)["runs"][0]
    assert checks(good)["dlopen"]["tried"] == 2
    (odd_one,) = [one for one in good["verification"]["untried"] if "dlopen" in one]
    assert odd_one == (
        f"1 file wasn't tried by dlopen: it failed in the original: {IN_FRAMEWORK}/odd.so"
    )
    assert main(["verify", "stack", "bad", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["runs"][0]
    assert checks(told)["ld.so"]["passed"]
    (broken,) = checks(told)["dlopen"]["broken"]
    assert broken["name"] == f"{IN_FRAMEWORK}/plugin.so"
    assert "undefined symbol: deep" in broken["after"]


@needs_compiler
def test_a_library_that_crashes_or_hangs_is_told_and_the_next_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(probes._SECONDS, "dlopen", 2)
    start = "__attribute__((constructor)) static void start(void)"
    files: dict[str, Content] = {
        "a.so": build("a.so", f"{start} {{ __builtin_trap(); }}\n"),
        "b.so": build("b.so", f"{start} {{ for (;;); }}\n"),
        "c.so": build("c.so", "int c;\n"),
    }
    running_stack(Path("stack"), maths=files)
    Path("slim.toml").write_text("schema = 1\n[verify]\ntimeout = 4\n")  # for importing b
    result = run()
    assert checks(result)["dlopen"]["tried"] == 1
    (text,) = [one for one in result["verification"]["untried"] if "dlopen" in one]
    assert text.startswith("2 files weren't tried by dlopen: they failed in the original: ")


TOOL = (
    '#!/bin/sh\nread -r version < "$(dirname -- "$0")/../share/tool-version" && echo "$version"\n'
)


@pytest.mark.parametrize("changed", [False, True])
def test_a_program_still_tells_its_version(
    changed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = "#!/bin/sh\nexit 3\n"
    more: dict[str, Content] = {"bin/tool": TOOL, "bin/other": slow, "share/tool-version": "1.2\n"}
    running_stack(Path("stack"), more=more)
    after = {"share/tool-version": "1.3\n"} if changed else {}
    other = {name: data for name, data in more.items() if changed or "version" not in name}
    running_stack(Path("bad"), more={**other, **after})
    assert main(["verify", "stack", "bad", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["runs"][0]
    (broken,) = checks(told)["versions"]["broken"]
    assert broken["name"] == "bin/tool"
    wanted = "--version was '1.2\\n', now '1.3\\n'" if changed else "exit code"
    assert wanted in broken["after"]
    untried = "\n".join(told["verification"]["untried"])
    assert "tried by versions: " in untried and "bin/other" in untried


def test_a_program_that_lost_its_file_gets_it_back() -> None:
    more: dict[str, Content] = {"bin/tool": TOOL, "share/tool-version": "1.2\n"}
    running_stack(Path("stack"), more=more)
    result = run("--pack", str(fault(Path("fault.toml"), "share/tool-version")))
    assert taken_back(result) == [f"{APPLICATION}/share/tool-version"]
    assert checks(result)["versions"]["passed"]


READS = (
    "import pathlib\n"
    "try:\n    table = (pathlib.Path(__file__).parent / 'da' 'ta' / 'table.bin').read_text()\n"
    "except OSError:\n    table = 'a poor default'\n"
)


@pytest.mark.parametrize("where", ["import", "launch"])
def test_a_file_that_a_program_opened_comes_back_though_nothing_failed(where: str) -> None:
    data: dict[str, Content] = {f"data/{number}.bin": f"{number}" for number in range(9)}
    body = READS.replace("\n", "\n    ")
    text = READS if where == "import" else f"import sys\ndef main():\n    {body}\n"
    application = "import maths.reads\nif __name__ == '__main__':\n    maths.reads.main()\n"
    running_stack(
        Path("stack"),
        maths={**data, "data/table.bin": "42", "reads.py": text},
        application=application if where == "launch" else "",
    )
    Path("slim.toml").write_text(
        f"schema = 1\n[[verify.command]]\nlayer = '{APPLICATION}'\n"
        "argv = ['python', '-m', 'main_app']\n"
    )
    result = run("--pack", str(fault(Path("fault.toml"), "$site/maths/data/**")))
    assert taken_back(result) == [f"{FRAMEWORK}/{IN_FRAMEWORK}/data/table.bin"]
    assert checks(result)["files"]["passed"]


def test_what_could_not_be_tried_is_said_in_every_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    running_stack(Path("stack"), maths={"broken.py": "import nowhere\n"})
    reports = [f"--report={kind}=r.{kind}" for kind in ("html", "markdown", "junit")]
    run(*reports)
    assert main(["run", "stack", "-o", "again", "--verify", *reports, "--force"]) == 0
    for text in (
        f"{APPLICATION} wasn't started: no [[verify.command]] is for it",
        "1 module wasn't tried: it failed in the original: maths.broken",
    ):
        assert (
            text
            in json.loads(Path("report.json").read_text())["runs"][0]["verification"]["untried"]
        )
        for kind in ("html", "markdown", "junit"):
            word = text.partition(":")[0].replace("'", "&#39;") if kind == "html" else "tried"
            assert word in Path(f"r.{kind}").read_text(), kind
    assert "not tried: app-main wasn't started" in capsys.readouterr().out
