"""Object stores: S3 and what speaks its language, Google's, and Azure's, through obstore.

Credentials, regions and endpoints come from the environment variables that each vendor's own tools
read (``AWS_ENDPOINT_URL``, ``AZURE_STORAGE_ACCOUNT_NAME``, ``GOOGLE_APPLICATION_CREDENTIALS``).

Sources: RFC 9110 section 13.1.2 (``If-None-Match: *``), the S3 API's PutObject,
https://developmentseed.org/obstore/.
"""

from __future__ import annotations

import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from slim.errors import ConfigError, LimitError, StorageError
from slim.stores.base import Blob, TornError, checked
from slim.stores.redact import redacted
from slim.stores.waiting import interruptible

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

_PART = 16 << 20
"""Bytes of a part of a large upload. S3 takes 10,000 parts: enough for 160 GB."""
_PARTS = 4
"""Parts that are uploaded at once."""
_CHUNK = 4 << 20
"""Bytes that are read at a time."""
PATIENCE_VARIABLE = "SLIM_REMOTE_PATIENCE"
"""Environment variable with the seconds for which a request that fails is tried again."""
_PATIENCE = 150
_RETRIES = 8
"""How often obstore tries a request again, or a part of an upload: some 15 seconds."""
_LONGEST_WAIT = 10.0
"""Seconds between two tries, at most."""
_SILENCE = timedelta(seconds=60)
"""Time that a server may say nothing."""
_AGAIN = "see whether the store is up and can be reached from here, and run again"
_CODE = re.compile(r"<Code>([^<]{1,200})")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})")
_STATUS = re.compile(r"status code: (\d{3})")
_INSTALL = 'pip install "venvstacks-slim[remote]"'


class ObjectStore:
    """Blobs below one prefix of a bucket. ``url`` mustn't hold credentials."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._patience = _patience()
        self._obstore, self._store = _opened(self._url, self._patience)

    @property
    def url(self) -> str:
        """The URL."""
        return self._url

    @property
    def is_remote(self) -> bool:
        """True: others can write to it."""
        return True

    def get(self, name: str, limit: int) -> bytes | None:
        """Return a blob's bytes; None where there is none. LimitError for more than ``limit``."""

        def bounded() -> bytes | None:
            answer = self._open(name, 0)
            if answer is None:
                return None
            if answer.meta["size"] > limit:
                raise LimitError(f"more than {limit} bytes", file=self._name(name))
            return bytes(answer.bytes())

        return self._done(bounded, name)

    def read(self, name: str, offset: int = 0) -> Iterator[bytes] | None:
        """Return a blob's bytes from ``offset`` on, in pieces; None where there is none."""
        answer = self._done(lambda: self._open(name, offset), name)
        return None if answer is None else self._pieces(name, answer.stream(_CHUNK))

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None where there is none."""

        def head() -> int | None:
            try:
                return int(self._obstore.head(self._store, checked(name))["size"])
            except FileNotFoundError:
                return None

        return self._done(head, name)

    def create(self, name: str, data: bytes) -> bool:
        """Write a blob that mustn't exist yet. False where it exists, which then stays as it is."""

        def create() -> bool:
            try:
                self._obstore.put(
                    self._store, checked(name), data, mode="create", use_multipart=False
                )
            except (
                self._obstore.exceptions.AlreadyExistsError,
                self._obstore.exceptions.PreconditionError,
            ):
                return False
            return True

        return self._done(create, name)

    def put(self, name: str, data: bytes | Path) -> None:
        """Write a blob, or replace it: a large file in parts, which appear as one."""

        def put() -> None:
            self._obstore.put(
                self._store, checked(name), data, chunk_size=_PART, max_concurrency=_PARTS
            )

        self._done(put, name)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        """Every blob below a folder of the store, by name."""
        below = checked(prefix) if prefix else None
        pages = iter(self._done(lambda: self._obstore.list(self._store, below), prefix))
        while (page := self._done(lambda: next(pages, None), prefix)) is not None:
            for row in page:
                changed = row["last_modified"].timestamp()
                yield Blob(name=row["path"], size=row["size"], changed=changed)

    def delete(self, name: str) -> None:
        """Remove a blob. It needn't exist."""

        def delete() -> None:
            with suppress(FileNotFoundError):
                self._obstore.delete(self._store, checked(name))

        self._done(delete, name)

    def _open(self, name: str, offset: int) -> Any:
        """Return the answer to a request for a blob; None where there is none."""
        options = {"range": {"offset": offset}} if offset else None
        try:
            return self._obstore.get(self._store, checked(name), options=options)
        except FileNotFoundError:
            return None

    def _pieces(self, name: str, stream: Any) -> Iterator[bytes]:
        while True:
            try:
                piece = interruptible(lambda: next(stream, None))
            except (self._obstore.exceptions.BaseError, OSError) as error:
                raise TornError(answer_of(error), file=self._name(name), hint=_AGAIN) from None
            if piece is None:
                return
            yield bytes(piece)

    def _done(self, call: Callable[[], T], name: str) -> T:
        """Return what a request returns, tried again for as long as what fails may pass.

        Raises StorageError with what the store answered.
        """
        since, wait = time.monotonic(), 0.1
        while True:
            try:
                return interruptible(call)
            except (self._obstore.exceptions.BaseError, ValueError, OSError) as error:
                left = self._patience - (time.monotonic() - since)
                if left <= 0 or not self._may_pass(error):
                    self._fail(error, name)
                _LOG.warning("%s; once more", answer_of(error))
            time.sleep(min(wait * random.uniform(0.5, 1), left))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _may_pass(self, error: Exception) -> bool:
        """True for throttling, resets, timeouts and 5xx: all that the store didn't refuse."""
        if type(error) is not self._obstore.exceptions.GenericError:
            return False
        refused = _STATUS.search(str(error))
        return refused is None or refused[1] in ("408", "425", "429") or refused[1][0] == "5"

    def _fail(self, error: Exception, name: str) -> NoReturn:
        kinds = self._obstore.exceptions
        hint = _AGAIN
        if isinstance(error, kinds.PermissionDeniedError | kinds.UnauthenticatedError):
            hint = "credentials come from the environment (AWS_ACCESS_KEY_ID ..., see docs/remote)"
        elif isinstance(error, FileNotFoundError) or "NoSuchBucket" in str(error):
            hint = "check the name of the bucket, and AWS_ENDPOINT_URL or its like"
        raise StorageError(answer_of(error), file=self._name(name), hint=hint) from None

    def _name(self, name: str) -> str:
        return f"{self._url}/{name}" if name else self._url


