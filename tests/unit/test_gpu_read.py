"""The reader of GPU code, on files that are built here byte for byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.binaries.gpu.read import read_gpu_code
from slim.model.gpu import GpuCode, GpuCompression, GpuForm, GpuKind
from tests.support import gpu_files as made

PACKED = made.entry(
    made.PTX, 75, b"p" * 21, flags=0x11 | made.ZSTD, header_size=96, unpacked=90, version=(9, 0)
)


def _read(data: bytes) -> GpuCode:
    found = read_gpu_code(data)
    assert found is not None
    return found


def _told(code: GpuCode) -> list[tuple[str, str, str]]:
    return [(entry.kind, entry.architecture, entry.compression) for entry in code.entries]


@pytest.mark.parametrize("build", [made.elf, made.pe])
def test_entries_of_a_fat_binary(build) -> None:
    first = made.fatbin(made.entry(arch=90, flags=0x11 | made.SPECIFIC), PACKED)
    second = made.fatbin(
        made.entry(arch=100, flags=0x11 | made.FAMILY, header_size=112),
        made.entry(made.LTO, 90, b"l" * 30, flags=0x11 | made.LZ4, unpacked=70),
        made.entry(77, 80),
    )
    data = build(
        [
            (".text", b"t" * 100),
            (".nv_fatbin", first + b"\0" * 8 + second),
            (".nvFatBinSegment", made.wrapper(0x10) + made.wrapper(0x90, 0x800)),
        ]
    )
    code = _read(data)
    assert _told(code) == [
        ("cubin", "sm_90a", "none"),
        ("ptx", "sm_75", "zstd"),
        ("cubin", "sm_100f", "none"),
        ("lto-ir", "sm_90", "lz4"),
        ("other", "sm_80", "none"),
    ]
    assert not code.damage
    assert [(wrapper.version, wrapper.pointer, wrapper.linked) for wrapper in code.wrappers] == [
        (1, 0x10, 0),
        (2, 0x90, 0x800),
    ]
    one, two = code.containers
    assert data[one.offset : one.end] == first
    assert data[two.offset : two.end] == second
    packed = one.entries[1]
    assert data[packed.payload : packed.payload + packed.stored_size] == b"p" * 21
    assert (packed.padding, packed.size, packed.version) == (3, 90, (9, 0))
    for container in code.containers:
        sizes = sum(entry.bytes_in_file for entry in container.entries)
        assert sizes + container.header_size == container.size


def test_relocatable_code_has_a_section_of_its_own() -> None:
    code = _read(made.elf([("__nv_relfatbin", made.fatbin(PACKED))]))
    assert [container.section for container in code.containers] == ["__nv_relfatbin"]


def test_other_bytes_between_containers_are_gaps() -> None:
    one = made.fatbin(made.entry())
    section = b"\0" * 8 + one + b"junk\0\0\0\0" + one + b"end!"
    code = _read(made.elf([(".nv_fatbin", section)]))
    assert len(code.containers) == 2
    (found,) = code.sections
    start = found.offset
    assert found.gaps == ((start + 8 + len(one), 8), (start + len(section) - 4, 4))
    assert not code.damage


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (made.fatbin(made.entry())[:-8], "ends after the end of its section"),
        (struct.pack("<IHHQ", 0xBA55ED50, 2, 16, 0), "version 2"),
        (struct.pack("<IHHQ", 0xBA55ED50, 1, 8, 0), "header 8 bytes"),
        (b"\x50\xed\x55\xba\x01", "cut short"),
        (made.fatbin(made.entry(header_size=64)[:40]), "cut short"),
        (made.fatbin(made.entry(), made.entry()[:-8]), "ends after the end of its fat binary"),
        (made.fatbin(made.entry(payload=b"", flags=made.ZSTD)), "larger than its room"),
    ],
)
def test_damaged_container_is_told_and_the_next_is_read(broken: bytes, reason: str) -> None:
    alone = _read(made.elf([(".nv_fatbin", broken)]))
    assert len(alone.damage) >= 1
    assert reason in alone.damage[0].reason
    assert not alone.containers
    both = _read(made.elf([(".nv_fatbin", broken), ("__nv_relfatbin", made.fatbin(PACKED))]))
    assert _told(both) == [("ptx", "sm_75", "zstd")]
    assert both.damage[0].section == ".nv_fatbin"


def test_section_of_wrappers_with_other_bytes_is_damage() -> None:
    data = made.elf([(".nvFatBinSegment", made.wrapper(8) + b"x" * 24)])
    assert "something else" in _read(data).damage[0].reason


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("method", [0, 1])
def test_bundles(version: int, method: int) -> None:
    codes = [
        ("hipv4-amdgcn-amd-amdhsa--gfx90a:sramecc+:xnack-", b"a" * 500),
        ("hip-amdgcn-amd-amdhsa--gfx9-4-generic", b"b" * 300),
        ("hip-spirv64-amd-amdhsa--amdgcnspirv", b"s" * 40),
    ]
    plain = made.bundle(codes)
    names = [
        ("hsaco", "gfx90a:sramecc+:xnack-"),
        ("hsaco", "gfx9-4-generic"),
        ("spirv", ""),
    ]
    for build in (made.elf, made.pe):
        data = build([(".hip_fatbin", plain.ljust(8192, b"\0") + plain)])
        code = _read(data)
        assert not code.damage
        assert [pair[:2] for pair in _told(code)] == names * 2
        for entry, (_, payload) in zip(code.entries, codes * 2, strict=True):
            assert data[entry.payload : entry.payload + entry.stored_size] == payload
        packed = made.packed_bundle(plain, version, method)
        code = _read(build([(".hip_fatbin", packed)]))
        assert not code.damage
        (container,) = code.containers
        assert (container.form, container.size) == (GpuForm.BUNDLE, len(packed))
        assert container.compression is (GpuCompression.ZSTD if method else GpuCompression.ZLIB)
        assert [pair[:2] for pair in _told(code)] == names
        assert [entry.size for entry in code.entries] == [500, 300, 40]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (made.packed_bundle(b"nothing"), "header is cut short"),
        (made.packed_bundle(made.bundle([]))[:-9], "ends after the end of its section"),
        (made.packed_bundle(made.bundle([])).replace(b"\x28\xb5\x2f\xfd", b"////"), "decompressed"),
        (struct.pack("<4sHH", b"CCOB", 9, 1), "version 9, method 1"),
        (made.bundle([("hip--gfx906", b"x" * 9)])[:-1], "ends after the end of its bundle"),
        (b"__CLANG_OFFLOAD_BUNDLE__" + b"\xff" * 8, "too many entries"),
        (b"__CLANG_OFFLOAD_BUNDLE__\x01", "cut short"),
        (
            b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<4Q", 1, 8, 9, 0),
            "overlaps its bundle's table",
        ),
    ],
)
def test_damaged_bundle(broken: bytes, reason: str) -> None:
    assert reason in _read(made.elf([(".hip_fatbin", broken)])).damage[0].reason


def test_bundle_of_nothing_is_no_endless_loop() -> None:
    empty = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<4Q", 1, 0, 0, 3) + b"abc"
    code = _read(made.elf([(".hip_fatbin", empty)]))
    assert [container.size for container in code.containers] == [len(empty)]


def test_bundle_whose_table_is_too_long_is_refused() -> None:
    """No more than a megabyte is decompressed for it."""
    rows = (struct.pack("<3Q", 0, 0, 1000) + b"x" * 1000) * 4000
    bomb = made.packed_bundle(b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", 4000) + rows)
    assert len(bomb) < 20_000
    assert "cut short" in _read(made.elf([(".hip_fatbin", bomb)])).damage[0].reason


@pytest.mark.parametrize(
    ("data", "kind", "architecture"),
    [
        (made.cubin(0x6005A08), "cubin", "sm_90a"),
        (made.cubin(0x6006400), "cubin", "sm_100"),
        (made.cubin(0x560556, abi=7), "cubin", "sm_86"),
        (made.cubin(0x5A0D5A, abi=7), "cubin", "sm_90a"),
        (made.hsaco("amdgcn-amd-amdhsa--gfx942:xnack-"), "hsaco", "gfx942:xnack-"),
        (made.hsaco("nothing"), "hsaco", ""),
    ],
)
def test_files_that_are_code_themselves(data: bytes, kind: str, architecture: str) -> None:
    (entry,) = _read(data).entries
    assert (entry.kind, entry.architecture, entry.size) == (kind, architecture, len(data))


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"MTLB" + b"x" * 9, GpuKind.METALLIB), (b"\x03\x02\x23\x07" + b"x" * 9, GpuKind.SPIRV)],
)
def test_blocks_of_their_own(data: bytes, kind: GpuKind) -> None:
    (block,) = _read(data).blocks
    assert (block.kind, block.offset, block.size) == (kind, 0, 13)


def test_blocks_in_sections() -> None:
    data = made.elf(
        [("__CLANG_OFFLOAD_BUNDLE__sycl-spir64", b"s" * 7), (".cask_resource", b"c" * 9)]
    )
    told = [(block.kind, block.size) for block in _read(data).blocks]
    assert told == [(GpuKind.SPIRV, 7), (GpuKind.CASK, 9)]


def test_fatbin_and_bundle_as_files() -> None:
    assert _told(_read(made.fatbin(PACKED))) == [("ptx", "sm_75", "zstd")]
    assert _told(_read(made.packed_bundle(made.bundle([("hip--gfx906", b"")])))) == [
        ("hsaco", "gfx906", "zstd")
    ]


@pytest.mark.parametrize(
    "data",
    [b"", b"MZ", b"\x7fELF", b"text", made.elf([(".text", b"x")]), made.pe([(".text", b"")])],
)
def test_files_without_gpu_code(data: bytes) -> None:
    assert read_gpu_code(data) is None


def test_too_many_sections_are_told() -> None:
    code = _read(made.elf([(".nv_fatbin", made.fatbin(PACKED))] * 70))
    assert len(code.sections) == 64
    assert "more sections" in code.damage[0].reason


entries = st.builds(
    made.entry,
    st.sampled_from([1, 2, 8, 16, 64]),
    st.integers(50, 130),
    st.binary(min_size=1, max_size=40),
    flags=st.sampled_from([0x11, 0x8011, 0x2011, 0x108011, 0x200011]),
    header_size=st.sampled_from([64, 72, 96, 112]),
    unpacked=st.integers(0, 1 << 40),
)


@given(st.lists(st.tuples(st.lists(entries, max_size=4), st.integers(0, 3)), max_size=4))
def test_every_byte_of_a_section_is_accounted_for(parts) -> None:
    """Containers with zeros between them: each is found where it is, whole, and nothing else."""
    section = b"".join(made.fatbin(*found) + b"\0" * 8 * gap for found, gap in parts) + b"\0"
    code = _read(made.elf([(".nv_fatbin", section)]))
    assert [len(container.entries) for container in code.containers] == [
        len(found) for found, _ in parts
    ]
    assert not code.damage
    assert code.sections[0].gaps == ()
    covered = sum(container.size for container in code.containers)
    assert covered + 8 * sum(gap for _, gap in parts) + 1 == len(section)
