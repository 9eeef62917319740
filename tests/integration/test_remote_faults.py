"""Releases under adversity: kills at every request, writers at once, busy and broken networks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("obstore")
pytest.importorskip("moto")

from slim.errors import ConfigError, IntegrityError, StorageError
from slim.model.progress import Silent
from slim.stores import release
from slim.stores.download import Downloads, Wanted
from slim.stores.open import open_store
from slim.stores.release import newest, point_to
from tests.support.faulty_proxy import Fault, Proxy, Request, proxy
from tests.support.object_servers import SECRET, environment, moto, reset
from tests.support.released_sets import PLACE, failure_of, publish, set_of, visible

pytestmark = pytest.mark.xdist_group("moto")

ROUNDS = int(os.environ.get("SLIM_TEST_ROUNDS", "2"))
"""Rounds of writers at once: 50 take 70 seconds of processor time."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def between(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """The proxy that ``s3://bucket``, which is empty, is behind."""
    reset(server)
    with proxy(server) as state:
        for name, value in environment(state.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SLIM_REMOTE_PATIENCE", "20")
        yield state


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOST])
def test_a_publish_that_is_killed_at_any_request_shows_nothing_or_all(
    between: Proxy, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """From the request on nothing of the writer comes through any more; RESET: nor that one."""
    monkeypatch.setenv("SLIM_REMOTE_PATIENCE", "0")
    mine, other = set_of(tmp_path / "mine", "mine"), set_of(tmp_path / "other", "other")
    publish(mine)
    requests = len(between.seen)
    assert requests > 10
    outcomes = set()
    for last in range(requests):
        reset(server)
        between.seen.clear()
        between.plan = lambda request, last=last: (  # type: ignore[misc]
            None if request.number < last else fault if request.number == last else Fault.RESET
        )
        store = open_store(PLACE)
        with pytest.raises(StorageError):
            publish(mine, store)
        between.plan = lambda request: None
        seen = visible(store)
        outcomes.add(seen)
        marked = store.get(release.MARK, 10_000) is not None
        if last % 4 == 0:  # the next night finds either a free place or one that is taken
            if marked:
                with pytest.raises(IntegrityError, match="another release"):
                    publish(other, store)
                assert visible(store) == seen
            publish(mine, store)
            assert visible(store) == "mine"
    # The request for the manifest is the last: only where its answer was lost is the set there.
    assert outcomes == ({None} if fault is Fault.RESET else {None, "mine"})


def test_of_sixteen_writers_at_once_one_wins_with_a_whole_set(
    between: Proxy, server: str, tmp_path: Path
) -> None:
    sets = [set_of(tmp_path / str(number), f"set {number}") for number in range(16)]
    for number in range(ROUNDS):
        store = open_store(f"{PLACE}/{number}")

        with ThreadPoolExecutor(16) as pool:
            errors = list(pool.map(failure_of, sets, [store] * len(sets)))
        assert errors.count(None) == 1
        assert all(isinstance(error, IntegrityError) for error in errors if error is not None)
        assert visible(store) == f"set {errors.index(None)}"


def test_writers_of_the_same_bytes_all_succeed(between: Proxy, tmp_path: Path) -> None:
    same = set_of(tmp_path / "same", "same")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, [same] * 4))
    assert visible(open_store(PLACE)) == "same"


def first_of_each(fault: Fault) -> Callable[[Request], Fault | None]:
    """The first try of each request has the fault; bodies of errors aren't cut."""
    seen: set[tuple[str, str]] = set()

    def plan(request: Request) -> Fault | None:
        key = (request.method, request.path)
        if key in seen:
            return None
        seen.add(key)
        return fault

    return plan


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.LOST, Fault.BUSY, Fault.SLOW_DOWN, Fault.BROKEN]
)
def test_what_passes_is_tried_again(between: Proxy, tmp_path: Path, fault: Fault) -> None:
    mine = set_of(tmp_path / "mine", "mine")
    store = open_store(PLACE)
    between.plan = first_of_each(fault)
    publish(mine, store)
    assert visible(store) == "mine"


def test_what_does_not_pass_ends_with_what_the_store_said(
    between: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIM_REMOTE_PATIENCE", "1")
    between.plan = lambda request: Fault.SLOW_DOWN
    with pytest.raises(StorageError, match="503") as caught:
        publish(set_of(tmp_path / "mine", "mine"))
    assert SECRET not in str(caught.value)
    assert "http" in str(caught.value)


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.CUT, Fault.SHORT, Fault.BROKEN])
def test_a_blob_comes_whole_over_a_bad_connection(
    between: Proxy, tmp_path: Path, fault: Fault
) -> None:
    data = os.urandom(300_000)
    store = open_store(PLACE)
    store.put("blob", data)
    sha256 = hashlib.sha256(data).hexdigest()
    between.plan = first_of_each(fault)
    place = Downloads(tmp_path).fetch(
        store, Wanted(name="blob", size=len(data), sha256=sha256), Silent()
    )
    assert place.read_bytes() == data


def test_a_blob_that_never_comes_whole_is_refused(between: Proxy, tmp_path: Path) -> None:
    data = os.urandom(100_000)
    store = open_store(PLACE)
    store.put("blob", data)
    wanted = Wanted(name="blob", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    between.plan = lambda request: Fault.SHORT if request.method == "GET" else None
    with pytest.raises((StorageError, IntegrityError), match=re.escape(f"{PLACE}/blob")):
        Downloads(tmp_path / "short").fetch(store, wanted, Silent())
    between.plan = lambda request: None
    store.put("blob", data[::-1])
    with pytest.raises(IntegrityError, match="SHA-256"):
        Downloads(tmp_path / "other").fetch(store, wanted, Silent())
    assert not list(tmp_path.glob("other/*/*.part"))


def test_many_readers_at_once_download_a_blob_once(between: Proxy, tmp_path: Path) -> None:
    data = os.urandom(100_000)
    store = open_store(PLACE)
    store.put("blob", data)
    wanted = Wanted(name="blob", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    between.seen.clear()
    with ThreadPoolExecutor(8) as pool:
        places = list(
            pool.map(lambda _: Downloads(tmp_path).fetch(store, wanted, Silent()), range(8))
        )
    assert {place.read_bytes() for place in places} == {data}
    assert [request.method for request in between.seen].count("GET") == 1


def test_a_store_that_ignores_conditions_is_refused_by_name(between: Proxy, tmp_path: Path) -> None:
    between.ignore_conditions = True
    mine, other = set_of(tmp_path / "mine", "mine"), set_of(tmp_path / "other", "other")
    with pytest.raises(ConfigError, match="ignores create-only writes") as caught:
        publish(mine)
    assert caught.value.file == PLACE
    assert [blob.name for blob in open_store(PLACE).list()] == []
    publish(mine, unsafe=True)
    with pytest.raises(IntegrityError):
        publish(other, unsafe=True)
    assert visible(open_store(PLACE)) == "mine"


def test_pointers_are_numbered_and_never_replaced(between: Proxy) -> None:
    store = open_store("s3://bucket/slimmed")
    with pytest.raises(StorageError, match="names no newest"):
        newest(store)
    for name in ("monday", "monday", "tuesday", "monday"):
        point_to(store, name)
    assert newest(store) == "monday"
    assert len(list(store.list())) == 3
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: point_to(store, name), ["a", "b", "c", "d"]))
    assert len(list(store.list())) == 7
    assert newest(store) in "abcd"
