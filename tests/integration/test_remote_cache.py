"""The cache of results in a bucket: by real requests, on every server that is installed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("obstore")
pytest.importorskip("moto")

import slim
from slim.cli import main
from slim.model.outcome import RunResult
from slim.stores.base import BlobStore
from slim.stores.open import open_store
from tests.support.object_servers import (
    azure_environment,
    azurite,
    ceph,
    environment,
    ministack,
    moto,
)
from tests.support.published_stacks import small_stack

pytestmark = pytest.mark.xdist_group("moto")
SECRET_WORD = "a secret of sixteen characters"


def plain_moto(folder: Path) -> AbstractContextManager[str]:
    return moto()


@pytest.fixture(
    scope="module",
    params=[plain_moto, ministack, ceph, azurite],
    ids=lambda server: server.__name__,
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Scheme and URL of a server."""
    start: Callable[[Path], AbstractContextManager[str]] = request.param
    with start(tmp_path_factory.mktemp("server")) as url:
        yield "az" if start is azurite else "s3", url


@pytest.fixture
def place(
    server: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """URL of an empty cache, with a secret in the environment."""
    for name, value in {**environment(server[1]), **azure_environment(server[1])}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path / "downloads"))
    monkeypatch.setenv("SLIM_CACHE_KEY", SECRET_WORD)
    monkeypatch.setenv("SLIM_REMOTE_PATIENCE", "5")
    url = f"{server[0]}://bucket/cache"
    yield url
    store = open_store(url)
    for blob in list(store.list()):
        store.delete(blob.name)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def entries(store: BlobStore, action: str) -> dict[str, dict[str, Any]]:
    found = {}
    for blob in list(store.list("ac")):
        entry = json.loads(store.get(blob.name, 1 << 20) or b"")
        if entry["action"] == action:
            found[blob.name] = entry
    return found


class Runs:
    """Runs of one small stack with one cache, all of whose results have to be the same bytes."""

    def __init__(self, folder: Path, place: str) -> None:
        self._folder, self._place, self._number = folder, place, 0
        self.stack = small_stack(folder / "stack")
        slim.run(self.stack, folder / "plain")
        self._expected = contents(folder / "plain")

    def __call__(self) -> RunResult:
        self._number += 1
        output = self._folder / str(self._number)
        [result] = slim.run(self.stack, output, cache=self._place)
        assert contents(output) == self._expected
        return result


def told(result: RunResult) -> tuple[str, ...]:
    assert result.cache is not None
    return result.cache.notes


def hit(result: RunResult) -> bool:
    return result.cache is not None and result.cache.whole


def test_two_runs_share_a_signed_cache(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run, store = Runs(tmp_path, place), open_store(place)
    first, second = run(), run()
    assert (hit(first), hit(second)) == (False, True)
    assert not told(first) and not told(second)
    assert all("mac" in entry for entry in entries(store, "run").values())
    assert main(["cache", "stats", place]) == 0
    assert main(["cache", "verify", place]) == 0
    assert SECRET_WORD not in capfd.readouterr().out
    # who has no secret takes archives, and no whole run
    monkeypatch.delenv("SLIM_CACHE_KEY")
    alone = run()
    assert not hit(alone) and all(layer.cached for layer in alone.layers)
    assert ["SLIM_CACHE_KEY" in text for text in told(alone)] == [True]


HARM = [
    *[("run", harm) for harm in ("poisoned", "unsigned", "evicted", "other bytes")],
    *[("layer", harm) for harm in ("poisoned", "evicted", "cut")],
]


@pytest.mark.parametrize(("action", "harm"), HARM)
def test_what_is_wrong_in_the_bucket_is_told_and_made_anew(
    tmp_path: Path, place: str, action: str, harm: str
) -> None:
    run, store = Runs(tmp_path, place), open_store(place)
    run()
    if action == "layer":
        for name in entries(store, "run"):
            store.delete(name)
    found = entries(store, action)
    blobs = {sha: size for entry in found.values() for sha, size in entry["body"]["blobs"].items()}
    if harm in ("poisoned", "unsigned"):
        bodies = [entry["body"] for entry in found.values()]
        for (name, entry), body in zip(found.items(), bodies[1:] + bodies[:1], strict=True):
            if harm == "unsigned":
                del entry["mac"]
            elif action == "run":
                entry["body"]["files"] = {"evil": next(iter(blobs))}
            else:
                entry["body"] = body  # the archive of another layer, signed for that
            store.put(name, json.dumps(entry).encode())
    for sha, size in blobs.items():
        if harm == "evicted":
            store.delete(f"cas/{sha}")
        elif harm == "cut":
            store.put(f"cas/{sha}", (store.get(f"cas/{sha}", size) or b"")[:-1])
        elif harm == "other bytes":
            store.put(f"cas/{sha}", b"x" * size)
    again = run()
    assert not hit(again) and told(again)
    assert all("made anew" in text for text in told(again))
    third = run()
    assert hit(third) and not told(third)
    assert main(["cache", "verify", place]) == 0
