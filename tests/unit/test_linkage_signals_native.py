"""Signs that libraries of macOS and Windows are opened by name, and the verdicts on them."""

from __future__ import annotations

import pytest

from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.library_names import scan_binary, scan_text
from slim.analysis.linkage.verdicts import LibraryJudge, is_candidate
from slim.binaries import read_any_dynamic
from slim.model.record import NativeFormat
from slim.passes.dylibs import UnusedLibraries
from tests.support.linked_elf import linked_stack, record_of
from tests.support.native_headers import macho, pe
from tests.support.pass_runs import findings, propose, rule
from tests.support.virtual_stacks import SITE, Contents, Link

P = f"{SITE}/p"
LOADS = "import ctypes\n{}\n"


def wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def verdicts(files: dict[str, Contents], platform: str) -> dict[str, str]:
    made = linked_stack({"framework-a": files}, platform=platform)
    linkage = Linkage.build(made.stack, made.inventory, made.read)
    found = LibraryJudge.build(linkage, made.read).verdicts()
    return {key[1].rpartition("/")[2]: verdict.status.value for key, verdict in found.items()}


@pytest.mark.parametrize(
    ("native", "data", "expected"),
    [
        (NativeFormat.MACHO, b"\0@rpath/libfoo.1.dylib\0", ["libfoo.1.dylib"]),
        (NativeFormat.MACHO, b"\0lib/libbar.so\0", ["libbar.so"]),
        (NativeFormat.MACHO, b"\0foo.dll\0", []),
        (NativeFormat.PE, b"\0C:\\x\\Foo-1.DLL\0", ["Foo-1.DLL"]),
        (NativeFormat.PE, b"\0libfoo.dylib\0", []),
        (NativeFormat.PE, b"\0\0" + wide("folder\\Wide.dll"), ["Wide.dll"]),
        (NativeFormat.PE, b"odd" + wide("Odd.dll"), ["Odd.dll"]),
        (NativeFormat.PE, wide("caf\u4e2d.dll"), []),
        (NativeFormat.ELF, b"\0libfoo.dylib\0libfoo.so.1\0", ["libfoo.so.1"]),
    ],
)
def test_words_in_native_files(native: NativeFormat, data: bytes, expected: list[str]) -> None:
    assert [mention.text for mention in scan_binary(memoryview(data), native)] == expected


def test_words_in_text() -> None:
    found = [
        (one.text, one.line)
        for one in scan_text(b"x\nlib/libfoo.dylib bar.dll\nBAZ.DLL a.dllx b.sort c.so.1\n")
    ]
    assert found == [("libfoo.dylib", 2), ("bar.dll", 2), ("BAZ.DLL", 3), ("c.so.1", 3)]


MACOS: list[tuple[str, dict[str, Contents], str]] = [
    ("nothing", {}, "none"),
    (
        "linked",
        {f"{P}/m.so": macho("@loader_path/libfoo.1.dylib", kind="bundle", inits=("PyInit_m",))},
        "linked",
    ),
    (
        "weakly linked",
        {f"{P}/m.so": macho("weak @loader_path/libfoo.1.dylib", inits=("PyInit_m",))},
        "linked",
    ),
    (
        "through a link",
        {
            f"{P}/m.so": macho("@loader_path/libfoo.dylib", inits=("PyInit_m",)),
            f"{P}/libfoo.dylib": Link("libfoo.1.dylib"),
        },
        "linked",
    ),
    (
        "opened by its name",
        {f"{P}/a.py": LOADS.format("ctypes.CDLL('libfoo.1.dylib')")},
        "signalled",
    ),
    (
        "opened by its stem",
        {f"{P}/a.py": LOADS.format("ctypes.util.find_library('foo')")},
        "signalled",
    ),
    (
        "named by a native file",
        {f"{P}/m.so": macho(inits=("PyInit_m",), strings=("libfoo.1.dylib",))},
        "signalled",
    ),
    ("a prefix", {f"{P}/a.py": LOADS.format("n = 'libfoo.' + v\nctypes.CDLL(n)")}, "weak"),
    ("a pattern", {f"{P}/a.py": LOADS.format("ctypes.CDLL(f'{x}foo.{v}.dylib')")}, "weak"),
    ("data", {f"{P}/a.json": '{"lib": "libfoo.1.dylib"}'}, "weak"),
]


