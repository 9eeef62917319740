"""Unpacks a rest pack over its layer. The product brings the file; this checks and unpacks it.

The pack's SHA-256 stands in the layer's own table. What is brought is copied to a private file and
hashed on the way, and only that copy is read. Nothing is ever fetched here.
"""

import _imp
import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable
    from typing import IO

    from ._tables import Table

_CHUNK = 1 << 20
_WAIT = 60.0
"""Seconds that a thread waits while another one brings a pack."""


class Pack:
    """Rest pack that is wanted: of which layer, its bytes and its SHA-256 (hexadecimal)."""

    def __init__(self, layer: str, size: int, sha256: str) -> None:
        self.layer = layer
        self.size = size
        self.sha256 = sha256


_done: "dict[str, str]" = {}
_lock = _thread.allocate_lock()
_owner = 0


def brought(table: "Table", bring: "Callable[[Pack], str | None]") -> str:
    """Have the pack of a table brought, and unpack it; once for each pack in a process.

    Returns an empty text, or a sentence about what was wrong. The lock of all imports is let go
    meanwhile, so that the product's function and its threads may import.
    """
    global _owner
    sha256, size = table.header["pack"][0].split()
    if sha256 in _done:
        return _done[sha256]
    if _owner == _thread.get_ident():
        return "The function that brings its rest pack imports it."
    held = _imp.lock_held()
    if held:
        _imp.release_lock()
    try:
        if not _lock.acquire(timeout=_WAIT):
            return "Its rest pack is still being brought."
        try:
            _owner = _thread.get_ident()
            if sha256 not in _done:
                _done[sha256] = _unpacked(table, Pack(table.layer, int(size), sha256), bring)
            return _done[sha256]
        finally:
            _owner = 0
            _lock.release()
    finally:
        if held:
            _imp.acquire_lock()


def _unpacked(table: "Table", pack: Pack, bring: "Callable[[Pack], str | None]") -> str:
    try:
        import hashlib
        import lzma  # noqa: F401 - what tarfile needs to read the pack
        import tarfile
        import tempfile

        place = bring(pack)
        if place is None:
            return "Its rest pack wasn't brought."
        with tempfile.TemporaryFile() as copy:
            state, left = hashlib.sha256(), pack.size
            with open(place, "rb") as file:
                while left >= 0:
                    chunk = file.read(min(_CHUNK, left + 1))
                    if not chunk:
                        break
                    state.update(chunk)
                    copy.write(chunk)
                    left -= len(chunk)
            if left != 0 or state.hexdigest() != pack.sha256:
                return "Its rest pack was refused: its SHA-256 isn't %s." % pack.sha256
            copy.seek(0)
            with tarfile.open(fileobj=copy, mode="r:xz") as archive:
                for info in archive:
                    _write(archive, info, table)
    except Exception as error:
        return "Its rest pack couldn't be used: %s: %s." % (type(error).__name__, error)
    for finder in list(sys.path_importer_cache.values()):
        forget = getattr(finder, "invalidate_caches", None)
        if forget is not None:
            forget()
    return ""


def _write(archive: "tarfile.TarFile", info: "tarfile.TarInfo", table: "Table") -> None:
    """Write one member over the layer; each appears at once, complete."""
    layer, *parts = info.name.split("/")
    if layer != table.layer or not parts or any(part in ("", ".", "..") for part in parts):
        if info.isdir() and info.name == table.layer:
            return
        raise ValueError("%r doesn't lie in the layer" % info.name)
    place = os.path.join(table.folder, *parts)
    if info.isdir():
        os.makedirs(place, exist_ok=True)
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    fresh = "%s.%d.slim" % (place, os.getpid())
    try:
        if info.issym():
            os.symlink(info.linkname, fresh)
        else:
            content = archive.extractfile(info)
            if content is None:
                raise ValueError("%r is no file" % info.name)
            _copy(content, fresh)
            os.chmod(fresh, info.mode)
            os.utime(fresh, (info.mtime, info.mtime))
        os.replace(fresh, place)
    except BaseException:
        if os.path.lexists(fresh):
            os.unlink(fresh)
        raise


def _copy(content: "IO[bytes]", target: str) -> None:
    with open(target, "xb") as file:
        while True:
            chunk = content.read(_CHUNK)
            if not chunk:
                return
            file.write(chunk)
