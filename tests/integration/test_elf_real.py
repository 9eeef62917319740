"""Real ELF files, made with gcc and mangled with patchelf, load and run after an edit as before."""

from __future__ import annotations

import ctypes
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from slim.binaries.elf.edit import ElfEdit, NotEditable, RefusalKind, plan_edit, read_dynamic
from slim.verification.native.elf import check
from tests.support.elf_files import compile_c, patchelf_three_times, tool

LIBRARY = """
#include <math.h>
__thread int counter = 40;
static int table[4000] = {1, 2, 3};
static int hidden(int x) { return x * table[1] + counter; }
int answer(int x) { counter += 1; return hidden(x); }
double root(double x) { return sqrt(x); }
void *PyInit_sample(void) { return 0; }
static void *PyInit_private(void) { return 0; }
void *use(void) { return PyInit_private(); }
"""
PROGRAM = """
#include <stdio.h>
static int table[4000] = {7};
int main(int argc, char **argv) { printf("%d %s\\n", table[0] * argc, argv[1]); return table[1]; }
"""
BARE = "static int table[4000] = {1}; int answer(int x) { return x + table[x & 7]; }"


def edit(path: Path, level: str = "unneeded") -> Path:
    """The edited file, next to the original, approved by the oracle and by readelf."""
    data = path.read_bytes()
    planned = plan_edit(data, level)
    assert isinstance(planned, ElfEdit), planned
    target = path.with_name("edited-" + path.name)
    target.write_bytes(planned.data())
    target.chmod(path.stat().st_mode)
    assert check(data, target.read_bytes()) == []
    done = subprocess.run(
        [tool("readelf"), "-aW", str(target)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""
    return target


def load(library: Path) -> str:
    """Load a library in a fresh process and call into it; the answer, or what the loader said."""
    code = "import ctypes, sys; lib = ctypes.CDLL(sys.argv[1]); print(lib.answer(1))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(library)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def built_library(tmp_path: Path, *flags: str) -> Path:
    return compile_c(tmp_path, "libsample.so", LIBRARY, "-shared", "-fPIC", "-g", *flags, "-lm")


@pytest.mark.parametrize("level", ["debug", "unneeded"])
@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["-g3", "-O2", "-gz=zlib"],
        ["-Wl,--hash-style=both", "-Wl,-z,now", "-Wl,--build-id=sha1"],
        ["-Wl,-z,noseparate-code", "-Wl,-z,max-page-size=65536"],
        ["-Wl,-z,separate-code", "-Wl,-z,pack-relative-relocs"],
        ["-Wl,--emit-relocs"],
        ["-fuse-ld=gold"],
        ["-fuse-ld=lld"],
    ],
    ids=" ".join,
)
def test_libraries_still_load(tmp_path: Path, flags: list[str], level: str) -> None:
    library = built_library(tmp_path, *flags)
    assert load(edit(library, level)) == load(library) == "43"


def test_a_debug_edit_keeps_what_backtraces_read(tmp_path: Path) -> None:
    library = built_library(tmp_path)
    shown = [
        subprocess.run([tool("nm"), str(path)], capture_output=True, text=True, check=True).stdout
        for path in (library, edit(library, "debug"))
    ]
    assert shown[0] == shown[1]
    assert " t hidden" in shown[0]


@pytest.mark.parametrize(
    "flags",
    [
        ["-pie", "-fPIE"],
        ["-no-pie"],
        ["-static"],
        ["-static-pie", "-fPIE"],
        ["-no-pie", "-Wl,-z,norelro"],
    ],
    ids=" ".join,
)
def test_programs_still_run(tmp_path: Path, flags: list[str]) -> None:
    program = compile_c(tmp_path, "program", PROGRAM, "-g", *flags)
    outputs = [
        subprocess.run([str(path), "word"], capture_output=True, text=True, check=True).stdout
        for path in (program, edit(program), edit(program, "debug"))
    ]
    assert outputs == ["14 word\n"] * 3


def test_32_bit_libraries(tmp_path: Path) -> None:
    library = compile_c(tmp_path, "lib32.so", BARE, "-m32", "-shared", "-fPIC", "-nostdlib", "-g")
    assert library.read_bytes()[4] == 1
    found = read_dynamic(edit(library).read_bytes())
    assert found is not None
    assert (found.bits, found.machine) == (32, "i686")


def test_split_debugging_information(tmp_path: Path) -> None:
    """The library points into a file next to it, which goes by a rule; pointers go with symbols."""
    library = built_library(tmp_path, "-gsplit-dwarf")
    (split_off,) = tmp_path.glob("*.dwo")
    assert split_off.name.encode() in library.read_bytes()
    planned = plan_edit(split_off.read_bytes(), "unneeded")
    assert isinstance(planned, NotEditable)
    assert planned.kind is RefusalKind.OBJECT_FILE
    for level in ("debug", "unneeded"):
        found = edit(library, level)
        assert split_off.name.encode() not in found.read_bytes()
        assert load(found) == load(library)


def test_a_compressed_symbol_table(tmp_path: Path) -> None:
    """``.gnu_debugdata``, as distributions add it: a whole ELF file in xz, for backtraces."""
    library = built_library(tmp_path)
    whole = lzma.compress(library.read_bytes())
    symbols = tmp_path / "symbols.xz"
    symbols.write_bytes(whole)
    command = [
        tool("objcopy"),
        "--strip-all",
        "--add-section",
        f".gnu_debugdata={symbols}",
        str(library),
    ]
    subprocess.run(command, check=True)
    assert whole in library.read_bytes()
    found = edit(library)
    assert len(library.read_bytes()) - len(found.read_bytes()) >= len(whole)
    assert load(found) == load(library)