@pytest.mark.parametrize(
    ("files", "status"), [case[1:] for case in MACOS], ids=[case[0] for case in MACOS]
)
def test_a_library_of_macos(files: dict[str, Contents], status: str) -> None:
    found = verdicts(
        {f"{P}/libfoo.1.dylib": macho(name="@rpath/libfoo.1.dylib"), **files}, "macosx_arm64"
    )
    assert found["libfoo.1.dylib"] == status


WINDOWS: list[tuple[str, dict[str, Contents], str]] = [
    ("nothing", {}, "none"),
    ("imported", {f"{P}/m.pyd": pe("FOO_AVX500_64.DLL")}, "linked"),
    ("imported late", {f"{P}/m.pyd": pe(delayed=("foo_avx500_64.dll",))}, "linked"),
    ("imported from another folder", {"x/m.pyd": pe("Foo_avx500_64.dll")}, "linked"),
    ("forwarded to", {f"{P}/m.pyd": pe(forwards=("Foo_avx500_64.f",))}, "linked"),
    (
        "opened by its name",
        {f"{P}/a.py": LOADS.format("ctypes.WinDLL(here + '\\\\Foo_AVX500_64.dll')")},
        "signalled",
    ),
    (
        "opened without its suffix",
        {f"{P}/a.py": LOADS.format("ctypes.CDLL('foo_avx500_64')")},
        "signalled",
    ),
    ("named in UTF-16", {f"{P}/m.pyd": pe(strings=(wide("foo_avx500_64.dll"),))}, "signalled"),
    ("known by its end", {f"{P}/m.pyd": pe(strings=("500_64.dll",))}, "weak"),
    ("an end too short to mean anything", {f"{P}/m.pyd": pe(strings=("64.dll",))}, "none"),
]


@pytest.mark.parametrize(
    ("files", "status"), [case[1:] for case in WINDOWS], ids=[case[0] for case in WINDOWS]
)
def test_a_library_of_windows(files: dict[str, Contents], status: str) -> None:
    assert (
        verdicts({f"{P}/Foo_avx500_64.dll": pe(), **files}, "win_amd64")["Foo_avx500_64.dll"]
        == status
    )


@pytest.mark.parametrize(
    ("path", "data", "candidate"),
    [
        ("p/libx.dylib", macho(), True),
        ("p/Qt.framework/Versions/A/Qt", macho(), True),
        ("p/m.so", macho(kind="bundle", inits=("PyInit_m",)), False),
        ("p/m.abi3.so", macho(kind="dylib"), False),
        ("p/m.cpython-313-darwin.so", macho(kind="bundle"), False),
        ("bin/tool", macho(kind="executable"), False),
        ("p/x.dll", pe(), True),
        ("p/m.pyd", pe(exports=("PyInit_m",)), False),
        ("p/m.dll", pe(exports=("PyInit_m",)), False),
        ("p/x.exe", pe(dll=False), False),
    ],
)
def test_candidates(path: str, data: bytes, candidate: bool) -> None:
    made = linked_stack({"plain": {path: data}}, platform="macosx_arm64")
    assert (
        is_candidate(record_of(made.inventory, f"plain/{path}"), read_any_dynamic(data))
        is candidate
    )


def test_what_nothing_uses_goes_with_its_links_and_what_is_used_stays() -> None:
    files: dict[str, Contents] = {
        f"{P}/m.so": macho(
            "@rpath/libused.dylib",
            kind="bundle",
            inits=("PyInit_m",),
            rpaths=("@loader_path/.dylibs",),
        ),
        f"{P}/.dylibs/libused.dylib": macho("@loader_path/libdeep.dylib"),
        f"{P}/.dylibs/libdeep.dylib": macho(),
        f"{P}/.dylibs/libidle.dylib": macho("@loader_path/libdeep.dylib"),
        "share/venv/dynlib/libidle.dylib": Link(f"../../../{P}/.dylibs/libidle.dylib"),
        "share/venv/dynlib/libused.dylib": Link(f"../../../{P}/.dylibs/libused.dylib"),
    }
    made = linked_stack({"framework-a": files}, platform="macosx_arm64")
    assert sorted(findings(propose(UnusedLibraries(), made, rule("dylibs")))) == [
        f"framework-a/{P}/.dylibs/libidle.dylib",
        "framework-a/share/venv/dynlib/libidle.dylib",
    ]
