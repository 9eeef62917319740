"""The pass ``foreign``: native files that can't run where their layer runs."""

from __future__ import annotations

import pytest

from slim.binaries import describe
from slim.model.plan import SkipReason
from slim.model.stack import Platform
from slim.passes.foreign import ForeignFiles, why_foreign
from tests.support.elf_files import build
from tests.support.native_headers import fat, macho, pe
from tests.support.pass_runs import findings, propose, refusals, rule
from tests.support.versioned_elf import versioned
from tests.support.virtual_stacks import Contents, Link, make_stack

LIBRARIES = rule("foreign", "libraries")
PROGRAMS = rule("foreign", "programs", options={"foreign": "programs"})


def elf(machine: str = "x86_64", kind: str = "shared", bits: int = 64) -> bytes:
    """A library without a dynamic section: headers tell all that the pass asks."""
    text = (
        f"elf {bits} little {machine} {kind}\nload 0x10000 align 0x1000\n"
        "section .text progbits 200 alloc\nend\n"
    )
    return build(text)


@pytest.mark.parametrize(
    ("platform", "data", "expected"),
    [
        ("linux_x86_64", elf(), None),
        ("linux_x86_64", elf("aarch64"), "ELF for linux on aarch64, in a layer for linux_x86_64"),
        ("linux_aarch64", elf("aarch64"), None),
        ("linux_armv7l", elf("arm", bits=32), None),
        (
            "linux_x86_64",
            macho(machine="x86_64"),
            "Mach-O for macos on x86_64, in a layer for linux_x86_64",
        ),
        ("macosx_arm64", macho(), None),
        (
            "macosx_arm64",
            macho(machine="x86_64"),
            "Mach-O for macos on x86_64, in a layer for macosx_arm64",
        ),
        ("macosx_arm64", fat(macho(machine="x86_64"), macho()), None),
        ("macosx_universal2", macho(machine="x86_64"), None),
        ("macosx_arm64", elf("aarch64"), "ELF for linux on aarch64, in a layer for macosx_arm64"),
        ("macosx_arm64", pe(), "PE for windows on x86_64, in a layer for macosx_arm64"),
        ("win_amd64", pe(), None),
        ("win_amd64", pe(machine="aarch64"), "PE for windows on aarch64, in a layer for win_amd64"),
        ("win_arm64", pe(machine="aarch64"), None),
    ],
)
def test_what_is_foreign_where(platform: str, data: bytes, expected: str | None) -> None:
    info = describe(data)
    assert info is not None
    assert why_foreign(info, Platform.parse(platform)) == expected


@pytest.mark.parametrize("platform", ["linux_x86_64", "linux_aarch64", "macosx_arm64", "win_arm64"])
@pytest.mark.parametrize("machine", ["i686", "x86_64"])
def test_a_dotnet_assembly_is_at_home_everywhere(platform: str, machine: str) -> None:
    info = describe(pe(machine=machine, clr=True))
    assert info is not None
    assert why_foreign(info, Platform.parse(platform)) is None


def test_what_programs_read_or_send_is_not_foreign() -> None:
    """UEFI images, libraries for phones, libraries under a name that no loader opens."""
    phone = versioned(needed=["libc.so"], machine="aarch64")
    files: dict[str, Contents] = {
        "lib/stub.efi": pe(environment=10),
        "lib/driver.dll": pe(environment=11),
        "lib/payload.bin": pe(),
        "lib/arm64-v8a/agent.so": phone,
        "lib/other.dll": pe(),
        "lib/libx.so.1.2": elf("aarch64"),
        "lib/x.cpython-313-aarch64-linux-gnu.so": elf("aarch64"),
    }
    made = make_stack({"app-x": files}, platform="linux_x86_64")
    assert sorted(findings(propose(ForeignFiles(), made, LIBRARIES))) == [
        "app-x/lib/libx.so.1.2",
        "app-x/lib/other.dll",
        "app-x/lib/x.cpython-313-aarch64-linux-gnu.so",
    ]


def test_add_ons_of_node_are_foreign_on_another_system_only() -> None:
    """On its own, a Node for another machine may come along, or run by translation."""
    files: dict[str, Contents] = {
        "p/darwin/x64/keytar.node": macho(machine="x86_64"),
        "p/win32/x64/keytar.node": pe(),
        "p/linux/x64/keytar.node": elf(),
        "p/linux/arm64/keytar.node": elf("aarch64"),
    }
    made = make_stack({"app-x": files}, platform="linux_x86_64")
    assert sorted(findings(propose(ForeignFiles(), made, LIBRARIES))) == [
        "app-x/p/darwin/x64/keytar.node",
        "app-x/p/win32/x64/keytar.node",
    ]


