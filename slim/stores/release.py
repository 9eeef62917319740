"""Releases in a store: published so that whoever starts at a manifest never sees half a set.

One primitive is needed, which S3, Ceph's gateway, Azure and Google's store all have: a small blob
that is only written where there is none (``If-None-Match: *``). First a mark with the size and the
SHA-256 of every file is created: of several writers with different bytes one gets it, and the
others leave. Then come archives and metadata, and last the manifests, created likewise.

A pointer to the newest release is a numbered blob, created; nothing is ever replaced.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slim.errors import ConfigError, IntegrityError, SlimError, StorageError, UnsafeInputError
from slim.model.progress import Progress
from slim.stores.base import BlobStore, TornError
from slim.system.hashing import sha256_of_pieces
from slim.system.regular import open_regular
from slim.system.strict_json import parse_json

MARK = ".slim-release.json"
"""Blob of a release with the names, sizes and hashes of its files, and which come last."""
NEWEST = "@newest"
"""Folder of the numbered blobs that name releases; the highest number is the newest."""

_POINTER = re.compile(rf"{NEWEST}/([0-9]{{8}})\Z")
_MOST_POINTERS = 10**8
_SMALL = 4 << 20
"""Bytes up to which a file is created, and not put: always in one request."""
_LARGEST_MARK = 16 << 20
_CHUNK = 1 << 20
_OTHER = "a release has a place of its own; give another one, or remove what lies there"
_UNSAFE = (
    "two runs at once could mix their files there; use another store, or --unsafe-store if "
    "nothing else ever writes to this place"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    size: int
    sha256: str


def publish_release(
    staged: Path,
    store: BlobStore,
    *,
    last: Iterable[str],
    unsafe: bool,
    progress: Progress,
) -> None:
    """Publish the files of a folder, which is complete, as a release of its own.

    ``last`` are the files that a reader starts at. What is there already with the same bytes stays
    (a run that was broken off goes on so). Raises IntegrityError for other bytes: then nothing of
    the new set can be seen by who starts at a manifest. Raises ConfigError for a store that ignores
    create-only writes, unless ``unsafe``.
    """
    files = dict(_files(staged))
    final = sorted(last)
    progress.stage("Publishing", total=sum(file.size for file in files.values()), unit="bytes")
    if store.is_remote and not unsafe and not honours_create(store):
        raise ConfigError(
            "this store ignores create-only writes (If-None-Match), which a release needs",
            file=store.url,
            hint=_UNSAFE,
        )
    mark = _mark(files, final)
    kept = _already_there(store, files, mark)
    _create(store, MARK, mark, unsafe=unsafe)
    for name in sorted(files.keys() - set(final)) + final:
        if name not in kept:
            _write(store, name, files[name], unsafe=unsafe)
        progress.advance(files[name].size)


def honours_create(store: BlobStore) -> bool:
    """Return whether the store leaves a blob as it is that somebody creates again."""
    name = f".slim-probe-{secrets.token_hex(8)}"
    try:
        store.create(name, b"1")
        refused = not store.create(name, b"2")
        return refused and store.get(name, 1) == b"1"
    finally:
        with suppress(SlimError):  # who may write needn't be allowed to delete
            store.delete(name)


def check_finished(store: BlobStore, names: Iterable[str]) -> None:
    """Raise StorageError where a release isn't complete: ``names`` are the blobs that there are."""
    raw = store.get(MARK, _LARGEST_MARK)
    if raw is None:
        return  # another tool published it
    where = f"{store.url}/{MARK}"
    mark = parse_json(raw, file=where, hint=_OTHER)
    final = mark.get("last") if isinstance(mark, dict) else None
    if not isinstance(final, list):
        raise UnsafeInputError("isn't the mark of a release", file=where, hint=_OTHER)
    if not set(final) <= set(names):
        raise StorageError(
            "isn't complete: it is being published, or publishing it was broken off",
            file=store.url,
            hint="wait, or publish it again; what is there already isn't sent twice",
        )


def newest(store: BlobStore) -> str:
    """Return the name of the newest release below ``store``. Raises StorageError for none."""
    _number, name = _newest(store)
    if name is None:
        raise StorageError(
            "names no newest release",
            file=f"{store.url}/{NEWEST}",
            hint="publish one with --newest, or give the release itself",
        )
    return name


