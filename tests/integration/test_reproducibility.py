"""A quick part of ``python -m tests.reproducibility``.

Everything different at once, and slim on its own result.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from slim.formats import FORMATS, compressor
from slim.formats.compression.libraries import UNKNOWN
from tests.reproducibility import Environment, content, differing, inputs, result, reversed_listings

KINDS = ("tar.xz", "tar.zst", "zip", "folder")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[str, ...]]]:
    folder = tmp_path_factory.mktemp("made")
    return folder, inputs(folder)


@pytest.mark.skipif(sys.platform == "win32", reason="umask and tmpfs are POSIX's")
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_around_slim_changes_a_byte(
    made: tuple[Path, dict[str, tuple[str, ...]]], tmp_path: Path, kind: str
) -> None:
    folder, kinds = made
    environ = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONHASHSEED": "7"}
    library = reversed_listings(tmp_path)
    other = Environment(
        "everything",
        {**environ, **({"LD_PRELOAD": str(library)} if library else {})},
        umask=0o077,
        arguments=("--jobs", "8"),
        elsewhere=True,
        touched=True,
        place=Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None,
    )
    usual = result(Environment("usual", arguments=("--jobs", "1")), folder, kinds[kind], tmp_path)
    found = result(other, folder, kinds[kind], tmp_path)
    assert {path for path in usual if usual[path] != found.get(path)} == set()
    assert differing(usual, found) == 0
    assert usual, "something was compared"


@pytest.mark.parametrize("kind", KINDS)
def test_slim_on_its_own_result_changes_nothing(
    made: tuple[Path, dict[str, tuple[str, ...]]], tmp_path: Path, kind: str
) -> None:
    folder, kinds = made
    once = result(Environment("usual"), folder, kinds[kind], tmp_path)
    for path, data in once.items():
        place = tmp_path / "again" / kinds[kind][0] / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "folder" and (folder / kinds[kind][0] / path).is_symlink():
            place.symlink_to(os.fsdecode(data))
        else:
            place.write_bytes(data)
    twice = result(
        replace(Environment("usual"), touched=True), tmp_path / "again", kinds[kind], tmp_path
    )
    assert differing(once, twice) == 0


def test_the_manifest_says_what_the_bytes_depend_on(
    made: tuple[Path, dict[str, tuple[str, ...]]], tmp_path: Path
) -> None:
    folder, kinds = made
    found = json.loads(
        result(Environment("usual"), folder, kinds["zip"], tmp_path)[
            "__venvstacks__/venvstacks.json"
        ]
    )
    notes = [entry["slim"] for section in found["layers"].values() for entry in section]
    assert {note["compressor"] for note in notes} == {compressor("a.zip")}


def test_compressors_are_known_by_their_version() -> None:
    for known in FORMATS:
        said = compressor(f"x{known.suffixes[0]}")
        assert (said is None) == (known.name == "tar")
        if said is not None:
            name, _, version = said.partition(" ")
            assert name.startswith(("lib", "zlib")) and (
                version == UNKNOWN or version[0].isdecimal()
            )


def test_bytes_that_differ_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    here = content(tmp_path)
    assert differing(here, here) == 0
    assert differing(here, {"a": b"1x3456"}) == 2
    assert differing(here, {}) == 6