def test_what_patchelf_has_been_through(tmp_path: Path) -> None:
    """All symbols lie amid the image: the hole is closed, and what is left takes the table."""
    library = built_library(tmp_path, "-g3", "-Wl,-soname,libsample.so")
    patchelf_three_times(library)
    before, found = read_dynamic(library.read_bytes()), edit(library)
    assert b"hidden" in library.read_bytes()
    assert b"hidden" not in found.read_bytes()
    after = read_dynamic(found.read_bytes())
    assert after == before
    assert before is not None
    assert before.soname is not None
    assert before.soname.startswith("libgrafted-")
    assert before.rpath[-1].startswith("$ORIGIN/../../long-")
    assert load(found) == load(library) == "43"


def test_the_oracle_sees_what_strip_does_to_grafted_libraries(tmp_path: Path) -> None:
    library = built_library(tmp_path)
    patchelf_three_times(library)
    stripped = tmp_path / "stripped.so"
    command = [tool("strip"), "--strip-unneeded", "-o", str(stripped), str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this strip refuses the library")
    assert check(library.read_bytes(), stripped.read_bytes()) != []


def test_a_second_edit_changes_nothing(tmp_path: Path) -> None:
    library = built_library(tmp_path)
    debug = edit(library, "debug")
    for path, level in [(debug, "debug"), (edit(debug), "unneeded"), (edit(debug), "debug")]:
        planned = plan_edit(path.read_bytes(), level)
        assert isinstance(planned, NotEditable)
        assert planned.kind is RefusalKind.NOTHING_GAINED
    assert edit(debug).read_bytes() == edit(library).read_bytes()


def test_about_as_much_goes_as_with_strip(tmp_path: Path) -> None:
    library = built_library(tmp_path, "-g3")
    stripped = tmp_path / "stripped.so"
    subprocess.run(
        [tool("strip"), "--strip-unneeded", "-o", str(stripped), str(library)], check=True
    )
    assert edit(library).stat().st_size <= stripped.stat().st_size


def test_objects_are_left_alone(tmp_path: Path) -> None:
    planned = plan_edit(
        compile_c(tmp_path, "sample.o", LIBRARY, "-c", "-g").read_bytes(), "unneeded"
    )
    assert isinstance(planned, NotEditable)
    assert planned.kind is RefusalKind.OBJECT_FILE


def test_sections_added_by_objcopy_stay_and_payloads_are_not_touched(tmp_path: Path) -> None:
    """A bundled program: an archive as a section that isn't loaded, or simply appended."""
    program = compile_c(tmp_path, "program", PROGRAM, "-g")
    payload = tmp_path / "payload"
    payload.write_bytes(b"archive" * 1000)
    bundled = tmp_path / "bundled"
    subprocess.run(
        [tool("objcopy"), "--add-section", f"pydata={payload}", str(program), str(bundled)],
        check=True,
    )
    assert payload.read_bytes() in edit(bundled).read_bytes()
    appended = plan_edit(program.read_bytes() + payload.read_bytes(), "unneeded")
    assert isinstance(appended, NotEditable)
    assert appended.kind is RefusalKind.PAYLOAD


@pytest.mark.parametrize("size", [0, 4, 16, 63, 64, 200, "half"])
def test_truncated_libraries_are_left_alone(tmp_path: Path, size: int | str) -> None:
    data = built_library(tmp_path).read_bytes()
    cut = data[: len(data) // 2 if size == "half" else int(size)]
    planned = plan_edit(cut, "unneeded")
    assert isinstance(planned, NotEditable)
    assert planned.kind is RefusalKind.MALFORMED
    if size != "half":
        assert read_dynamic(cut) is None


def test_the_dynamic_section_of_a_library(tmp_path: Path) -> None:
    flags = [
        "-Wl,-soname,libsample.so.1",
        "-Wl,--enable-new-dtags",
        "-Wl,-rpath,$ORIGIN/../a.libs:/opt/lib",
    ]
    found = read_dynamic(
        memoryview(built_library(tmp_path, "-Wl,--no-as-needed", *flags).read_bytes())
    )
    assert found is not None
    assert found.soname == "libsample.so.1"
    assert {"libc.so.6", "libm.so.6"} <= set(found.needed)
    assert (found.rpath, found.runpath) == ((), ("$ORIGIN/../a.libs", "/opt/lib"))
    assert (found.interpreter, found.kind, found.little) == (None, "shared", True)
    assert found.bits == 8 * ctypes.sizeof(ctypes.c_void_p)
    assert found.python_inits == {"PyInit_sample"}


@pytest.mark.parametrize(
    ("flags", "kind", "interpreter"),
    [
        (["-pie", "-fPIE"], "executable", True),
        (["-no-pie"], "executable", True),
        (["-static-pie", "-fPIE"], "executable", False),
    ],
    ids=["pie", "no-pie", "static-pie"],
)
def test_the_dynamic_section_of_a_program(
    tmp_path: Path, flags: list[str], kind: str, interpreter: bool
) -> None:
    found = read_dynamic(compile_c(tmp_path, "program", PROGRAM, *flags).read_bytes())
    assert found is not None
    assert (found.kind, found.interpreter is not None) == (kind, interpreter)
    assert found.python_inits == frozenset()


def test_a_static_program_has_none(tmp_path: Path) -> None:
    assert (
        read_dynamic(compile_c(tmp_path, "program", PROGRAM, "-static", "-no-pie").read_bytes())
        is None
    )
