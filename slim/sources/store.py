"""A place in an object store: a published stack, one of its manifests, an update, or one file.

Of a stack come the manifests, the metadata, and the archives that the manifests name; archives by
size and SHA-256 from the folder of downloads, as symbolic links: a hard link would change the
ctime of an archive that a neighbour reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from slim.errors import ConfigError, IntegrityError, LimitError, StorageError, UnsafeInputError
from slim.formats.files import copy_file, write_file
from slim.inventory.locate import platform_of
from slim.inventory.manifest import (
    ENV_METADATA,
    FOLDER,
    LARGEST,
    layers_from_manifest,
    manifest_files,
    read_json,
)
from slim.model.progress import Silent
from slim.model.stack import ArchiveInfo
from slim.sources.base import Holds, Scheme, Wish
from slim.stores.base import Blob, BlobStore
from slim.stores.download import Downloads, Wanted, download, missing
from slim.stores.open import checked_url, is_url, open_store
from slim.stores.release import NEWEST, check_finished, newest
from slim.system.remembered import cache_folder

PACKAGE = "slim-delta.json"
"""File that makes a folder an update (see :mod:`slim.delta.document`)."""
_MOST_BLOBS = 5000
"""Blobs at one place that are looked at."""
_HINT = "give the folder of a published stack, a manifest in its __venvstacks__, or one file"


def _fetch(text: str, folder: Path, wish: Wish) -> Path:
    """Bring what a URL names into ``folder``, and return its place there."""
    url = checked_url(text)
    parent, _, last = url.rpartition("/")
    if last == NEWEST:
        url = f"{parent}/{newest(open_store(parent))}"
        parent, _, last = url.rpartition("/")
    store, top = open_store(url), folder / last
    blobs = _listed(store)
    if not blobs:
        return _file(parent, last, folder, wish)
    check_finished(store, blobs)
    if PACKAGE in blobs:  # which may hold manifests, too
        files = [blob for blob in blobs.values() if not blob.name.startswith(".slim-")]
        _copy(store, files, top, wish)
    elif any(_is_manifest(name) for name in blobs):
        _stack(store, blobs, top, wish)
    else:
        raise ConfigError("neither a published stack nor an update", file=url, hint=_HINT)
    return top


STORE = Scheme(name="store", holds=Holds.STACK | Holds.REPORT, recognises=is_url, fetch=_fetch)


def _listed(store: BlobStore) -> dict[str, Blob]:
    blobs: dict[str, Blob] = {}
    for blob in store.list():
        blobs[blob.name] = blob
        if len(blobs) > _MOST_BLOBS:
            raise LimitError(f"holds more than {_MOST_BLOBS} files", file=store.url, hint=_HINT)
    return blobs


def _is_manifest(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return folder == FOLDER and file.endswith(".json")


def _file(parent: str, name: str, folder: Path, wish: Wish) -> Path:
    """Bring one file: a manifest with the stack that it belongs to, or a report or an archive."""
    above, _, last = parent.rpartition("/")
    if last == FOLDER and name.endswith(".json"):
        store, top = open_store(above), folder / above.rpartition("/")[2]
        blobs = _listed(store)
        check_finished(store, blobs)
        if f"{FOLDER}/{name}" in blobs:
            others = [other for other in blobs if _is_manifest(other)]
            for other in set(others) - {f"{FOLDER}/{name}"}:
                del blobs[other]
            _stack(store, blobs, top, wish)
            return top / FOLDER / name
    in_bucket = not parent.endswith("/")
    store = open_store(parent if in_bucket else f"{parent}/{name}")
    size = store.size(name) if in_bucket else None
    if size is None:
        hint = f"{_HINT}; check the name of the bucket, too"
        raise StorageError("nothing is there", file=f"{parent}/{name}", hint=hint)
    _copy(store, [Blob(name=name, size=size, changed=0)], folder, wish)
    return folder / name


def _copy(store: BlobStore, blobs: Iterable[Blob], top: Path, wish: Wish) -> None:
    """Download blobs as files below ``top``."""
    blobs = list(blobs)
    wish.progress.stage("Fetching", total=sum(blob.size for blob in blobs), unit="bytes")
    for blob in blobs:
        target = top.joinpath(*blob.name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        download(store, blob.name, blob.size, target, wish.progress)


def _stack(store: BlobStore, blobs: dict[str, Blob], top: Path, wish: Wish) -> None:
    """Bring manifests, metadata, and the archives of the platforms that are wanted."""
    (top / FOLDER / ENV_METADATA).mkdir(parents=True)
    for name in blobs:
        folder, _, file = name.rpartition("/")
        if folder in (FOLDER, f"{FOLDER}/{ENV_METADATA}") and file.endswith(".json"):
            text = store.get(name, LARGEST)
            if text is None:
                raise StorageError("is gone", file=f"{store.url}/{name}", hint=_HINT)
            write_file(top / name, [text])
    archives = _archives(top, wish)
    wanted = [
        Wanted(name=archive.name, size=archive.size, sha256=archive.sha256)
        for archive in archives.values()
    ]
    downloads = _downloads(top.parent)
    if wish.later is not None:
        for blob in wanted:
            _put_off(store, blob, blobs.get(blob.name), top / blob.name, downloads, wish)
        return
    wish.progress.stage("Fetching", total=sum(blob.size for blob in wanted), unit="bytes")
    for blob in wanted:
        _link(downloads.fetch(store, blob, wish.progress), top / blob.name)


def _put_off(
    store: BlobStore,
    wanted: Wanted,
    stored: Blob | None,
    place: Path,
    downloads: Downloads,
    wish: Wish,
) -> None:
    """Put zeros of the size that an archive has in the store in its place, until it is brought."""
    assert wish.later is not None
    if stored is None:
        if not wish.lenient:
            missing(store, wanted)
        return  # of what was published before, only the manifest is at hand
    with place.open("xb") as stream:
        stream.truncate(stored.size)

    def bring() -> None:
        blob = downloads.fetch(store, wanted, Silent())
        place.unlink()
        _link(blob, place)

    wish.later[place] = bring


def _archives(top: Path, wish: Wish) -> dict[str, ArchiveInfo]:
    """Return the archives by name; manifests of other platforms than those wanted go."""
    platforms = wish.platforms
    archives: dict[str, ArchiveInfo] = {}
    tags = {}
    for path in manifest_files(top / FOLDER):
        layers = layers_from_manifest(path, read_json(path))
        tags[path] = platform_of(layers).tag
        if platforms and tags[path] not in platforms:
            continue
        for archive in (layer.archive for layer in layers if layer.archive is not None):
            if archives.setdefault(archive.name, archive) != archive:
                raise IntegrityError(
                    f"two entries of the manifests say different things of {archive.name}",
                    file=path,
                    hint="publish the stack again",
                )
    missing = sorted(set(platforms) - set(tags.values()))
    if missing and wish.lenient:
        return archives  # the other manifests stay: they are read, and nothing of them is taken
    if missing:
        known = ", ".join(sorted(set(tags.values())))
        raise ConfigError(
            f"no manifest for platform {', '.join(missing)}", file=top, hint=f"there is: {known}"
        )
    if not archives:
        raise UnsafeInputError("the manifest names no archives", file=top, hint=_HINT)
    for path, tag in tags.items():
        if platforms and tag not in platforms:
            path.unlink()
    return archives


def _downloads(private: Path) -> Downloads:
    """Return the folder of downloads: in the user's cache, or private where that can't be used."""
    folder = cache_folder() / "blobs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        folder = private / "blobs"
    downloads = Downloads(folder)
    downloads.prune()
    return downloads


def _link(blob: Path, place: Path) -> None:
    """Give a blob its name in the stack. Raises StorageError."""
    with suppress(OSError):
        place.symlink_to(blob)
        return
    copy_file(blob, place)  # Windows lets few users make links
