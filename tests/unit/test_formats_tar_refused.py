"""Tar archives that would do harm, or that two tools would read differently, are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.errors import LimitError, UnsafeInputError
from slim.formats import read_archive
from slim.model.limits import Limits
from tests.corpus.archives import TAR, Case, write_many
from tests.support.raw_archives import (
    entry,
    folder,
    options,
    pax,
    record,
    sym,
    tar,
)


@pytest.mark.parametrize("case", TAR, ids=lambda case: case.name)
def test_refused(case: Case, tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    archive.write_bytes(case.bytes)
    with pytest.raises(case.error) as caught:
        read_archive(archive, options(tmp_path, platform=case.platform)).close()
    assert type(caught.value) is case.error
    assert caught.value.file == str(archive)
    assert case.word in caught.value.message
    assert all(char.isprintable() for char in caught.value.where)
    assert list(tmp_path.iterdir()) == [archive], "a spool file was left behind"


def test_links_to_siblings_are_refused_where_there_are_none(tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    archive.write_bytes(tar(folder("app"), sym("app/l", "../cpython/bin/python")))
    with pytest.raises(UnsafeInputError, match="leads outside"):
        read_archive(archive, options(tmp_path, siblings=False))


def test_more_members_than_the_limit(tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    archive.write_bytes(tar(*(entry(f"a/{i}") for i in range(11))))
    with pytest.raises(LimitError, match="more than 10 members"):
        read_archive(archive, options(tmp_path, limits=Limits(members=10)))
    read_archive(archive, options(tmp_path, limits=Limits(members=11))).close()


@pytest.mark.slow
def test_200_000_members(tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    write_many(archive, 200_000)
    with pytest.raises(LimitError, match="150000 members"):
        read_archive(archive, options(tmp_path))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = tar(
        folder("a"),
        pax(record("path", "a/" + "n" * 120)),
        entry("a/n", b"x" * 700),
        sym("a/l", "n"),
    )
    archive = tmp_path / "layer.tar"
    for length in range(512, len(whole), 256):
        archive.write_bytes(whole[:length])
        with pytest.raises(UnsafeInputError):
            read_archive(archive, options(tmp_path))