def answer_of(error: Exception) -> str:
    """Return what a store answered, in one line, without credentials."""
    text = str(error).partition("\n\nDebug source:")[0]
    parts = _CODE.search(text), _MESSAGE.search(text)
    if parts[0] is not None:  # the rest is numbers of the request
        words = ": ".join(found[1].strip() for found in parts if found)
        text = f"{text[: text.index('<')]}{words}"
    line = " ".join(redacted(text).split())
    return f"{line[:500]}..." if len(line) > 500 else line


def _opened(url: str, patience: int) -> tuple[Any, Any]:
    """Return the module obstore, and its store for a URL. Raises ConfigError."""
    try:
        import obstore
        import obstore.exceptions
        from obstore.store import from_url
    except ImportError:
        raise ConfigError(
            "object stores need obstore, which isn't installed", file=url, hint=_INSTALL
        ) from None
    try:
        return obstore, from_url(
            url,
            client_options={
                "connect_timeout": timedelta(seconds=10),
                "read_timeout": _SILENCE,
                "timeout": timedelta(hours=6),  # of a whole transfer, however large
                "user_agent": "venvstacks-slim",
                "allow_http": _endpoint_is_plain(),
            },
            retry_config={
                "max_retries": _RETRIES if patience else 0,
                "retry_timeout": timedelta(seconds=max(1, min(patience, _PATIENCE))),
            },
        )
    except (obstore.exceptions.BaseError, ValueError) as error:
        hint = "see docs/remote for the environment variables that say where a store is"
        raise ConfigError(answer_of(error), file=url, hint=hint) from None


def _patience() -> int:
    """Return the seconds of :data:`PATIENCE_VARIABLE`. Raises ConfigError."""
    stated = os.environ.get(PATIENCE_VARIABLE, str(_PATIENCE))
    if not re.fullmatch(r"[0-9]{1,4}", stated):
        raise ConfigError(
            f"must be a number of seconds, at most 9999, not {stated!r}", file=PATIENCE_VARIABLE
        )
    return int(stated)


def _endpoint_is_plain() -> bool:
    """True where an endpoint was stated with http://: a server of one's own, mostly."""
    names = (
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT",
        "AZURE_STORAGE_ENDPOINT",
        "AZURE_ENDPOINT",
        "GOOGLE_STORAGE_ENDPOINT",
    )
    return any(os.environ.get(name, "").startswith("http://") for name in names) or (
        os.environ.get("AZURE_STORAGE_USE_EMULATOR", "").lower() in ("1", "true")
    )
