"""The library graph against the dynamic linker of this machine, over libraries compiled here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.verdicts import LibraryJudge
from slim.binaries.elf.edit import read_dynamic
from slim.model.record import FileRecord, NativeFormat
from tests.support.virtual_stacks import Contents, HardLink, Link, VirtualStack, make_stack

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="compares with ld.so of Linux"),
    pytest.mark.skipif(
        shutil.which("gcc") is None, reason="gcc isn't installed: no libraries to compare with"
    ),
]

# deployed path, soname, what it links (deployed paths), linker flags
PLAIN = "-Wl,--disable-new-dtags"
NEW = "-Wl,--enable-new-dtags"
LIBRARIES: list[tuple[str, str, list[str], list[str]]] = [
    ("framework-a/f/libs/libdeep.so.2", "libdeep.so.2", [], []),
    ("framework-a/f/libs/libmid.so.1", "libmid.so.1", ["framework-a/f/libs/libdeep.so.2"], []),
    (
        "framework-a/f/libs/libown.so",
        "libown.so",
        ["framework-a/f/libs/libdeep.so.2"],
        [NEW, "-Wl,-rpath,$ORIGIN"],
    ),
    ("framework-a/f/libs/libunused.so", "libunused.so", ["framework-a/f/libs/libdeep.so.2"], [NEW]),
    ("framework-a/other/libdeep.so.2", "libdeep.so.2", [], []),
    ("framework-a/pub/libpub.so", "libpub.so", [], []),
    # RPATH passes on to what libmid needs; RUNPATH doesn't.
    (
        "framework-a/f/rpath.so",
        "",
        ["framework-a/f/libs/libmid.so.1"],
        [PLAIN, "-Wl,-rpath,$ORIGIN/libs"],
    ),
    (
        "framework-a/f/runpath.so",
        "",
        ["framework-a/f/libs/libown.so"],
        [NEW, "-Wl,-rpath,${ORIGIN}/libs"],
    ),
    (
        "framework-a/f/lost.so",
        "",
        ["framework-a/f/libs/libmid.so.1"],
        [NEW, "-Wl,-rpath,$ORIGIN/libs"],
    ),
    # The library path of the wrapper, and what wins over it.
    ("app-b/p/path.so", "", ["framework-a/pub/libpub.so"], [NEW]),
    ("app-b/p/libpub.so", "libpub.so", [], []),
    ("app-b/p/first.so", "", ["framework-a/pub/libpub.so"], [PLAIN, "-Wl,-rpath,$ORIGIN"]),
    ("app-b/p/second.so", "", ["framework-a/pub/libpub.so"], [NEW, "-Wl,-rpath,$ORIGIN"]),
    (
        "app-b/p/sibling.so",
        "",
        ["framework-a/pub/libpub.so"],
        [NEW, "-Wl,-rpath,$ORIGIN/../../framework-a/pub"],
    ),
    # Through links, and two ways to one file.
    ("app-b/v/libver.so.1.2.3", "libver.so.1", [], []),
    ("app-b/v/ver.so", "", ["app-b/v/libver.so.1.2.3"], [NEW, "-Wl,-rpath,$ORIGIN/alias"]),
    (
        "app-b/v/both.so",
        "",
        ["app-b/v/libver.so.1.2.3", "framework-a/f/libs/libdeep.so.2"],
        [NEW, "-Wl,-rpath,$ORIGIN"],
    ),
]
LINKS: dict[str, str] = {
    "framework-a/share/venv/dynlib/libpub.so": "../../../pub/libpub.so",
    "framework-a/share/venv/dynlib/libown.so": "../../../f/libs/libown.so",
    "app-b/v/libver.so.1": "libver.so.1.2.3",
    "app-b/v/alias": ".",
}


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VirtualStack]:
    """The libraries on disk, and the same as a stack of two layers."""
    root = tmp_path_factory.mktemp("deployed").resolve()
    files: dict[str, dict[str, Contents]] = {"framework-a": {}, "app-b": {}}
    for path, soname, needs, flags in LIBRARIES:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        named = [f"-Wl,-soname,{soname}"] if soname else []
        links = [str(root / need) for need in needs]
        command = [
            "gcc",
            "-shared",
            "-nostdlib",
            "-x",
            "c",
            "/dev/null",
            "-x",
            "none",
            "-o",
            str(target),
        ]
        subprocess.run(
            [*command, "-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", *named, *flags, *links],
            check=True,
        )
    for path, content in LINKS.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(content)
    for path in [*(library[0] for library in LIBRARIES), *LINKS]:
        layer, _, inner = path.partition("/")
        files[layer][inner] = Link(LINKS[path]) if path in LINKS else (root / path).read_bytes()
    made = make_stack(files)
    layers = tuple(
        replace(layer, dynlib_dirs=tuple(f"{name}/share/venv/dynlib" for name in layer.requires))
        for layer in made.stack
    )
    return root, VirtualStack(replace(made.stack, layers=layers), made.inventory, made.read)


def real(root: Path, record: FileRecord, library_path: tuple[str, ...]) -> dict[str, str]:
    """What ld.so gives each name, for the whole tree below a file: deployed paths."""
    environment = {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}
    environment.pop("LD_LIBRARY_PATH", None)
    if library_path:
        environment["LD_LIBRARY_PATH"] = ":".join(str(root / folder) for folder in library_path)
    loader = next(
        iter(
            sorted(Path("/lib64").glob("ld-linux-*.so.*"))
            or sorted(Path("/lib").glob("ld-linux-*.so.*"))
        )
    )
    done = subprocess.run(
        [str(loader), str(root / record.deployed_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict(
        re.findall(r"^\s*(\S+) => (/.*?)(?: \(0x[0-9a-f]+\))?$", done.stdout, re.MULTILINE)
    )
    assert done.stdout or "statically" in done.stderr, done.stderr
    return {name: str(Path(path).resolve().relative_to(root)) for name, path in found.items()}


def test_resolution_is_that_of_the_dynamic_linker(deployed: tuple[Path, VirtualStack]) -> None:
    root, made = deployed
    linkage = Linkage.build(made.stack, made.inventory, made.read)
    compared = 0
    for process in linkage.processes:
        loader = linkage.loader(NativeFormat.ELF, process)
        for layer, path in sorted(linkage.dynamics):
            if layer not in process.layers:
                continue
            record = made.inventory.records[layer][path]
            mine = {
                edge.name: edge.target.deployed_path
                for edge in loader.load(record, record.deployed_path)
                if edge.target is not None
            }
            assert mine == real(root, record, process.library_path), (
                process.layer,
                record.deployed_path,
            )
            compared += len(mine)
    assert compared > 15


def test_what_the_real_libraries_come_to(deployed: tuple[Path, VirtualStack]) -> None:
    _, made = deployed
    linkage = Linkage.build(made.stack, made.inventory, made.read)
    verdicts = LibraryJudge.build(linkage, made.read).verdicts()
    status = {verdict.record.deployed_path: verdict.status.value for verdict in verdicts.values()}
    assert status["framework-a/f/libs/libunused.so"] == "none"
    # Nothing finds the second libdeep, but one process asks for its name in vain, and a loaded one
    # would answer.
    assert [path for path, word in status.items() if word != "linked"] == [
        "framework-a/f/libs/libunused.so"
    ]


def test_only_what_is_unresolved_asks_for_sonames(deployed: tuple[Path, VirtualStack]) -> None:
    _, made = deployed
    linkage = Linkage.build(made.stack, made.inventory, made.read)
    hows = {
        path: {
            item.found_by.value for item in linkage.needed(made.inventory.by_deployed_path[path])
        }
        for path in (
            "framework-a/f/libs/libmid.so.1",
            "app-b/p/second.so",
            "app-b/p/first.so",
            "app-b/v/both.so",
        )
    }
    assert hows == {
        "framework-a/f/libs/libmid.so.1": {"rpath", "soname"},
        "app-b/p/second.so": {"library-path"},
        "app-b/p/first.so": {"rpath"},
        "app-b/v/both.so": {"runpath", "soname"},
    }


def test_extension_modules_are_told_from_libraries(tmp_path: Path) -> None:
    """By what they export, whatever they are called and wherever they lie."""
    source = tmp_path / "m.c"
    built = {}
    for name, symbol in (
        ("libmod", "PyInit_libmod"),
        ("libplain", "PyInit_other"),
        ("libnone", "answer"),
    ):
        source.write_text(f"int {symbol}(void) {{ return 42; }}\n")
        subprocess.run(
            ["gcc", "-shared", "-o", str(tmp_path / f"{name}.so"), str(source)], check=True
        )
        built[f"p/{name}.so"] = (tmp_path / f"{name}.so").read_bytes()
    dynamic = read_dynamic(memoryview(built["p/libmod.so"]))
    assert dynamic is not None and dynamic.python_inits == {"PyInit_libmod"}
    made = make_stack({"plain": {**built, "q/same.so": HardLink("p/libnone.so")}})
    judge = LibraryJudge.build(Linkage.build(made.stack, made.inventory, made.read), made.read)
    assert [path for _, path in judge.candidates] == ["p/libnone.so", "p/libplain.so"]
