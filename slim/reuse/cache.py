"""The cache of results: an action cache and a content store, in a folder or an object store.

``ac/KEY`` is an entry: a JSON document with what an action gave, by the key of
:mod:`slim.reuse.actions`. ``cas/SHA256`` is a blob with the bytes of that SHA-256. The layout is
that of Bazel's HTTP cache (https://bazel.build/remote/caching); what is in an entry is slim's own.

A cache never has to work: what can't be read or written is told once, and made anew. A blob with
other bytes than its name says, and an entry that leads to a wrong result, go and are told.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from slim.errors import ConfigError, SlimError, StorageError, UnsafeInputError
from slim.stores.base import BlobStore
from slim.stores.folder import FolderStore
from slim.stores.open import open_store
from slim.system.remembered import is_private
from slim.system.strict_json import parse_json

_LOG = logging.getLogger(__name__)

ENTRIES: Final = "ac"
BLOBS: Final = "cas"
KEY_VARIABLE: Final = "SLIM_CACHE_KEY"
"""Environment variable with the secret that entries are signed with."""
MAX_ENTRY: Final = 8 << 20
"""Bytes of the largest entry."""
DAY: Final = 86_400
HEX: Final = re.compile(r"[0-9a-f]{64}\Z")
_LEAST_KEY: Final = 16
_HINT: Final = "the cache holds what slim didn't write; `slim cache verify` finds all of it"

T = TypeVar("T")


class ResultCache:
    """Results by the key of what made them. For several threads and processes at a time.

    ``notes`` are sentences about what was wrong with the cache, for people.
    """

    def __init__(self, store: BlobStore, secret: bytes | None = None, *, shared: bool) -> None:
        self.store = store
        self.notes: list[str] = []
        self._secret = secret
        self._shared = shared
        self._working = True
        self._doubted = False  # true once a blob had other bytes: then no other is taken on trust

    @property
    def is_trusted(self) -> bool:
        """True where nobody else can write entries that count: alone, or signed."""
        return self._secret is not None or not self._shared

    def get(self, action: str, key: str, *, trusted: bool = False) -> Mapping[str, Any] | None:
        """Return what an action gave; None where it isn't known.

        With ``trusted`` only entries of writers who are trusted count.
        """
        if trusted and not self.is_trusted:
            return None
        name = f"{ENTRIES}/{key}"
        data = self._tried(lambda: self.store.get(name, MAX_ENTRY))
        if data is None:
            return None
        try:
            entry = parse_entry(data, name)
            self._check(entry, action, key, trusted)
        except UnsafeInputError as error:
            self.drop(key, error.message)
            return None
        if entry["day"] != _today():
            self._write(action, key, entry["body"])  # it was of use today
        body: Mapping[str, Any] = entry["body"]
        return body

    def put(self, action: str, key: str, body: Mapping[str, object]) -> None:
        """Store what an action gave. Its blobs have to be there already."""
        self._write(action, key, body)

    def drop(self, key: str, why: str) -> None:
        """Remove an entry that is wrong, and tell it."""
        self.note(f"{ENTRIES}/{key} of the cache is dropped, and made anew: {why}")
        self._tried(lambda: self.store.delete(f"{ENTRIES}/{key}"))

    def add(self, path: Path, sha256: str, size: int) -> bool:
        """Store a file as a blob. Return whether it is there now.

        One of that size is taken for it, unless another one had other bytes: that one is replaced.
        """
        name = f"{BLOBS}/{sha256}"
        if not self._doubted and self._tried(lambda: self.store.size(name)) == size:
            return True

        def write() -> bool:
            self.store.put(name, path)
            return True

        return self._tried(write) is True

    def fetch(self, sha256: str, size: int, target: Path) -> bool:
        """Write a blob to a new file. False where it isn't there or isn't what its name says."""
        name = f"{BLOBS}/{sha256}"
        found = self._tried(lambda: self._copied(name, size, target))
        if found is None:
            if self._working:
                self.note(f"{name} of the cache is gone; its result is made anew")
            return False
        if found == sha256:
            return True
        target.unlink(missing_ok=True)
        self._doubted = True
        self.note(f"{name} of the cache has other bytes; it is dropped, and made anew")
        self._tried(lambda: self.store.delete(name))
        return False

    def piece(self, sha256: str, at: int, length: int) -> bytes | None:
        """Return bytes of a blob from an offset on; None where it isn't there, or shorter.

        Nothing tells whether they are the right ones: whoever takes them has to look.
        """
        return self._tried(lambda: self._part(f"{BLOBS}/{sha256}", at, length))

    def _part(self, name: str, at: int, length: int) -> bytes | None:
        found = bytearray()
        for data in self.store.read(name, at) or ():
            found += data[: length - len(found)]
            if len(found) == length:
                return bytes(found)
        return None

    def _copied(self, name: str, size: int, target: Path) -> str | None:
        """Copy a blob; return its SHA-256, of at most a byte more than ``size``."""
        pieces = self.store.read(name)
        if pieces is None:
            return None
        state = hashlib.sha256()
        left = size
        try:
            with target.open("xb") as stream:
                for piece in pieces:
                    state.update(piece)
                    left -= len(piece)
                    if left < 0:
                        break
                    stream.write(piece)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return state.hexdigest() if not left else ""

    def _write(self, action: str, key: str, body: Mapping[str, object]) -> None:
        entry: dict[str, object] = {"entry": 1, "action": action, "day": _today(), "body": body}
        if self._secret is not None:
            entry["mac"] = _mac(self._secret, action, key, body)
        data = _canonical(entry)
        if len(data) <= MAX_ENTRY:
            self._tried(lambda: self.store.put(f"{ENTRIES}/{key}", data))

    def _check(self, entry: Mapping[str, Any], action: str, key: str, trusted: bool) -> None:
        """Raise UnsafeInputError for an entry that doesn't count."""
        if entry["action"] != action:
            raise UnsafeInputError(f"it is one of the action {entry['action']}")
        check_signature(entry, key, self._secret if trusted or "mac" in entry else None)

    def _tried(self, do: Callable[[], T]) -> T | None:
        """Result of ``do``; None where the store fails, which is told once and ends its use."""
        if not self._working:
            return None
        try:
            return do()
        except (SlimError, OSError) as error:
            self._working = False
            self.note(f"the cache {self.store.url} isn't used any more: {_short(error)}")
            return None

    def note(self, text: str) -> None:
        """Tell what is wrong with the cache, for reports."""
        _LOG.warning("%s", text)
        self.notes.append(text)


