"""Stacks that somebody signed after slimming: signatures are told apart from other changes."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path

import pytest

from slim.cli import main
from slim.model.record import NativeFormat
from slim.passes import EDITORS
from slim.verification.native.macho import check, check_layout
from slim.verification.native.macho_image import Image
from slim.verification.native.signed import is_signed, unsigned
from tests.support.macho_files import LIBRARY, build, fat
from tests.support.native_headers import pe

BARE = "\n".join(line for line in LIBRARY.splitlines() if not line.startswith("signed"))
INTEL = BARE.replace("arm64", "x86_64")
SITE = "lib/python3.13/site-packages"


def signed(text: str, kind: str = "identity") -> bytes:
    return build(f"{text}\nsigned {kind} com.example\n")


def edited(data: bytes) -> bytes:
    return EDITORS["macho-symbols"].edit(memoryview(data), {"level": "unneeded"}).whole(data)


def signed_again(data: bytes) -> bytes:
    """A signed file with another, longer signature, as ``codesign --force`` leaves it."""
    image = Image(memoryview(data))
    (row,) = (one for one in image.commands if one.kind == 0x1D)
    begin = row.numbers(8, 1)[0]
    made = bytearray(data[:begin] + b"signature of a certificate".ljust(0x5000, b"."))
    struct.pack_into("<I", made, row.at + 12, 0x5000)
    size = len(made) - image.linkedit.start
    struct.pack_into("<Q", made, image.linkedit.at + 32, -(-size // 0x4000) * 0x4000)
    struct.pack_into("<Q", made, image.linkedit.at + 48, size)
    return bytes(made)


def signed_pe(data: bytes) -> bytes:
    """A PE file with certificates as signers append them, and another checksum."""
    body = data + bytes(-len(data) % 8)
    at = struct.unpack_from("<I", data, 0x3C)[0] + 24
    made = bytearray(body + struct.pack("<IHH", 16, 0x200, 2) + b"PKCS #7.")
    struct.pack_into("<I", made, at + 64, 0xBEEF)
    struct.pack_into("<2I", made, at + 112 + 8 * 4, len(body), 16)
    return bytes(made)


WINDOWS = pe("kernel32.dll") + b"overlay"
PAIRS: dict[str, tuple[bytes, bytes, NativeFormat]] = {
    "a first signature": (build(INTEL), signed(INTEL), NativeFormat.MACHO),
    "instead of the linker's": (signed(BARE, "linker"), signed(BARE), NativeFormat.MACHO),
    "instead of one with 8 bytes": (signed(BARE, "linker8"), signed(BARE), NativeFormat.MACHO),
    "with two digests": (signed(BARE, "linker"), signed(BARE, "twice"), NativeFormat.MACHO),
    "of a universal file": (
        fat(build(INTEL), signed(BARE, "linker")),
        fat(signed(INTEL), signed(BARE)),
        NativeFormat.MACHO,
    ),
    "of a Windows file": (WINDOWS, signed_pe(WINDOWS), NativeFormat.PE),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_signature_is_the_only_difference(case: str) -> None:
    before, after, native = PAIRS[case]
    assert before != after
    assert is_signed(memoryview(after), native)
    bare = unsigned(memoryview(before), native)
    assert bare is not None
    assert bare == unsigned(memoryview(after), native)
    changed = bytearray(after)
    changed[0x401 if native == NativeFormat.PE else 0x900] ^= 1
    assert bare != unsigned(memoryview(bytes(changed)), native)


@pytest.mark.parametrize("text", [BARE, INTEL])
def test_a_file_without_its_signature_is_a_sound_file(text: str) -> None:
    bare = unsigned(memoryview(signed(text)), NativeFormat.MACHO)
    assert bare is not None
    assert check_layout(bare) == []
    assert not is_signed(memoryview(bare), NativeFormat.MACHO)
    smaller = unsigned(memoryview(edited(signed(text, "linker"))), NativeFormat.MACHO)
    assert smaller is not None
    assert check(bare, smaller) == []


@pytest.mark.parametrize("data", [b"", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe" + bytes(9)])
@pytest.mark.parametrize("native", [NativeFormat.MACHO, NativeFormat.PE, NativeFormat.ELF, None])
def test_what_can_t_be_read_has_no_signature(data: bytes, native: NativeFormat | None) -> None:
    assert unsigned(memoryview(data), native) is None
    assert not is_signed(memoryview(data), native)


def folder(path: Path, files: dict[str, bytes], record: dict[str, bytes]) -> Path:
    """A plain folder with a distribution; RECORD has the digests of ``record``."""
    site = path / SITE
    (site / "p-1.dist-info").mkdir(parents=True)
    (site / "p").mkdir()
    (site / "p-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: p\nVersion: 1\n")
    rows = ["p-1.dist-info/METADATA,,", "p-1.dist-info/RECORD,,"]
    for name, data in files.items():
        (site / "p" / name).write_bytes(data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(record[name]).digest()).rstrip(b"=")
        rows.append(f"p/{name},sha256={digest.decode()},{len(record[name])}")
    (site / "p-1.dist-info/RECORD").write_text("\n".join(rows) + "\n")
    return path


def verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], after: dict[str, bytes], code: int
) -> dict[str, dict[str, object]]:
    linker = signed(BARE, "linker")
    before = {"a.dylib": linker, "b.dylib": linker, "c.dll": WINDOWS}
    slimmed = before | {"b.dylib": edited(linker)}
    stack = folder(tmp_path / "stack", before, before)
    other = folder(tmp_path / "slim", slimmed | after, slimmed)
    assert main(["verify", str(stack), str(other), "--json"]) == code
    checks = json.loads(capsys.readouterr().out)["runs"][0]["verification"]["checks"]
    return {found["name"]: found for found in checks}


def test_verify_accepts_what_was_signed_after_slimming_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One file was only signed, one slimmed and then signed, one is of Windows."""
    again = signed_again(edited(signed(BARE, "linker")))
    after = {"a.dylib": signed(BARE), "b.dylib": again, "c.dll": signed_pe(WINDOWS)}
    found = verified(tmp_path, capsys, after, 0)
    assert found["edits"]["failures"] == found["record"]["failures"] == []
    assert "signed after slimming, judged without their signatures: 3" in str(
        found["edits"]["note"]
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.dylib", signed(BARE.replace("defined _answer", "defined _question"))),
        ("b.dylib", unsigned(memoryview(signed(BARE)), NativeFormat.MACHO) or b""),
    ],
)
def test_verify_refuses_what_is_more_than_signed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes
) -> None:
    found = verified(tmp_path, capsys, {name: data}, 1)
    assert found["edits"]["failures"]
    assert found["record"]["failures"]
