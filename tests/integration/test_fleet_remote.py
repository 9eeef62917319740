"""Fleets from and to an object store, on loopback."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("obstore")
pytest.importorskip("moto")

import slim
from slim import fleet
from slim.stores.base import BlobStore
from slim.stores.open import open_store
from tests.support.fleets import nothing_left
from tests.support.object_servers import environment, moto, reset
from tests.support.published_stacks import small_stack

pytestmark = [
    pytest.mark.xdist_group("moto"),
    pytest.mark.skipif(sys.platform == "win32", reason="looks at processes as Unix does"),
]
FLEET = """\
schema = 1
output = "s3://bucket/out/{release}/{stack}"
previous = "latest"
scratch_folder = "scratch"
scratch = "1 MB"

[[source]]
pattern = "s3://bucket/in/*/_artifacts"

[deltas]
output = "s3://bucket/updates/{release}/{stack}/{since}"
"""


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobStore]:
    with moto() as url:
        reset(url)
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path / "cache"))
        yield open_store("s3://bucket")


def stored(bucket: BlobStore, prefix: str) -> dict[str, bytes | None]:
    names = [blob.name.removeprefix(f"{prefix}/") for blob in bucket.list(prefix)]
    return {
        name: bucket.get(f"{prefix}/{name}", 1 << 20)
        for name in names
        if not name.startswith(".slim-")
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_from_and_to_a_bucket(tmp_path: Path, bucket: BlobStore) -> None:
    made = small_stack(tmp_path / "stack")
    for name in ("editor", "notes"):
        for path, data in contents(made).items():
            bucket.put(f"in/{name}/_artifacts/{path}", data)
    bucket.put("in/broken/_artifacts/__venvstacks__/venvstacks.json", b"{")
    slim.run(made, tmp_path / "expected")
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    first = {task.stack: task for task in fleet.run_fleet(file, release="1").tasks}
    assert {name: task.error for name, task in first.items() if name != "broken"} == {
        "editor": None,
        "notes": None,
    }
    assert first["broken"].error is not None
    assert first["broken"].error.exit_code == 3
    assert "s3://bucket/in/broken/_artifacts/__venvstacks__" in first["broken"].error.where
    for name in ("editor", "notes"):
        assert stored(bucket, f"out/1/{name}") == contents(tmp_path / "expected")
    again = fleet.run_fleet(file, release="1")
    assert [task.cost.resumed for task in again.tasks] == [False, True, True]
    rest = 'exclude = ["s3://bucket/in/[bn]*"]'
    file.write_text(FLEET.replace("[deltas]", f"{rest}\n[deltas]"))
    (second,) = fleet.run_fleet(file, release="2").tasks
    assert second.error is None
    assert {layer.since for layer in second.layers} == {"unchanged"}
    assert [(delta.since, delta.download) for delta in second.deltas] == [("1", 0)]
    assert any(name.endswith("slim-delta.json") for name in stored(bucket, "updates/2"))
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    nothing_left(tmp_path)