def point_to(store: BlobStore, release: str) -> None:
    """Name a release below ``store`` as the newest, unless it is already.

    Of two releases at once both get a number, and the later one is the newest.
    """
    text = json.dumps({"release": release}).encode() + b"\n"
    while True:
        number, name = _newest(store)
        if name == release:
            return
        store.create(f"{NEWEST}/{number + 1:08d}", text)  # taken by another: the next number


def _newest(store: BlobStore) -> tuple[int, str | None]:
    """Return the highest number and what it names; 0 and None where there is none."""
    found = (_POINTER.match(blob.name) for blob in store.list(NEWEST))
    number = max((int(match[1]) for match in found if match), default=0)
    if number == 0:
        return 0, None
    where = f"{NEWEST}/{number:08d}"
    raw = store.get(where, _CHUNK)
    value = parse_json(raw or b"", file=f"{store.url}/{where}", hint="remove it")
    name = value.get("release") if isinstance(value, dict) else None
    if not isinstance(name, str) or not name or {"", ".", ".."} & set(name.split("/")):
        raise UnsafeInputError("names no release", file=f"{store.url}/{where}", hint="remove it")
    return number, name


def _files(staged: Path) -> Iterator[tuple[str, _File]]:
    for path in sorted(staged.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ConfigError(
                "only archives and metadata go to a store, no unpacked layers",
                file=path,
                hint="publish a stack with archives: leave --format folder out",
            )
        if path.is_file():
            name = path.relative_to(staged).as_posix()
            sha256 = sha256_of_pieces(_pieces(path))
            yield name, _File(path=path, size=path.stat().st_size, sha256=sha256)


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with open_regular(path) as stream:
            while data := stream.read(_CHUNK):
                yield data
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from error


def _mark(files: Mapping[str, _File], final: list[str]) -> bytes:
    known = {name: {"size": file.size, "sha256": file.sha256} for name, file in files.items()}
    value = {"schema_version": 1, "files": known, "last": final}
    return json.dumps(value, indent=2, sort_keys=True).encode() + b"\n"


def _already_there(store: BlobStore, files: Mapping[str, _File], mark: bytes) -> set[str]:
    """Return the files that are there with the same bytes. Raises IntegrityError for others."""
    found = store.get(MARK, _LARGEST_MARK)
    if found not in (None, mark):
        raise _conflict(store, "another release lies there, or is being published there")
    kept = set()
    sizes = {blob.name: blob.size for blob in store.list()}
    for name, file in files.items():
        size = sizes.get(name)
        if size is not None:
            if size != file.size or _stored_sha256(store, name) != file.sha256:
                raise _conflict(store, "lies there already, with other bytes", name)
            kept.add(name)
    return kept


def _stored_sha256(store: BlobStore, name: str) -> str:
    """SHA-256 of a blob; empty where it is gone. Goes on where a connection broke."""
    state, done, torn = hashlib.sha256(), 0, 0
    while True:
        try:
            pieces = store.read(name, done)
            if pieces is None:
                return ""
            for piece in pieces:
                state.update(piece)
                done += len(piece)
            return state.hexdigest()
        except TornError:
            torn += 1
            if torn > 5:
                raise


def _create(store: BlobStore, name: str, data: bytes, *, unsafe: bool) -> None:
    """Create a blob, or find the very same there. Raises IntegrityError for another one.

    An ``unsafe`` store is asked first, since it would replace what is there.
    """
    limit = max(len(data), _LARGEST_MARK)
    present = store.get(name, limit) if unsafe else None
    if present is None:
        if store.create(name, data):
            return
        present = store.get(name, limit)
    if present != data:
        raise _conflict(store, "was published by somebody else meanwhile", name)


def _write(store: BlobStore, name: str, file: _File, *, unsafe: bool) -> None:
    if file.size <= _SMALL:
        _create(store, name, b"".join(_pieces(file.path)), unsafe=unsafe)
        return
    store.put(name, file.path)
    size = store.size(name)
    if size != file.size:
        raise StorageError(
            f"has {size} bytes after {file.size} were written",
            file=f"{store.url}/{name}",
            hint="publish again; a proxy between may cut what goes through it",
        )


def _conflict(store: BlobStore, message: str, name: str = "") -> IntegrityError:
    return IntegrityError(message, file=f"{store.url}/{name}".rstrip("/"), hint=_OTHER)
