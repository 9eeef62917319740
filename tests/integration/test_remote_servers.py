"""Releases in stores that aren't moto: each server where it is installed, by real requests."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

pytest.importorskip("obstore")
pytest.importorskip("boto3")

import slim
from slim.errors import ConfigError, IntegrityError, StorageError
from slim.model.progress import Silent
from slim.stores.download import Downloads, Wanted
from slim.stores.open import open_store
from tests.support.faulty_proxy import Fault, proxy
from tests.support.object_servers import (
    SECRET,
    azure_environment,
    azurite,
    ceph,
    environment,
    kill_gateway,
    ministack,
    moto,
    nanio,
    restart_gateway,
)
from tests.support.published_stacks import small_stack
from tests.support.released_sets import PLACE, failure_of, publish, set_of, visible

pytestmark = pytest.mark.xdist_group("moto")

Server = Callable[[Path], AbstractContextManager[str]]


@pytest.fixture(
    scope="module", params=[ministack, ceph, azurite], ids=lambda server: server.__name__
)
def honest(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, Path]]:
    """Name, URL and folder of a server that honours create-only writes."""
    folder = tmp_path_factory.mktemp("server")
    with request.param(folder) as url:
        yield request.param.__name__, url, folder


def bucket_of(server: tuple[str, str, Path]) -> str:
    return "az://bucket" if server[0] == "azurite" else "s3://bucket"


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Lead slim to a server, whichever it is: by ``s3://bucket`` or ``az://bucket``."""
    for name, value in {**environment(url), **azure_environment(url)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIM_CACHE_DIR", str(folder / "cache"))


def test_a_run_from_and_to_the_store(
    honest: tuple[str, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(honest[1], monkeypatch, tmp_path)
    bucket = bucket_of(honest)
    stack = small_stack(tmp_path / "stack")
    store = open_store(f"{bucket}/in/stack")
    for path in stack.rglob("*"):
        if path.is_file():
            store.put(path.relative_to(stack).as_posix(), path)
    slim.run(stack, tmp_path / "out")
    slim.run(f"{bucket}/in/stack", f"{bucket}/out/1", newest=f"{bucket}/out")
    result = open_store(f"{bucket}/out/1")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            name = path.relative_to(tmp_path / "out").as_posix()
            assert result.get(name, 1 << 20) == path.read_bytes(), name
    assert slim.measure(f"{bucket}/out/@newest")[0].source == f"{bucket}/out/@newest"


def test_of_writers_at_once_one_wins(
    honest: tuple[str, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(honest[1], monkeypatch, tmp_path)
    sets = [set_of(tmp_path / str(number), f"set {number}") for number in range(8)]
    store = open_store(f"{bucket_of(honest)}/release/at-once")
    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(failure_of, sets, [store] * len(sets)))
    assert errors.count(None) == 1
    assert all(isinstance(error, IntegrityError) for error in errors if error is not None)
    assert visible(store) == f"set {errors.index(None)}"


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOST])
def test_a_killed_publish_shows_nothing_or_all(
    honest: tuple[str, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    lead_to(honest[1], monkeypatch, tmp_path)
    direct = open_store(f"{bucket_of(honest)}/release/killed-{fault.name}")
    with proxy(honest[1]) as between:
        lead_to(between.url, monkeypatch, tmp_path)
        monkeypatch.setenv("SLIM_REMOTE_PATIENCE", "0")
        mine = set_of(tmp_path / "mine", "mine")
        last = 0
        while True:
            between.seen.clear()
            between.plan = lambda request, last=last: (  # type: ignore[misc]
                None if request.number < last else fault if request.number == last else Fault.RESET
            )
            try:  # each goes on where the one before was killed
                publish(mine, open_store(direct.url))
            except StorageError:
                assert visible(direct) in (None, "mine")
                last += 1
                continue
            break
    assert last > 5
    assert visible(direct) == "mine"


def test_a_large_archive_goes_in_parts(
    honest: tuple[str, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_to(honest[1], monkeypatch, tmp_path)
    data = os.urandom(1 << 20) * 35
    mine = set_of(tmp_path / "mine", "mine")
    (mine / "large.tar.xz").write_bytes(data)
    store = open_store(f"{bucket_of(honest)}/release/large")
    publish(mine, store)
    wanted = Wanted(name="large.tar.xz", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    assert Downloads(tmp_path / "blobs").fetch(store, wanted, Silent()).read_bytes() == data
    publish(mine, store)  # what is there is read back, and isn't sent again


@pytest.mark.slow
def test_the_gateway_is_killed_for_45_seconds_in_the_middle(
    honest: tuple[str, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if honest[0] != "ceph":
        pytest.skip("only Ceph's gateway can be killed without its data")
    lead_to(honest[1], monkeypatch, tmp_path)
    mine = set_of(tmp_path / "mine", "mine")
    with proxy(honest[1]) as between:
        lead_to(between.url, monkeypatch, tmp_path)
        killed = threading.Event()
        back = threading.Timer(45, restart_gateway, [honest[2]])

        def kill(request: object) -> None:
            if len(between.seen) == 7 and not killed.is_set():
                killed.set()
                kill_gateway(honest[2])
                back.start()

        between.plan = kill  # type: ignore[assignment]
        store = open_store(f"{bucket_of(honest)}/release/gateway")
        publish(mine, store)
    assert killed.is_set()
    back.join()
    lead_to(honest[1], monkeypatch, tmp_path)  # no longer through the proxy
    assert visible(open_store(f"{bucket_of(honest)}/release/gateway")) == "mine"


def test_nanio_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nanio(tmp_path / "nanio") as url:
        lead_to(url, monkeypatch, tmp_path)
        mine = set_of(tmp_path / "mine", "mine")
        with pytest.raises(ConfigError, match="ignores create-only writes") as caught:
            publish(mine)
        assert caught.value.file == PLACE
        publish(mine, unsafe=True)
        assert visible(open_store(PLACE)) == "mine"


GOOGLE = {
    "disable_oauth": True,
    "client_email": "me@example.org",
    "private_key": SECRET,
    "private_key_id": "1",
}


@pytest.mark.parametrize(
    ("url", "header", "value"),
    [
        ("gs://bucket/x", "x-goog-if-generation-match", "0"),
        ("az://bucket/x", "if-none-match", "*"),
    ],
)
def test_what_google_and_azure_are_asked_and_what_is_told_of_their_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, header: str, value: str
) -> None:
    """Only the requests: neither store is here to be tried."""
    with moto() as server, proxy(server) as between:
        account = tmp_path / "account.json"
        account.write_text(json.dumps({**GOOGLE, "gcs_base_url": between.url}))
        monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", str(account))
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "c2VjcmV0LXNlY3JldA==")
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", between.url)
        monkeypatch.delenv("AZURE_STORAGE_USE_EMULATOR", raising=False)
        monkeypatch.setenv("SLIM_REMOTE_PATIENCE", "0")
        between.plan = lambda request: Fault.BROKEN
        with pytest.raises(StorageError, match="500") as caught:
            open_store(url).create("name", b"data")
        [request] = between.seen
        assert (request.method, request.headers.get(header)) == ("PUT", value)
        assert request.path.replace("%2F", "/").split("?")[0].endswith("x/name")
        assert not any(secret in str(caught.value) for secret in (SECRET, "c2VjcmV0"))
