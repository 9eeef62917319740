"""postinstall.py that compiles only what runs imported: the edit, its oracle, the sizes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from slim.errors import UnsafeInputError
from slim.model.finding import EditSpec
from slim.model.plan import Plan, Rewrite
from slim.model.record import UNOWNED, EntryType, FileKind, FileRecord, Inventory
from slim.passes.compile_traced import EDITOR, compile_traced, new_line
from slim.plan.accounts import footprints
from slim.verification.compile_traced import check

CALL = "    compile_dir(pylib_path, optimize=0, quiet=True)\n"
SCRIPT = (
    '"""venvstacks layer post-installation script.\n\n* Precompiles\n"""\n'
    "from compileall import compile_dir\n"
    "from pathlib import Path\n\n\n"
    "def _run_postinstall(layer_path: Path) -> None:\n"
    '    pylib_path = layer_path / "lib"\n'
    f"{CALL}\n\n"
    'if __name__ == "__main__":\n'
    "    _run_postinstall(Path(__file__).parent)\n"
)
MODULES = ("python3.13/a.py", "python3.13/b c.py", "python3.13/site-packages/it's/é.py")


def edited(script: str, modules: tuple[str, ...] = MODULES) -> bytes:
    source = script.encode()
    return compile_traced(memoryview(source), {"modules": modules}).whole(source)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_line_changes_and_the_oracle_accepts_it(newline: str) -> None:
    script = SCRIPT.replace("\n", newline)
    new = edited(script)
    assert check(memoryview(script.encode()), memoryview(new)) == []
    lines = zip(script.encode().split(b"\n"), new.split(b"\n"), strict=True)
    assert sum(old != now for old, now in lines) == 1


def test_what_it_lists_is_compiled_and_nothing_else(tmp_path: Path) -> None:
    for name in (*MODULES, "python3.13/other.py"):
        path = tmp_path / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("A = 1\n")
    (tmp_path / "postinstall.py").write_bytes(edited(SCRIPT, (*MODULES, "python3.13/gone.py")))
    subprocess.run([sys.executable, tmp_path / "postinstall.py"], check=True)
    compiled = {path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")}
    assert compiled == {"a", "b c", "é"}


OTHERS = [
    SCRIPT.replace("venvstacks layer", "our layer"),
    SCRIPT.replace(CALL, "    compile_dir(pylib_path)\n"),
    SCRIPT + "compile_dir('x')\n",
    SCRIPT.replace("_run_postinstall(layer_path: Path)", "_run(layer_path)"),
    "print(1)\n",
    "",
]


@pytest.mark.parametrize("script", OTHERS)
def test_a_script_that_isnt_venvstacks_own_is_refused(script: str) -> None:
    with pytest.raises(UnsafeInputError):
        edited(script)


GOOD = new_line(MODULES).decode()
FORGED = [
    ("nothing compiles", SCRIPT.replace(CALL, "\n")),
    ("another call", SCRIPT.replace(CALL, GOOD.replace("optimize=0", "optimize=2") + "\n")),
    ("another function", SCRIPT.replace(CALL, GOOD.replace('"compileall"', '"evil"') + "\n")),
    ("outside", SCRIPT.replace(CALL, GOOD.replace("python3.13", "../x") + "\n")),
    ("absolute", SCRIPT.replace(CALL, GOOD.replace("'python3.13'", "'/etc'") + "\n")),
    ("computed", SCRIPT.replace(CALL, GOOD.replace("'a/b c'", "print(1)") + "\n")),
    ("two statements", SCRIPT.replace(CALL, GOOD.partition("  #")[0] + "; print(1)\n")),
    ("a second line", SCRIPT.replace(CALL, GOOD + "\n").replace("Path(__file__)", "Path('x')")),
    ("no Python", SCRIPT.replace(CALL, "    [\n")),
    ("another line", SCRIPT.replace("import Path\n", "import Path as Path\n")),
]


@pytest.mark.parametrize("forged", [text for _, text in FORGED], ids=[name for name, _ in FORGED])
def test_the_oracle_refuses_what_does_anything_else(forged: str) -> None:
    assert check(memoryview(SCRIPT.encode()), memoryview(forged.encode()))


def record(path: str, bytecode: int = 0, size: int = 1) -> FileRecord:
    return FileRecord(
        layer="app",
        path=path,
        type=EntryType.FILE,
        kind=FileKind.PYTHON,
        owner=UNOWNED,
        size=size,
        mode=0o644,
        bytecode_size=bytecode,
    )


def test_only_what_is_compiled_counts_as_deployed() -> None:
    script = record("postinstall.py")
    files = [script, record("lib/python3.13/a.py", 10), record("lib/python3.13/b.py", 7)]
    inventory = Inventory(records={"app": {each.path: each for each in files}})
    edit = EditSpec(editor=EDITOR, options={"modules": ("python3.13/a.py",)})
    action = Rewrite(
        record=script, pass_name="traced-bytecode", rule="bytecode-traced", edit=edit, size_after=5
    )
    before, after = footprints(inventory, Plan(actions={script.key: action}), "app")
    assert (before.bytecode, after.bytecode) == (17, 10)
    assert (before.unpacked, after.unpacked) == (3, 7)
