"""The table of formats: a row is all that the rest of slim asks of a format."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import slim
from slim import formats
from slim.formats import (
    DIRECTORY,
    FORMATS,
    archive_stem,
    compressor,
    detect,
    encoders,
    format_by_name,
    is_archive_name,
    read_archive,
    write_archive,
)
from slim.formats.base import Format, ReadOptions, WriteOptions
from slim.formats.compression.base import STORED
from slim.formats.tar.read import tar_reader
from slim.formats.tar.write import tar_writer
from slim.model.settings import Effort
from tests.support.raw_archives import file

TOP = Path(slim.__file__).parent
CHOSEN = {
    "analysis/imports/halves.py": {"zip"},  # the built-in function
    "analysis/imports/text_paths.py": {".zip"},  # among all that is compressed, pictures too
    "backup/writer.py": {"tar.zst"},  # the format of backups
    "delta/rebuild.py": {"tar"},  # the tree's name for itself, before it is written
    "guard/rest_pack.py": {"tar.xz"},  # what Python's standard library reads on the user's machine
    "sample/publish.py": {"tar.xz", "zip"},  # the format of the sample stack
}
"""Names of formats that slim itself chooses to write, a suffix whose files aren't searched, and a
function that is called like a format.
"""


def _constants(path: Path) -> set[str]:
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_nobody_else_asks_for_a_format_by_its_name_or_suffix() -> None:
    words = {word for known in FORMATS for word in (known.name, *known.suffixes)}
    found = {
        path.relative_to(TOP).as_posix(): _constants(path) & words
        for path in TOP.rglob("*.py")
        if path.relative_to(TOP).parts[0] != "formats"
    }
    assert {place: names for place, names in found.items() if names} == CHOSEN


def test_names_suffixes_and_magics_are_unambiguous() -> None:
    suffixes = [suffix for known in FORMATS for suffix in known.suffixes]
    assert len({*suffixes}) == len(suffixes)
    assert len({known.name for known in (*FORMATS, DIRECTORY)}) == len(FORMATS) + 1
    assert [known.name for known in FORMATS if known.suffixes[0] != f".{known.name}"] == []
    assert all(known.magic for known in FORMATS)
    with pytest.raises(KeyError):
        format_by_name("rar")


def test_a_row_is_enough_for_another_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Format(
        name="tar.odd",
        suffixes=(".tar.odd", ".todd"),
        magic=((0, b"app/"),),
        read=tar_reader("tar.odd", STORED.decompress),
        write=tar_writer(STORED.compress),
        holds_times=False,
        compressor=lambda: "odd 1",
        encoder_memory=lambda _effort: 500_000_000,
    )
    monkeypatch.setattr(formats, "FORMATS", (row, *FORMATS))
    target = tmp_path / "a.tar.odd"
    members = [file("a", b"x"), file("b", b"y")]
    write_archive(format_by_name("tar.odd"), iter(members), "app", target, WriteOptions())
    assert detect(target) is row
    assert is_archive_name("A.TODD")
    assert archive_stem("a.tar.odd") == "a"
    assert compressor("a.todd") == "odd 1"
    # The tests before this one have left what they have left in memory.
    monkeypatch.setattr("slim.formats.compression.memory.resident_memory", lambda: 100_000_000)
    assert encoders(8, Effort(memory=1_300_000_000), row) == 2
    with read_archive(target, ReadOptions(spool_dir=tmp_path)) as tree:
        assert tree.format == "tar.odd"
        assert [*tree.members] == ["a", "b"]
