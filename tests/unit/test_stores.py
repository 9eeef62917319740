"""Stores of blobs: the folder's promises, what URLs are taken, and that no credential is told."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slim.errors import ConfigError, LimitError, StorageError
from slim.stores.folder import FolderStore
from slim.stores.open import checked_url, is_url, open_store
from slim.stores.redact import redacted


def test_a_folder_has_what_was_put_and_tells_it_by_name(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    assert store.get("ac/one", 10) is None
    assert store.read("ac/one") is None
    assert store.size("ac/one") is None
    assert list(store.list()) == []
    (tmp_path / "file").write_bytes(b"bytes")
    store.put("cas/two", tmp_path / "file")
    assert store.create("ac/one", b"entry")
    store.put("ac/one", b"other")
    assert store.get("ac/one", 10) == b"other"
    assert b"".join(store.read("cas/two", 2) or ()) == b"tes"
    assert [(blob.name, blob.size) for blob in store.list()] == [("ac/one", 5), ("cas/two", 5)]
    assert [blob.name for blob in store.list("cas")] == ["cas/two"]
    with pytest.raises(LimitError):
        store.get("cas/two", 4)
    store.delete("cas/two")
    store.delete("cas/two")
    assert [blob.name for blob in store.list()] == ["ac/one"]


def test_of_many_writers_one_creates(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: store.create("name", b"%d" % n), range(16)))
    assert won.count(True) == 1
    assert store.get("name", 10) == b"%d" % won.index(True)
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


@pytest.mark.parametrize("name", ["", "/x", "a//b", "a/../b", ".", "a\\b", "a\0b"])
def test_a_name_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="not a name"):
        FolderStore(tmp_path).put(name, b"")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("S3://bucket//a//b/", "s3://bucket/a/b"),
        ("gs://bucket/x y", "gs://bucket/x y"),
        (
            "abfss://box@account.dfs.core.windows.net/x",
            "abfss://box@account.dfs.core.windows.net/x",
        ),
    ],
)
def test_urls_are_told_alike(text: str, url: str) -> None:
    assert is_url(text)
    assert checked_url(text) == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/x", "no store is known"),
        ("https://host/x", "no store is known"),
        ("s3:/bucket/x", "no store is known"),
        ("s3:///x", "names no bucket"),
        ("s3://me:hidden1@bucket/x", "credentials"),
        ("s3://bucket/x?sig=hidden1", "credentials"),
        ("abfss://box:hidden1@account.dfs.core.windows.net/x", "credentials"),
        ("s3://bucket/../x", "no . or .."),
    ],
)
def test_what_is_wrong_with_a_url_is_told_without_its_secrets(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        checked_url(text)
    assert "hidden1" not in str(caught.value)


@pytest.mark.parametrize("text", ["C:/stack", "C:\\stack", "main:report.json", "folder", "a/b"])
def test_paths_and_reports_in_git_are_no_urls(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize(
    "text",
    [
        "PUT http://me:hidden1@host/x failed",
        "PUT https://host/x?sv=1&sig=hidden1 failed",
        "Authorization: AWS4-HMAC-SHA256 Credential=AK/hidden1, Signature=hidden1",
        '{"x-amz-security-token": "hidden1"}',
        "the key top-hidden1 is wrong",
    ],
)
def test_no_credential_is_left_in_a_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top-hidden1")
    assert "hidden1" not in redacted(text)


def test_without_obstore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ConfigError, match=r'pip install "venvstacks-slim\[remote\]"'):
        open_store("s3://bucket/x")
