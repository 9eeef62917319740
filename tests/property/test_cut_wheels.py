"""Random wheels that lose random programs: every reader finds the rest, wherever RECORD lies."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zipimport
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.formats.zip.parse import ZipParser
from slim.passes.embedded_wheels import cut_wheel
from slim.verification.embedded_wheels import check
from tests.support.embedded_wheels import rows_of
from tests.support.raw_archives import ZipMember, zip_file

INFO = "w-1.dist-info"
RECORD = f"{INFO}/RECORD"

_NAMES = st.lists(
    st.text("abö ,", min_size=1, max_size=6).map(lambda name: f"w/{name}"), unique=True, max_size=6
)


@st.composite
def wheels(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes], tuple[str, ...]]:
    """A wheel, its files, and the names of those that go."""
    gone = draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1))
    programs = {f"w/{name}.exe": b"MZ" + draw(st.binary(max_size=3000)) for name in gone}
    files = {name: draw(st.binary(max_size=200)) for name in draw(_NAMES)}
    files |= {"w/__init__.py": b"here = __file__\n", **programs}
    names = draw(st.permutations(sorted(files)))
    rows = "\n".join([*rows_of({name: files[name] for name in names}), f"{RECORD},,", ""])
    place = draw(st.integers(0, len(names)))
    members = []
    for name in [*names[:place], RECORD, *names[place:]]:
        data = rows.encode() if name == RECORD else files[name]
        members.append(
            ZipMember(
                name=name,
                data=data,
                method=draw(st.sampled_from([0, 8])),
                flags=0 if name.isascii() else 0x800,
                descriptor=draw(st.booleans()),
                mode=draw(st.sampled_from([0o100644, 0o100755])),
                extra=draw(st.sampled_from([b"", b"UT\5\0\1\0\0\0\0"])),
            )
        )
    return zip_file(*members), files, tuple(sorted(programs))


def rest(files: Mapping[str, bytes], gone: tuple[str, ...]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name not in gone}


@given(wheels())
@settings(deadline=None)
def test_what_is_left_is_as_it_was(made: tuple[bytes, dict[str, bytes], tuple[str, ...]]) -> None:
    data, files, gone = made
    recipe = cut_wheel(memoryview(data), {"members": gone})
    result = recipe.whole(data)
    assert len(result) == recipe.size
    assert result == cut_wheel(memoryview(data), {"members": gone}).whole(data)
    left = rest(files, gone)
    with zipfile.ZipFile(io.BytesIO(result)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist() if name != RECORD} == left
        rows = opened.read(RECORD).decode().splitlines()
    assert sorted(rows) == sorted([*rows_of(left), f"{RECORD},,"])
    assert len(ZipParser(memoryview(result), None).records()) == len(left) + 1
    problems = check(memoryview(data), memoryview(result))
    assert problems == [] or (len(result) >= len(data) and "smaller" in problems[0])


@given(wheels(), st.data())
@settings(deadline=None)
def test_a_flipped_bit_of_a_result_is_seen(
    made: tuple[bytes, dict[str, bytes], tuple[str, ...]], data: st.DataObject
) -> None:
    """But in fields that nobody reads: dates and versions of RECORD's header, which is new."""
    content, _, gone = made
    result = bytearray(cut_wheel(memoryview(content), {"members": gone}).whole(content))
    record = result.find(b"PK\3\4", 0)
    while not result[record + 30 :].startswith(RECORD.encode()):
        record = result.find(b"PK\3\4", record + 1)
    at = data.draw(st.integers(0, len(result) - 1).filter(lambda x: not record <= x < record + 30))
    directory = int.from_bytes(result[-6:-2], "little")
    if at < directory:
        result[at] ^= 1 << data.draw(st.integers(0, 7))
        assert check(memoryview(content), memoryview(bytes(result)))


@pytest.mark.skipif(os.name == "nt", reason="needs unzip")
@given(wheels())
@settings(deadline=None, max_examples=10)
def test_other_readers_find_it_too(
    made: tuple[bytes, dict[str, bytes], tuple[str, ...]],
) -> None:
    data, files, gone = made
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "w-1-py3-none-any.whl"
        place.write_bytes(cut_wheel(memoryview(data), {"members": gone}).whole(data))
        importer = zipimport.zipimporter(str(place))
        for name in rest(files, gone):
            importer.get_data(f"{place}/{name}")
        assert importer.find_spec("w") is not None
        commands = [[sys.executable, "-m", "zipfile", "-t", str(place)]]
        commands += [[tool, "-tq", str(place)]] if (tool := shutil.which("unzip")) else []
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
