"""Stacks in object stores: read, slimmed and published over real requests to a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("obstore")
pytest.importorskip("moto")

import slim
from slim.cli import main
from slim.delta.document import NAME
from slim.errors import ConfigError, IntegrityError, StorageError
from slim.sources.store import PACKAGE
from slim.stores.base import BlobStore
from slim.stores.open import open_store
from tests.support.object_servers import SECRET, environment, moto, reset
from tests.support.published_stacks import small_stack

pytestmark = pytest.mark.xdist_group("moto")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto() as url:
        yield url


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    """The empty bucket, and a folder of downloads of the test's own."""
    reset(server)
    for name, value in environment(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SLIM_REMOTE_PATIENCE", "5")
    monkeypatch.chdir(tmp_path)
    return open_store("s3://bucket")


@pytest.fixture
def stack(tmp_path: Path, bucket: BlobStore) -> Path:
    """A small stack on this machine, and the same at ``s3://bucket/in/stack``."""
    folder = small_stack(tmp_path / "stack")
    upload(folder, bucket, "in/stack")
    return folder


def upload(folder: Path, bucket: BlobStore, prefix: str) -> None:
    for path in files(folder):
        bucket.put(f"{prefix}/{path}", folder / path)


def files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def stored(bucket: BlobStore, prefix: str) -> dict[str, bytes | None]:
    """The files of a release, without its mark."""
    names = [blob.name.removeprefix(f"{prefix}/") for blob in bucket.list(prefix)]
    return {
        name: bucket.get(f"{prefix}/{name}", 1 << 20)
        for name in names
        if not name.startswith(".slim-")
    }


def test_what_a_run_publishes_is_what_it_writes_to_a_folder(
    stack: Path, bucket: BlobStore, capfd: pytest.CaptureFixture[str]
) -> None:
    slim.run(stack, "out")
    command = ["run", "s3://bucket/in/stack", "-o", "s3://bucket/out/1"]
    assert main([*command, "--newest", "s3://bucket/out"]) == 0
    told = capfd.readouterr()
    assert "Written to s3://bucket/out/1" in told.out
    assert "slim-work-" not in told.out + told.err
    expected = {name: Path("out", name).read_bytes() for name in files(Path("out"))}
    assert stored(bucket, "out/1") == expected
    assert main([*command, "--newest", "s3://bucket/out", "-q"]) == 0, "again: nothing to do"
    assert [blob.name for blob in bucket.list("out/@newest")] == ["out/@newest/00000001"]
    capfd.readouterr()
    # another result has no place there
    assert main([*command, "--profile", "safe", "-q"]) == 5
    assert "another release lies there" in capfd.readouterr().err
    assert stored(bucket, "out/1") == expected


def test_every_command_reads_urls(stack: Path, bucket: BlobStore) -> None:
    url, result = "s3://bucket/in/stack", "s3://bucket/out/1"
    slim.run(url, result, newest="s3://bucket/out")
    slim.run(stack, "local", previous="s3://bucket/out/@newest")
    [audit] = slim.audit(f"{result}/__venvstacks__/venvstacks.json", findings=False)
    assert (audit.stack.source, len(audit.stack.layers)) == (result, 3)
    [archive] = slim.measure(f"{result}/app-main.tar.xz")
    assert archive.source == f"{result}/app-main.tar.xz"
    [same] = slim.diff(result, "local")
    assert same.before == same.after
    slim.make_delta(url, result, "s3://bucket/delta/1")
    assert [stack.platform for stack in slim.read_delta("s3://bucket/delta/1").stacks]
    [applied] = slim.apply_delta(url, "s3://bucket/delta/1", "s3://bucket/out/2")
    assert applied.output == "s3://bucket/out/2"
    assert stored(bucket, "out/2") == stored(bucket, "out/1")
    assert slim.explain(result, "app-main/postinstall.py")


def test_originals_are_restored_from_and_to_a_bucket(
    tmp_path: Path, stack: Path, bucket: BlobStore
) -> None:
    slim.run(stack, "out", keep_removed="removed.tar.zst")
    upload(Path("out"), bucket, "out/1")
    bucket.put("kept/removed.tar.zst", Path("removed.tar.zst"))
    kept, place = "s3://bucket/kept/removed.tar.zst", "s3://bucket/out/1"
    assert main(["restore", kept, place, "-o", "s3://bucket/back/1", "-q"]) == 0
    slim.restore("removed.tar.zst", "out", "back")
    expected = {name: Path("back", name).read_bytes() for name in files(Path("back"))}
    assert stored(bucket, "back/1") == expected
    [result] = slim.restore(kept, place, "here")
    assert (result.source, result.output) == (place, "here")
    assert files(Path("here")) == files(Path("back"))
    there = slim.list_originals(kept, ["**/tests/**"])
    assert there == slim.list_originals("removed.tar.zst", ["**/tests/**"]) != ()
    assert slim.extract_originals(kept, "look").originals
    with pytest.raises(StorageError) as caught:
        slim.restore("s3://bucket/kept/nothing.tar.zst", place, "other")
    assert caught.value.file == "s3://bucket/kept/nothing.tar.zst"
    assert main(["restore", kept, place, "-o", "s3://bucket/back/1", "--force", "-q"]) == 2


def test_of_what_was_published_before_only_wanted_archives_are_fetched(
    tmp_path: Path, stack: Path, bucket: BlobStore
) -> None:
    slim.run(stack, "first")
    upload(Path("first"), bucket, "out/1")
    archives = sorted(name for name in files(Path("first")) if "/" not in name)
    assert len(archives) > 1
    manifest = Path("first/__venvstacks__/venvstacks.json")
    document = json.loads(manifest.read_bytes())
    layers = [one for part in document["layers"].values() for one in part]
    changed = next(one for one in layers if one["archive_name"] == archives[0])
    changed["slim"]["tree_sha256"] = "0" * 64  # as if its files had been others
    bucket.put("out/1/__venvstacks__/venvstacks.json", json.dumps(document).encode())
    for blobs in Path("cache").glob("blobs/*/*"):
        blobs.unlink()
    [result] = slim.run("s3://bucket/in/stack", "second", previous="s3://bucket/out/1")
    since = {layer.archive_name: layer.since for layer in result.layers}
    assert since[archives[0]] == "changed"
    assert {since[name] for name in archives[1:]} == {"unchanged"}
    fetched = {path.name for path in Path("cache").glob("blobs/*/*") if path.suffix != ".lock"}
    by_name = {one["archive_name"]: one["archive_hashes"]["sha256"] for one in layers}
    assert {by_name[name] in fetched for name in archives[1:]} == {True}
    assert by_name[archives[0]] not in fetched
    bucket.put(f"out/1/{archives[1]}", b"x" * (bucket.size(f"out/1/{archives[1]}") or 0))
    for blobs in Path("cache").glob("blobs/*/*"):
        blobs.unlink()
    with pytest.raises(IntegrityError) as caught:
        slim.run("s3://bucket/in/stack", "third", previous="s3://bucket/out/1")
    assert caught.value.file == f"s3://bucket/out/1/{archives[1]}"


def test_a_report_in_a_bucket_is_a_baseline(stack: Path, bucket: BlobStore) -> None:
    assert main(["run", str(stack), "-o", "out", "-q", "--report", "json=report.json"]) == 0
    bucket.put("reports/last.json", Path("report.json"))
    Path("budget.toml").write_text('schema = 1\n[[budget]]\nname = "all"\narchive = "+1 MB"\n')
    check = ["check", "out", "--budget", "budget.toml", "-q", "--baseline"]
    assert main([*check, "s3://bucket/reports/last.json"]) == 0
    assert main([*check, "s3://bucket/in/stack"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["audit", "s3://bucket/none"], 6, "s3://bucket/none: nothing is there"),
        (["audit", "s3://nobucket/none"], 6, "NoSuchBucket"),
        (["audit", "s3://bucket/other"], 2, "neither a published stack nor an update"),
        (["audit", "s3://bucket/@newest"], 6, "names no newest release"),
        (["audit", "https://host/x"], 2, "no store is known"),
        (["audit", "s3://me:hidden1@bucket/x"], 2, "credentials"),
        (["run", "s3://bucket/in/stack", "-o", "s3://bucket/x", "--force"], 2, "never replaced"),
        (["run", "folder", "-o", "s3://bucket/x"], 2, "only published stacks"),
        (
            [
                *("delta", "apply", "s3://bucket/in/stack", "s3://bucket/none"),
                *("-o", "s3://bucket/x", "--format", "folder"),
            ],
            2,
            "as archives",
        ),
        (
            ["run", "s3://bucket/in/stack", "-o", "s3://bucket/x", "--newest", "s3://bucket/y"],
            2,
            "isn't below the place",
        ),
        (["run", "folder", "-o", "out", "--newest", "s3://bucket/y"], 2, "go with -o URL"),
        (["run", "s3://bucket/in/stack", "-o", "x", "--symbols", "s3://b/x"], 2, "not a URL"),
        (
            ["audit", "s3://bucket/in/stack", "--platform", "win_amd64"],
            2,
            "no manifest for platform win_amd64",
        ),
    ],
)
def test_what_is_wrong_is_told_with_the_url(
    stack: Path,
    bucket: BlobStore,
    arguments: list[str],
    code: int,
    words: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("folder").mkdir()
    bucket.put("other/file", b"x")
    assert main(arguments) == code
    told = capfd.readouterr().err
    assert words in told
    assert not any(secret in told for secret in (SECRET, "hidden1", "slim-work-", "Traceback"))


def test_an_archive_that_is_not_what_the_manifest_says(stack: Path, bucket: BlobStore) -> None:
    whole = (stack / "app-main.tar.xz").read_bytes()
    bucket.put("in/stack/app-main.tar.xz", whole[:-1])
    with pytest.raises(IntegrityError, match=f"has {len(whole) - 1} bytes") as caught:
        slim.audit("s3://bucket/in/stack")
    assert caught.value.file == "s3://bucket/in/stack/app-main.tar.xz"
    bucket.put("in/stack/app-main.tar.xz", whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(IntegrityError, match="SHA-256"):
        slim.audit("s3://bucket/in/stack")
    bucket.delete("in/stack/app-main.tar.xz")
    with pytest.raises(StorageError, match="isn't in the store"):
        slim.audit("s3://bucket/in/stack")


def test_a_release_that_is_not_complete_is_not_read(stack: Path, bucket: BlobStore) -> None:
    slim.run("s3://bucket/in/stack", "s3://bucket/out/1")
    bucket.delete("out/1/__venvstacks__/venvstacks.json")
    with pytest.raises(StorageError, match="isn't complete"):
        slim.audit("s3://bucket/out/1")
    slim.run("s3://bucket/in/stack", "s3://bucket/out/1")  # mends it
    assert slim.audit("s3://bucket/out/1", findings=False)


def test_a_damaged_download_is_fetched_anew(stack: Path, bucket: BlobStore) -> None:
    slim.measure("s3://bucket/in/stack")
    blobs = [path for path in Path("cache/blobs").glob("*/*") if len(path.name) == 64]
    assert len(blobs) == 3
    before = [path.stat().st_ctime_ns for path in blobs]
    slim.measure("s3://bucket/in/stack")
    assert [path.stat().st_ctime_ns for path in blobs] == before, "nothing touches a blob"
    good = blobs[0].read_bytes()
    blobs[0].write_bytes(bytes(len(good)))
    slim.measure("s3://bucket/in/stack")
    assert blobs[0].read_bytes() == good


def test_only_what_a_platform_needs_is_fetched(stack: Path, bucket: BlobStore) -> None:
    manifest = json.loads((stack / "__venvstacks__/venvstacks.json").read_text())
    for entries in manifest["layers"].values():
        for entry in entries:
            entry["target_platform"] = "win_amd64"
            entry["archive_name"] = f"win-{entry['archive_name']}"
            entry["archive_hashes"] = {"sha256": "0" * 64}
    bucket.put("in/stack/__venvstacks__/windows.json", json.dumps(manifest).encode())
    [linux] = slim.measure("s3://bucket/in/stack", platforms=["linux_x86_64"])
    assert linux.platform == "linux_x86_64"
    with pytest.raises(StorageError, match="win-"):
        slim.measure("s3://bucket/in/stack")
    bucket.delete("in/stack/__venvstacks__/venvstacks.json")
    # what was published before needn't have this platform
    slim.run(stack, "out", platforms=["linux_x86_64"], previous="s3://bucket/in/stack")


def test_no_store_is_needed_for_what_a_url_is_not(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a path object would lose a slash"):
        slim.measure("s3:/bucket/x")
    assert PACKAGE == NAME
