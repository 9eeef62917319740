"""From a text to a store: which URLs there are, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from slim.errors import ConfigError
from slim.stores.base import BlobStore
from slim.stores.folder import FolderStore
from slim.stores.redact import redacted
from slim.system.urls import is_url

__all__ = ["SCHEMES", "checked_url", "is_url", "open_store"]

SCHEMES = ("s3", "gs", "az", "abfs", "abfss")
"""Beginnings of URLs that name a place in an object store."""


def checked_url(text: str) -> str:
    """Return the URL of a place in an object store, without a slash at its end.

    Raises ConfigError for schemes that there is no store for, for a URL without a bucket, and for
    one with credentials or a query in it: whatever names a place ends up in logs and reports.
    """
    shown = redacted(text)
    known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ConfigError("not a URL", file=shown, hint=f"stores are {known}") from None
    if parts.scheme.lower() not in SCHEMES or not text[len(parts.scheme) :].startswith("://"):
        hint = f"stores are {known}; a path object would lose a slash: give a text"
        raise ConfigError("no store is known for such a URL", file=shown, hint=hint)
    account = "@" in parts.netloc and parts.scheme.lower() in ("abfs", "abfss")
    if ("@" in parts.netloc and (not account or ":" in parts.netloc)) or parts.query:
        raise ConfigError(
            "a URL with credentials or a query in it would end up in logs",
            file=shown,
            hint="credentials come from the environment: see docs/remote",
        )
    if not parts.netloc:
        raise ConfigError("names no bucket", file=shown, hint="for example s3://bucket/folder")
    path = "/".join(part for part in parts.path.split("/") if part)
    if any(part in (".", "..") for part in path.split("/")):
        raise ConfigError("a URL has no . or .. in it", file=shown)
    return f"{parts.scheme.lower()}://{parts.netloc}{f'/{path}' if path else ''}"


def open_store(text: str | Path) -> BlobStore:
    """Return the store that a URL or a path names. The place needn't exist yet.

    Raises ConfigError for a URL that is none of an object store, and where obstore isn't installed.
    """
    words = str(text)
    if not is_url(words):
        return FolderStore(Path(words))
    from slim.stores.objects import ObjectStore

    return ObjectStore(checked_url(words))
