"""Check ``files``: what programs opened in the original is there in the result.

The kernel tells which files of the original's deployment are opened while modules are imported and
commands run, by whatever process and library: inotify(7). Python's own files are left to the check
``imports``: whether a module can be imported tells more than whether its source was read.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from slim.model.record import FileKey
from slim.verification.dynamic.deploy import Deployment

NAME: Final = "files"
_IN_OPEN, _IN_ONLYDIR = 0x20, 0x01000000
_IN_ISDIR, _IN_Q_OVERFLOW = 0x40000000, 0x4000
_EVENT: Final = struct.Struct("=iIII")  # struct inotify_event, before the name
_PYTHON: Final = (".py", ".pyc", ".pyi")


@dataclass(kw_only=True)
class Opened:
    """Files that were opened so far, and why some may be missing from them (empty: none are)."""

    files: set[FileKey] = field(default_factory=set)
    gap: str = ""

    def data_files(self, deployment: Deployment) -> list[FileKey]:
        """List the published files among them that aren't Python's own, sorted."""
        return sorted(
            (layer, path)
            for layer, path in self.files
            if path in deployment.members.get(layer, {}) and not path.endswith(_PYTHON)
        )

    @contextlib.contextmanager
    def observe(self, root: Path) -> Iterator[None]:
        """Note what is opened below a deployment's root while the block runs."""
        watcher = _Watcher(root, self) if sys.platform == "linux" else None
        if watcher is None:
            self.gap = "this system doesn't tell which files programs open"
        try:
            yield
        finally:
            if watcher is not None:
                watcher.stop()


class _Watcher:
    """inotify's descriptor, and a thread that reads it."""

    def __init__(self, root: Path, opened: Opened) -> None:
        self._root, self._opened = str(root), opened
        self._folders: dict[int, str] = {}
        self._handle = -1
        self._wake, self._wake_in = os.pipe()
        self._thread = threading.Thread(target=self._read, daemon=True)
        try:
            self._handle = self._start()
        except (OSError, AttributeError) as error:
            self._opened.gap = f"this system doesn't tell which files programs open: {error}"
        if self._handle >= 0:
            self._thread.start()

    def _start(self) -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        handle: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if handle < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for folder, _, _ in os.walk(self._root):
            place = os.fsencode(folder)
            number: int = libc.inotify_add_watch(handle, place, _IN_OPEN | _IN_ONLYDIR)
            if number < 0:
                os.close(handle)
                raise OSError(ctypes.get_errno(), "inotify_add_watch")
            self._folders[number] = folder[len(self._root) + 1 :]
        return handle

    def stop(self) -> None:
        """Read what there is, and let go."""
        os.close(self._wake_in)
        if self._handle >= 0:
            self._thread.join()
            os.close(self._handle)
        os.close(self._wake)

    def _read(self) -> None:
        ended = False
        while not ended:
            ready, _, _ = select.select([self._handle, self._wake], [], [])
            ended = self._wake in ready
            with contextlib.suppress(BlockingIOError):
                while data := os.read(self._handle, 1 << 18):
                    self._take(data)

    def _take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                self._opened.gap = "programs opened files faster than the kernel told"
            name = os.fsdecode(data[at - length : at].rstrip(b"\0"))
            folder = self._folders.get(number)
            if folder and name and not mask & _IN_ISDIR:
                layer, _, inner = folder.partition("/")
                self._opened.files.add((layer, f"{inner}/{name}" if inner else name))