def open_cache(
    place: str | Path,
    *,
    create: bool = True,
    inputs: Iterable[Path | None] = (),
    output: Path | None = None,
) -> ResultCache:
    """Return the cache at a folder or URL; with ``create`` it needn't exist yet.

    Raises ConfigError for a URL that is none of an object store, a file, a folder in one of the
    inputs or in the output, and a secret that is too short, StorageError where a folder isn't there
    or can't be made.
    """
    store = open_store(place)
    if not isinstance(store, FolderStore):
        return ResultCache(store, secret(), shared=True)
    folder = Path(store.url)
    if folder.exists() and not folder.is_dir():
        raise ConfigError("isn't a folder", file=folder, hint="--cache takes a folder or a URL")
    for other, what in (
        (output, "the output, which holds what is published"),
        *((given, "the input, which stays as it is") for given in inputs),
    ):
        if other is not None and folder.resolve().is_relative_to(other.resolve()):
            raise ConfigError(f"the cache would lie in {what}", file=folder)
    try:
        if create:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shared = not is_private(folder)
    except OSError as error:
        raise StorageError.from_os_error(error, file=folder) from None
    return ResultCache(store, secret(), shared=shared)


def secret() -> bytes | None:
    """Return the secret of :data:`KEY_VARIABLE`; None without. ConfigError for a short one."""
    stated = os.environ.get(KEY_VARIABLE, "")
    if not stated:
        return None
    if len(stated) < _LEAST_KEY:
        raise ConfigError(
            f"{KEY_VARIABLE} is too short to keep a secret",
            hint=f"at least {_LEAST_KEY} characters, such as of `openssl rand -hex 32`",
        )
    return stated.encode("utf-8", "surrogateescape")


def parse_entry(data: bytes, name: str) -> Mapping[str, Any]:
    """Parse an entry. Raises UnsafeInputError for what slim didn't write."""
    entry = parse_json(data, file=name, hint=_HINT)
    known = isinstance(entry, dict) and entry.get("entry") == 1
    if not (
        known
        and isinstance(entry.get("action"), str)
        and isinstance(entry.get("day"), int)
        and isinstance(entry.get("body"), dict)
        and isinstance(entry.get("mac", ""), str)
    ):
        raise UnsafeInputError("it is no entry that this slim knows", file=name, hint=_HINT)
    return dict(entry)


def check_signature(entry: Mapping[str, Any], key: str, secret: bytes | None) -> None:
    """Raise UnsafeInputError for an entry without the signature that the secret gives."""
    if secret is None:
        return
    wanted = _mac(secret, entry["action"], key, entry["body"])
    if not hmac.compare_digest(entry.get("mac", "").encode(), wanted.encode()):
        raise UnsafeInputError("its signature isn't that of this key")


def blobs_of(entry: Mapping[str, Any]) -> Mapping[str, int]:
    """Return the SHA-256 and the bytes of each blob that an entry leads to.

    Raises UnsafeInputError for one that can't be.
    """
    blobs = entry["body"].get("blobs")
    if not isinstance(blobs, dict) or not all(
        HEX.match(name) and type(size) is int and size >= 0 for name, size in blobs.items()
    ):
        raise UnsafeInputError("it names no blobs")
    return dict(blobs)


def _mac(secret: bytes, action: str, key: str, body: Mapping[str, object]) -> str:
    return hmac.new(secret, _canonical([action, key, body]), hashlib.sha256).hexdigest()


def _canonical(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def _today() -> int:
    return int(time.time() // DAY)


def _short(error: Exception) -> str:
    return error.message if isinstance(error, SlimError) else str(error)
