"""Remembers small values by key in a folder of the user's: a cache that may vanish at any time.

A value never has to be there, so whatever goes wrong with the folder or the file (no space, a
damaged file, another process that writes) means that nothing is remembered, and is no error.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from slim.system.closing import Closing

if TYPE_CHECKING:
    import sqlite3

_LOG = logging.getLogger(__name__)

CACHE_VARIABLE: Final = "SLIM_CACHE_DIR"
"""Environment variable with the folder, where it isn't the usual one."""
MAX_SIZE: Final = 1 << 30
"""Bytes of the largest file; a larger one is begun anew."""
UNUSED_DAYS: Final = 30
"""Days after which a value that nobody asked for goes."""
_DAY: Final = 86_400
_PATIENCE: Final = 2.0
"""Seconds to wait for another process that writes."""
_BATCH: Final = 2_000
"""Values that are written at a time."""


def cache_folder() -> Path:
    """Folder of the cache: that of :data:`CACHE_VARIABLE`, or the user's cache folder."""
    stated = os.environ.get(CACHE_VARIABLE)
    if stated:
        return Path(stated)
    from platformdirs import user_cache_path  # late: only commands that analyse need it

    return user_cache_path("venvstacks-slim", appauthor=False)


class Remembered(Closing):
    """Values by key (both bytes) in one SQLite file. Not for several threads at a time.

    ``folder`` is made where it doesn't exist; one that others may write to is left alone, since
    what lies there decides over what is removed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.sqlite"
        self._today = int(time.time() // _DAY)
        self._new: dict[bytes, bytes] = {}
        self._asked: set[bytes] = set()
        self._database = self._open(folder)

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; None where it isn't known."""
        if key in self._new:
            return self._new[key]
        if self._database is None:
            return None
        import sqlite3

        try:
            query = "SELECT value, used FROM readings WHERE key = ?"
            row = self._database.execute(query, (key,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        if row is None or not isinstance(row[0], bytes):
            return None
        if row[1] != self._today:
            self._asked.add(key)
        return row[0]

    def __contains__(self, key: bytes) -> bool:
        """True if the value of a key is known."""
        if key in self._new:
            return True
        if self._database is None:
            return False
        import sqlite3

        try:
            query = "SELECT 1 FROM readings WHERE key = ?"
            return self._database.execute(query, (key,)).fetchone() is not None
        except sqlite3.Error as error:
            self._give_up(error)
            return False

    def put(self, key: bytes, value: bytes) -> None:
        """Remember a value. It is written when enough have come together, and at the end."""
        if self._database is not None:
            self._new[key] = value
            if len(self._new) >= _BATCH:
                self.save()

    def save(self) -> None:
        """Write what is new."""
        if self._database is None or not (self._new or self._asked):
            return
        import sqlite3

        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO readings (key, value, used) VALUES (?, ?, ?)",
                    [(key, value, self._today) for key, value in self._new.items()],
                )
                self._database.executemany(
                    "UPDATE readings SET used = ? WHERE key = ?",
                    [(self._today, key) for key in self._asked],
                )
        except sqlite3.Error as error:
            self._give_up(error)
        self._new.clear()
        self._asked.clear()

    def close(self) -> None:
        """Write what is new, and forget what nobody asked for in a long time."""
        self.save()
        if self._database is None:
            return
        import sqlite3

        try:
            self._forget_unused(self._database)
        except sqlite3.Error as error:
            self._give_up(error)
        else:
            self._database.close()
        self._database = None

    def _forget_unused(self, database: sqlite3.Connection) -> None:
        """Remove old values, once a day: all of the file is read for it.

        The file's ``user_version`` is the day on which it was done. Raises sqlite3.Error.
        """
        (done,) = database.execute("PRAGMA user_version").fetchone()
        if done == self._today:
            return
        with database:
            last = self._today - UNUSED_DAYS
            database.execute("DELETE FROM readings WHERE used < ?", (last,))
            database.execute(f"PRAGMA user_version = {self._today:d}")

    def _open(self, folder: Path) -> sqlite3.Connection | None:
        import sqlite3

        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_private(folder):
                _LOG.info("%s isn't used as a cache: others may write to it", folder)
                return None
            if self._file.is_file() and self._file.stat().st_size > MAX_SIZE:
                self._file.unlink()
            return self._connect()
        except (OSError, sqlite3.Error) as error:
            _LOG.info("no cache in %s: %s", folder, error)
        with suppress(OSError):  # damaged: the next run begins anew
            self._file.unlink()
        return None

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        database = sqlite3.connect(self._file, timeout=_PATIENCE, check_same_thread=False)
        try:
            # What a crash of the machine damages is found out, and costs no more than a cold run.
            database.execute("PRAGMA synchronous = OFF")
            database.execute(
                "CREATE TABLE IF NOT EXISTS readings "
                "(key BLOB PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.Error:
            database.close()
            raise
        return database

    def _give_up(self, error: Exception) -> None:
        """Remember nothing more, after the database failed."""
        import sqlite3

        _LOG.info("%s isn't used any more: %s", self._file, error)
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
        self._database = None
        self._new.clear()
        self._asked.clear()


def is_private(folder: Path) -> bool:
    """True for a folder of this user's that nobody else may write to (POSIX)."""
    if os.name != "posix":
        return True
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
