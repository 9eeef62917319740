"""Settings and hosts as JSON, for keys: whatever differs in what can change a byte differs here."""

from __future__ import annotations

import dataclasses
import os
import platform
import re
import sys
from collections.abc import Collection, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Final

_WITHOUT: Final = frozenset({"jobs", "cache", "files", "origin", "budgets"})
"""Fields that no byte of a result depends on: where settings were read from, how fast to be, and
what ``slim check`` compares."""


def settled(value: object) -> object:
    """A setting as JSON. Raises TypeError for what can't be told apart by its text.

    Every field of a dataclass is in it, but for those that change no byte: a field that is new is
    in it without anybody's doing.
    """
    if isinstance(value, Enum):
        return [type(value).__name__, value.name]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in _WITHOUT]
        fields = {name: settled(getattr(value, name)) for name in names}
        return [type(value).__name__, fields]
    if isinstance(value, Mapping):
        return ["map", [[settled(key), settled(item)] for key, item in value.items()]]
    if isinstance(value, set | frozenset):
        return ["set", sorted((settled(item) for item in value), key=repr)]
    if isinstance(value, Collection) and not isinstance(value, bytes):
        return [settled(item) for item in value]
    if isinstance(value, re.Pattern):
        return ["pattern", value.pattern, value.flags]
    if isinstance(value, PurePath) or type(value).__module__.startswith("packaging."):
        return [type(value).__name__, str(value)]
    raise TypeError(f"{type(value).__name__} can't be part of a key")


def host() -> Mapping[str, object]:
    """Facts of this machine that what is tried on it may depend on."""
    return {
        "system": [*platform.uname()[:1], *platform.uname()[2:5]],
        "libc": platform.libc_ver(),
        "python": sys.version,
        "user": os.geteuid() if hasattr(os, "geteuid") else None,
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name in ("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "TZ", "LANG", "LC_ALL", "DISPLAY")
            or (name.startswith("SLIM_") and name not in ("SLIM_CACHE_KEY", "SLIM_CACHE_DIR"))
        },
    }
