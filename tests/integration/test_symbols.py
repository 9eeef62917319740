"""Symbols of stripped files: debuggers find them where they look, and read them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slim.binaries.elf.debugfile import DebugFile, build_id, debug_file
from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.binaries.macho.debugfile import symbol_files, uuid_path, uuids
from slim.binaries.pe.pdb import pdb_key
from slim.cli import main
from slim.config.load import load_config
from slim.errors import ConfigError, StorageError, UnsafeInputError
from slim.formats.base import BytesContent
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.symbols.cab import cab_file
from tests.support import macho_files as machos
from tests.support.backup_runs import pdb
from tests.support.published_stacks import SITE, LayerSpec, distribution, publish

SOURCE = """
struct pair { int left; double right; };
static int helper(struct pair *p, int n) { int s = 0; while (n--) s += p[n].left; return s; }
int answer(int n) {
    struct pair p[2] = {{n, 1}, {2, 2}};
    return helper(p, 2) + 40;
}
"""
NOTHING = "No line number information"


ANSWER = "_answer.cpython-313-x86_64-linux-gnu.so"


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} isn't installed")


def output(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    need("gcc")
    folder = tmp_path_factory.mktemp("libraries")
    (folder / "answer.c").write_text(SOURCE)
    found = {}
    for name, options in (
        ("with-id", ["-Wl,--build-id"]),
        ("without-id", ["-Wl,--build-id=none"]),
        ("compressed", ["-Wl,--build-id", "-gz"]),
        ("many-notes", ["-Wl,--build-id", "-fcf-protection=full"]),
    ):
        found[name] = folder / f"{name}.so"
        command = ["gcc", "-g", "-O0", "-shared", "-fPIC", *options, "-o", found[name], "answer.c"]
        subprocess.run(command, cwd=folder, check=True)
    return found


def slim(source: Path, output: Path, symbols: Path, **more: Any) -> Any:
    (result,) = run(
        RunRequest(
            source=source, output=output, config=load_config(SCHEMAS), symbols=symbols, **more
        )
    )
    return result


def stack(
    folder: Path, files: Mapping[str, bytes | str], *, platform: str = "linux_x86_64"
) -> Path:
    site = "Lib/site-packages" if platform.startswith("win") else SITE
    named = {f"native/{name}": data for name, data in files.items()}
    owned = distribution("native", {"native/__init__.py": "", **named})
    moved = {path.replace(SITE, site): data for path, data in owned.items()}
    publish(folder, {"python": LayerSpec("runtime", moved)}, platform=platform)
    return folder


def unpacked(archive: Path, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return folder / "python" / SITE / "native"


def rows(folder: Path) -> list[dict[str, Any]]:
    document = json.loads((folder / "index.json").read_text())
    assert document["schema"] == "urn:slim:symbols:v1"
    found: list[dict[str, Any]] = document["files"]
    for row in found:
        assert (folder / row["file"]).stat().st_size == row["size"]
    return found


# Debuggers


def test_gdb_finds_the_debug_file_of_a_stripped_library(
    libraries: dict[str, Path], tmp_path: Path
) -> None:
    need("gdb")
    source = stack(tmp_path / "_artifacts", {ANSWER: libraries["with-id"].read_bytes()})
    result = slim(source, tmp_path / "_slim", tmp_path / "symbols")
    (row,) = rows(tmp_path / "symbols")
    identity = build_id(libraries["with-id"].read_bytes())
    assert identity
    assert (row["id"], row["file"]) == (identity, f".build-id/{identity[:2]}/{identity[2:]}.debug")
    assert (result.symbols.files, result.symbols.size) == (1, row["size"])
    library = unpacked(tmp_path / "_slim" / "python.tar.xz", tmp_path / "deployed") / ANSWER
    assert row["stripped"]["sha256"] == hashlib.sha256(library.read_bytes()).hexdigest()
    ask = [
        "-ex",
        f"file {library}",
        "-ex",
        "info line answer",
        "-ex",
        "info scope answer",
        "-ex",
        "info line helper",
    ]
    without = output("gdb", "-nx", "-batch", *ask)
    assert NOTHING in without
    printed = output(
        "gdb", "-nx", "-batch", "-ex", f"set debug-file-directory {tmp_path / 'symbols'}", *ask
    )
    assert 'Line 4 of "answer.c" starts at address' in printed
    assert 'Line 3 of "answer.c" starts at address' in printed
    assert "Scope for answer:\nSymbol n is" in printed
    assert NOTHING not in printed


def test_gdb_reads_the_file_of_a_library_without_build_id(
    libraries: dict[str, Path], tmp_path: Path
) -> None:
    need("gdb")
    source = stack(tmp_path / "_artifacts", {ANSWER: libraries["without-id"].read_bytes()})
    slim(source, tmp_path / "_slim", tmp_path / "symbols")
    (row,) = rows(tmp_path / "symbols")
    library = unpacked(tmp_path / "_slim" / "python.tar.xz", tmp_path / "deployed") / ANSWER
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    assert (row["id"], row["file"]) == (None, f"by-sha256/{digest[:2]}/{digest[2:]}.debug")
    printed = output(
        "gdb", "-nx", "-batch", "-ex", f"file {library}",
        "-ex", f"symbol-file {tmp_path / 'symbols' / row['file']}", "-ex", "info line answer",
    )  # fmt: skip
    assert 'Line 4 of "answer.c" starts at address' in printed
    add = f"add-symbol-file {tmp_path / 'symbols' / row['file']} -o 0x7f0000000000"
    add = f"add-symbol-file {tmp_path / 'symbols' / row['file']} -o 0x7f0000000000"
    moved = output("gdb", "-nx", "-batch", "-ex", add, "-ex", "info line answer")
    assert "starts at address 0x7f00000" in moved


@pytest.mark.parametrize("name", ["with-id", "without-id", "compressed", "many-notes"])
def test_other_tools_accept_a_debug_file(
    libraries: dict[str, Path], tmp_path: Path, name: str
) -> None:
    need("readelf")
    view = memoryview(libraries[name].read_bytes())
    made, edit = debug_file(view), plan_edit(view, "unneeded")
    assert isinstance(made, DebugFile)
    assert isinstance(edit, ElfEdit)
    assert b"".join(made.chunks()) == bytes(made.view())
    assert {name for name, _ in edit.dropped} <= {name for name, _ in made.sections}
    file, stripped = tmp_path / "x.debug", tmp_path / "x.so"
    file.write_bytes(made.view())
    stripped.write_bytes(edit.data())
    done = subprocess.run(
        ["readelf", "-aW", "--debug-dump=info,line,abbrev", file], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "rror" not in done.stderr and "arning" not in done.stderr, done.stderr
    assert "DW_AT_name        : (strp)" in done.stdout or "answer.c" in done.stdout
    before = {
        line.split()[-1]
        for line in output("readelf", "-sW", libraries[name]).splitlines()
        if " FUNC " in line
    }
    after = {
        line.split()[-1] for line in output("readelf", "-sW", file).splitlines() if " FUNC " in line
    }
    assert "helper" in after and after <= before
    if shutil.which("llvm-dwarfdump-19"):
        assert "No errors" in output("llvm-dwarfdump-19", "--verify", file)
    if shutil.which("eu-unstrip"):
        joined = subprocess.run(
            ["eu-unstrip", "-o", tmp_path / "joined.so", stripped, file], check=False
        )
        assert joined.returncode == 0
    if shutil.which("objcopy"):
        other = tmp_path / "other.debug"
        subprocess.run(
            ["objcopy", "--only-keep-debug", "--compress-debug-sections", libraries[name], other],
            check=True,
        )
        assert made.size <= other.stat().st_size * 1.02


def test_llvm_symbolizer_and_lldb(libraries: dict[str, Path], tmp_path: Path) -> None:
    need("llvm-symbolizer-19")
    source = stack(tmp_path / "_artifacts", {ANSWER: libraries["with-id"].read_bytes()})
    slim(source, tmp_path / "_slim", tmp_path / "symbols")
    library = unpacked(tmp_path / "_slim" / "python.tar.xz", tmp_path / "deployed") / ANSWER
    symbol = next(
        line
        for line in output("readelf", "-sW", "--dyn-syms", library).splitlines()
        if " answer" in line
    )
    address = f"0x{symbol.split()[1]}"
    printed = output(
        "llvm-symbolizer-19",
        f"--debug-file-directory={tmp_path / 'symbols'}",
        "-e",
        library,
        address,
    )
    assert "answer.c:4" in printed
    if shutil.which("lldb-19"):
        printed = output(
            "lldb-19",
            "-b",
            "-o",
            f"settings set target.debug-file-search-paths {tmp_path / 'symbols'}",
            "-o",
            f"target create {library}",
            "-o",
            "image lookup -v -n answer",
        )
        assert "answer.c:4" in printed


def _damages(data: bytes) -> list[bytes]:
    import random

    chosen = random.Random(6)
    found = [data[:size] for size in (0, 4, 16, 63, 64, 200, len(data) // 2)]
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(chosen.randrange(1, 5)):
            broken[chosen.randrange(min(len(broken), chosen.choice((64, 1000, len(broken)))))] = (
                chosen.randrange(256)
            )
        found.append(bytes(broken))
    return found


def test_damaged_files_raise_nothing(libraries: dict[str, Path]) -> None:
    for data in _damages(libraries["with-id"].read_bytes()):
        debug_file(data)
        build_id(data)


@pytest.mark.parametrize(
    ("notes", "wanted"),
    [
        (b"", None),
        (b"\4\0\0\0\2\0\0\0\3\0\0\0GNU\0\xab\xcd\0\0", "abcd"),
        (b"\4\0\0\0\2\0\0\0\3\0\0\0Go\0\0\xab\xcd\0\0", None),
        (b"\4\0\0\0\1\0\0\0\3\0\0\0GNU\0\xab\0\0\0", None),
        (b"\4\0\0\0\x41\0\0\0\3\0\0\0GNU\0" + bytes(80), None),
        (b"\4\0\0\0\xff\xff\xff\xff\1\0\0\0GNU\0\xab\xcd\0\0", None),
        (
            b"\5\0\0\0\1\0\0\0\1\0\0\0abcd\0\0\0\0\7\0\0\0"
            b"\4\0\0\0\2\0\0\0\3\0\0\0GNU\0\xab\xcd\0\0",
            "abcd",
        ),
    ],
)
def test_notes(notes: bytes, wanted: str | None) -> None:
    from slim.binaries.elf import debugfile as elf_debugfile

    assert elf_debugfile._build_id(notes, "<", 4) == wanted


# Mach-O and PDB


_UUID = machos.pattern("uuid", 16)  # what the builder gives every image
UUID = _UUID.hex().upper()
OTHER = "00112233445566778899AABBCCDDEEFF"


def dylib(uuid: str = UUID, machine: str = "arm64") -> bytes:
    text = machos.LIBRARY.replace("arm64 dylib", f"{machine} bundle").replace(
        "signed linker libsample.dylib\n", ""
    )
    return machos.build(text).replace(_UUID, bytes.fromhex(uuid))


def test_uuid_paths() -> None:
    assert uuid_path("F17D3BA3168A3D319847423CCD303605") == "F17D/3BA3/168A/3D31/9847/423CCD303605"


def test_a_symbol_file_has_uuid_symbols_and_sections_and_no_code(tmp_path: Path) -> None:
    need("llvm-objdump-19", "llvm-nm-19")
    (made,) = symbol_files(dylib())
    assert made.uuid == UUID
    assert uuids(made.data) == (UUID,)
    file, original = tmp_path / "x.dsym", tmp_path / "x.dylib"
    file.write_bytes(made.data)
    original.write_bytes(dylib())
    printed = output("llvm-objdump-19", "--macho", "--private-headers", file)
    assert "DSYM" in printed
    assert f"{UUID[:8]}-{UUID[8:12]}-{UUID[12:16]}-{UUID[16:20]}-{UUID[20:]}" in printed
    assert output("llvm-nm-19", "-a", file) == output("llvm-nm-19", "-a", original)
    assert len(made.data) < len(dylib())


def test_symbol_files_of_universal_and_damaged_libraries() -> None:
    both = machos.fat(dylib(), dylib(OTHER, "x86_64"))
    assert [one.uuid for one in symbol_files(both)] == [UUID, OTHER]
    assert uuids(both) == (UUID, OTHER)
    assert symbol_files(machos.build("macho arm64 object\ndefined _a\n")) == ()
    for data in [*_damages(dylib()), *_damages(both)]:
        symbol_files(data)
        uuids(data)


def test_a_mac_stack(tmp_path: Path) -> None:
    (info,) = symbol_files(dylib(OTHER))
    bundle = "_slow.so.dSYM/Contents"
    files: dict[str, bytes | str] = {
        "_fast.cpython-313-darwin.so": dylib(),
        f"{bundle}/Info.plist": "<plist/>",
        f"{bundle}/Resources/DWARF/_slow.so": info.data,
    }
    result = slim(
        stack(tmp_path / "_artifacts", files, platform="macosx_arm64"),
        tmp_path / "_slim",
        tmp_path / "s",
    )
    found = {
        row["path"].rpartition("/")[2]: row
        for row in rows(tmp_path / "s")
        if row["format"] == "dsym"
    }
    assert found["Info.plist"]["file"] == f"dsym/{OTHER}/_slow.so.dSYM/Contents/Info.plist"
    assert (tmp_path / "s" / "uuid" / uuid_path(UUID)).read_bytes() == symbol_files(dylib())[0].data
    link = tmp_path / "s" / "uuid" / uuid_path(OTHER)
    assert link.resolve() == (tmp_path / "s" / found["_slow.so"]["file"]).resolve()
    assert link.read_bytes() == info.data
    assert result.symbols.files == 3


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (pdb(), "0B35564186A0A249896F9988FAE52FF0A"),
        (pdb(dbi_age=None), "0B35564186A0A249896F9988FAE52FF07"),
        (pdb(dbi_age=26), "0B35564186A0A249896F9988FAE52FF01A"),
        (b"HEADER    PROTEIN\n" * 40, None),
        (b"import pdb\n", None),
        (pdb()[:700], None),
        (pdb()[:32], None),
        (pdb()[:32] + b"\0" * 24 + pdb()[56:], None),
    ],
)
def test_keys_of_program_databases(data: bytes, key: str | None) -> None:
    assert pdb_key(data) == key


def test_damaged_databases_raise_nothing() -> None:
    for data in _damages(pdb()):
        pdb_key(data)


def test_llvm_writes_the_same_key(tmp_path: Path) -> None:
    need("llvm-pdbutil-19")
    (tmp_path / "x.yaml").write_text(
        "MSF:\n  SuperBlock:\n    BlockSize: 4096\n"
        "PdbStream:\n  Age: 7\n  Guid: '{0B355641-86A0-A249-896F-9988FAE52FF0}'\n"
        "  Signature: 5\n  Version: VC70\n"
        "DbiStream:\n  VerHeader: V70\n  Age: 10\n"
    )
    subprocess.run(
        ["llvm-pdbutil-19", "yaml2pdb", f"--pdb={tmp_path / 'x.pdb'}", tmp_path / "x.yaml"],
        check=True,
    )
    assert pdb_key((tmp_path / "x.pdb").read_bytes()) == "0B35564186A0A249896F9988FAE52FF0A"


@pytest.mark.parametrize("data", [b"", b"hello\n", bytes(range(256)) * 600, SOURCE.encode() * 900])
def test_cab_files_open_elsewhere(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x.pd_"
    file.write_bytes(b"".join(cab_file(BytesContent(data), "x.pdb")))
    opened = 0
    for command in (["7z", "x", "-so", str(file)], ["bsdtar", "-xOf", str(file)]):
        if shutil.which(command[0]):
            assert subprocess.run(command, capture_output=True, check=True).stdout == data
            opened += 1
    if not opened:
        pytest.skip("neither 7z nor bsdtar is installed")


def test_a_removed_database_is_kept_as_symbol_servers_keep_it(tmp_path: Path) -> None:
    source = stack(
        tmp_path / "_artifacts",
        {"_speed.pdb": pdb(), "protein.pdb": b"HEADER\n" * 99},
        platform="win_amd64",
    )
    slim(source, tmp_path / "_slim", tmp_path / "symbols")
    (row,) = rows(tmp_path / "symbols")
    key = "0B35564186A0A249896F9988FAE52FF0A"
    assert (row["format"], row["id"], row["file"]) == (
        "pdb",
        key,
        f"pdb/_speed.pdb/{key}/_speed.pd_",
    )


# The folder


def test_a_folder_grows(libraries: dict[str, Path], tmp_path: Path) -> None:
    first = stack(tmp_path / "one", {ANSWER: libraries["with-id"].read_bytes()})
    other, same = ANSWER.replace("answer", "other"), ANSWER.replace("answer", "same")
    more = {other: libraries["without-id"].read_bytes(), same: libraries["with-id"].read_bytes()}
    second = stack(tmp_path / "two", more)
    slim(first, tmp_path / "1", tmp_path / "symbols")
    before = (tmp_path / "symbols" / "index.json").read_bytes()
    slim(first, tmp_path / "1", tmp_path / "symbols", force=True)
    assert (tmp_path / "symbols" / "index.json").read_bytes() == before
    slim(second, tmp_path / "2", tmp_path / "symbols")
    found = rows(tmp_path / "symbols")
    assert [row["path"].rpartition("/")[2] for row in found] == [ANSWER, other, same]
    assert len({row["file"] for row in found}) == 2
    assert len(list((tmp_path / "symbols").rglob("*.debug"))) == 2


def test_an_index_that_is_none(libraries: dict[str, Path], tmp_path: Path) -> None:
    source = stack(tmp_path / "_artifacts", {ANSWER: libraries["with-id"].read_bytes()})
    for text in ("{}", "[]", '{"schema": "urn:slim:symbols:v1", "files": [{}]}', "nothing"):
        (tmp_path / "symbols").mkdir(exist_ok=True)
        (tmp_path / "symbols" / "index.json").write_text(text)
        with pytest.raises(UnsafeInputError):
            slim(source, tmp_path / "_slim", tmp_path / "symbols")
        assert not (tmp_path / "_slim").exists()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("_slim/symbols", "lie in the output"),
        ("_artifacts/symbols", "lie in the input"),
        ("file", "isn't a folder"),
    ],
)
def test_where_symbols_may_not_go(tmp_path: Path, place: str, message: str) -> None:
    source = stack(tmp_path / "_artifacts", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        slim(source, tmp_path / "_slim", tmp_path / place)
    assert message in caught.value.message


def test_a_failed_run_publishes_nothing(
    libraries: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise StorageError("No space left on device")

    monkeypatch.setattr("slim.pipeline.stages.write_layers", failing)
    source = stack(tmp_path / "_artifacts", {ANSWER: libraries["with-id"].read_bytes()})
    with pytest.raises(StorageError):
        slim(source, tmp_path / "_slim", tmp_path / "symbols")
    assert [path.name for path in tmp_path.iterdir()] == ["_artifacts"]


def test_reports_tell_of_symbols(
    libraries: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = stack(tmp_path / "_artifacts", {ANSWER: libraries["with-id"].read_bytes()})
    command = [
        "run",
        str(source),
        "-o",
        str(tmp_path / "_slim"),
        "--symbols",
        str(tmp_path / "s"),
        "--no-config",
    ]
    assert main(command) == 0
    assert "symbols  1 file for debuggers" in capsys.readouterr().out
    assert main([*command, "--force", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["runs"][0]["symbols"]["files"] == 1
    assert report["run"]["stacks"][0]["symbols"] == str(tmp_path / "s")
    assert main([*command[:2], "--dry-run", "--symbols", str(tmp_path / "s")]) == 2


def test_the_same_run_gives_the_same_symbols(libraries: dict[str, Path], tmp_path: Path) -> None:
    source = stack(
        tmp_path / "_artifacts",
        {ANSWER.replace("answer", name): path.read_bytes() for name, path in libraries.items()},
    )
    for number in ("1", "2"):
        slim(source, tmp_path / f"out{number}", tmp_path / number)
    files = [
        {
            path.relative_to(tmp_path / n): path.read_bytes()
            for path in (tmp_path / n).rglob("*")
            if path.is_file()
        }
        for n in "12"
    ]
    assert files[0] == files[1]
