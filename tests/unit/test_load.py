"""Loading a stack: what an open stack tells, strictly and leniently."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from slim.errors import IntegrityError, StorageError
from slim.inventory import load as loading
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.inventory.scan import scan
from slim.inventory.unchanged import unchanged
from slim.model.context import RunContext
from slim.model.record import OwnerKind
from tests.support.published_stacks import SITE, LayerSpec, Link, distribution, merge, publish

SOURCE = b"x = 1\n"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A published runtime and application; the folder it lies in."""
    files = merge(
        distribution("pack", {"pack/__init__.py": SOURCE.decode()}),
        {"bin/python": Link("../../py/bin/python"), "lone.txt": "text"},
        {f"{SITE}/pack/__pycache__/__init__.cpython-313.pyc": "code"},
    )
    layers = {
        "py": LayerSpec("runtime", {"bin/python": "#!"}),
        "app": LayerSpec("application", files),
    }
    publish(tmp_path / "stack", layers, suffix=".tar")
    return tmp_path / "stack"


@contextmanager
def opened(source: Path, tmp_path: Path, **options: bool) -> Iterator[LoadedStack]:
    (located,) = locate(source)
    with load(located, RunContext(spool_dir=tmp_path, workers=2), **options) as loaded:
        yield loaded


def test_files_are_read_and_links_are_empty(published: Path, tmp_path: Path) -> None:
    with opened(published, tmp_path) as loaded:
        records = loaded.inventory.records["app"]
        assert bytes(loaded.read(records[f"{SITE}/pack/__init__.py"])) == SOURCE
        assert bytes(loaded.read(records["bin/python"])) == b""


def test_digests_are_those_of_the_files(published: Path, tmp_path: Path) -> None:
    with opened(published, tmp_path) as loaded:
        digests = loaded.digests("app")
        assert digests[f"{SITE}/pack/__init__.py"] == hashlib.sha256(SOURCE).hexdigest()
        assert "bin/python" not in digests
        assert loaded.tree_digest("app") != loaded.tree_digest("py")


def test_the_inventory_is_scanned_once_and_when_it_is_asked_for(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = []

    def counted(*arguments: object, **options: object) -> object:
        scans.append(arguments)
        return scan(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loading, "scan", counted)
    with opened(published, tmp_path) as loaded:
        assert scans == []
        assert loaded.inventory is loaded.inventory
        assert len(scans) == 1


def test_other_trees_have_an_inventory_of_their_own(published: Path, tmp_path: Path) -> None:
    with opened(published, tmp_path) as loaded:
        assert "lone.txt" in loaded.inventory.records["app"]
        tree = loaded.trees["app"]
        members = {path: one for path, one in tree.members.items() if path != "lone.txt"}
        other = loaded.with_trees({**loaded.trees, "app": replace(tree, members=members)})
        assert "lone.txt" not in other.inventory.records["app"]
        assert other.tree_digest("app") != loaded.tree_digest("app")


def test_what_installing_made_can_be_left_out(published: Path, tmp_path: Path) -> None:
    made = f"{SITE}/pack/__pycache__/__init__.cpython-313.pyc"
    with opened(published, tmp_path) as loaded:
        assert made in loaded.inventory.records["app"]
    with opened(published, tmp_path, published_only=True) as loaded:
        assert made not in loaded.inventory.records["app"]


def test_an_archive_that_is_not_the_manifests(published: Path, tmp_path: Path) -> None:
    manifest = published / "__venvstacks__" / "venvstacks.json"
    digest = hashlib.sha256((published / "app.tar").read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text().replace(digest, "0" * 64))
    with pytest.raises(IntegrityError, match="the manifest says"), opened(published, tmp_path):
        pass
    with opened(published, tmp_path, lenient=True) as loaded:
        assert "the manifest says" in loaded.warnings[0]
        assert loaded.inventory.warnings[: len(loaded.warnings)] == loaded.warnings


def test_names_tell_owners_only_where_a_stack_is_looked_at(published: Path, tmp_path: Path) -> None:
    bytecode = f"{SITE}/pack/__pycache__/__init__.cpython-313.pyc"
    for lenient, kind in ((False, OwnerKind.UNOWNED), (True, OwnerKind.DISTRIBUTION)):
        with opened(published, tmp_path, lenient=lenient) as loaded:
            assert loaded.inventory.records["app"][bytecode].owner.kind is kind


def test_a_changed_input_is_what_is_wrong(published: Path) -> None:
    (located,) = locate(published)
    with pytest.raises(IntegrityError, match="changed while"), unchanged(located):
        (published / "app.tar").write_bytes(b"other")
        raise StorageError("what came of it")
    (located,) = locate(published)
    with pytest.raises(StorageError, match="something else"), unchanged(located):
        raise StorageError("something else")