def test_device_code_is_nobodys() -> None:
    """ELF with a machine that slim doesn't know: CUDA, eBPF and AMD GPU code, for a driver."""
    gpu = bytearray(elf())
    gpu[18:20] = (190).to_bytes(2, "little")
    info = describe(bytes(gpu))
    assert info is not None
    assert why_foreign(info, Platform.parse("macosx_arm64")) is None


FILES: dict[str, Contents] = {
    "lib/own.dylib": macho(),
    "lib/old.dylib": macho(machine="x86_64"),
    "lib/both.dylib": fat(macho(machine="x86_64"), macho()),
    "lib/linux.so": elf("aarch64"),
    "lib/windows.dll": pe(),
    "bin/helper.exe": pe(dll=False),
    "bin/link.exe": Link("helper.exe"),
    "lib/data.txt": "MZ",
}


def test_libraries_and_programs_have_rules_of_their_own() -> None:
    made = make_stack({"app-x": FILES}, platform="macosx_arm64")
    libraries = findings(propose(ForeignFiles(), made, LIBRARIES))
    assert sorted(libraries) == [
        "app-x/lib/linux.so",
        "app-x/lib/old.dylib",
        "app-x/lib/windows.dll",
    ]
    (evidence,) = libraries["app-x/lib/old.dylib"].evidence
    assert (evidence.kind, evidence.text) == (
        "foreign",
        "Mach-O for macos on x86_64, in a layer for macosx_arm64",
    )
    programs = findings(propose(ForeignFiles(), made, PROGRAMS))
    assert sorted(programs) == ["app-x/bin/helper.exe", "app-x/bin/link.exe"]
    assert programs["app-x/bin/link.exe"].evidence[0].text == "leads to a foreign file"
    assert len(propose(ForeignFiles(), made, LIBRARIES, PROGRAMS)) == 5


def test_a_layer_of_an_unknown_platform_has_nothing_foreign() -> None:
    assert (
        propose(ForeignFiles(), make_stack({"app-x": FILES}, platform="any"), LIBRARIES, PROGRAMS)
        == []
    )


def test_what_is_gone_already_is_not_proposed_again() -> None:
    made = make_stack({"app-x": FILES}, platform="macosx_arm64")
    gone = frozenset({("app-x", "lib/old.dylib")})
    assert "app-x/lib/old.dylib" not in findings(
        propose(ForeignFiles(), made, LIBRARIES, gone=gone)
    )


def test_a_foreign_library_stays_as_long_as_a_foreign_program_needs_it() -> None:
    files: dict[str, Contents] = {
        "p/tool": macho("@loader_path/liba.dylib", machine="x86_64", kind="executable"),
        "p/liba.dylib": macho("@loader_path/libb.dylib", machine="x86_64"),
        "p/libb.dylib": macho(machine="x86_64"),
        "p/libfree.dylib": macho(machine="x86_64"),
    }
    made = make_stack({"app-x": files}, platform="macosx_arm64")
    found = propose(ForeignFiles(), made, LIBRARIES)
    assert sorted(findings(found)) == ["app-x/p/libfree.dylib"]
    held = refusals(found)
    assert {path: one.evidence[-1].file for path, one in held.items()} == {
        "app-x/p/liba.dylib": "app-x/p/tool",
        "app-x/p/libb.dylib": "app-x/p/liba.dylib",
    }
    assert {one.reason for one in held.values()} == {SkipReason.LINKED}
    assert sorted(findings(propose(ForeignFiles(), made, LIBRARIES, PROGRAMS))) == sorted(
        f"app-x/{path}" for path in files
    )


def test_a_foreign_file_that_is_held_keeps_what_it_needs() -> None:
    files: dict[str, Contents] = {
        "p/liba.dylib": macho("@loader_path/libb.dylib", machine="x86_64"),
        "p/libb.dylib": macho(machine="x86_64"),
    }
    made = make_stack({"app-x": files}, platform="macosx_arm64")
    found = propose(
        ForeignFiles(), made, LIBRARIES, held=lambda record: record.path == "p/liba.dylib"
    )
    assert sorted(refusals(found)) == ["app-x/p/libb.dylib"]
