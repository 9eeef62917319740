"""Blocks of archives that are compressed before anybody knows whether they will be written.

A plan takes one thread most of its time. Meanwhile the other processors compress what archives are
likely to hold. A block is taken by the digest of its content and settings, so a wrong guess costs
time that nobody wanted, and never changes a byte.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Executor, Future, wait
from functools import partial
from typing import Any, Final

from slim.formats.base import LikelyBlock
from slim.system.closing import Closing

_LOG = logging.getLogger(__name__)

_HELD: Final = 64 << 20
"""Bytes of finished blocks that may wait to be written; with more, none is begun."""


class Ahead(Closing):
    """Threads that compress likely blocks, group by group, until they are told which were right.

    Close it (it is a context manager) before what the contents are read from; then nothing is left
    running. For several threads at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[str, Iterator[LikelyBlock]]] = []
        self._begun: dict[str, tuple[str, Future[Any]]] = {}
        self._dropped: set[str] = set()
        self._ended = False
        self._stopped = False
        self._held = 0
        self._threads: list[threading.Thread] = []

    def begin(self, groups: Mapping[str, Iterator[LikelyBlock]], threads: int) -> None:
        """Begin with the blocks of each group, in order, on so many threads."""
        self._left = list(groups.items())
        self._threads = [
            threading.Thread(target=self._work, name=f"ahead-{at}") for at in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def settle(self, right: Collection[str]) -> None:
        """Begin no more, and stop what is being compressed for groups that aren't ``right``."""
        self._ended = True
        with self._lock:
            self._left.clear()
            for key, (group, future) in list(self._begun.items()):
                if group not in right:
                    self._dropped.add(group)
                    if not future.done():
                        del self._begun[key]

    def take(self, key: str) -> Future[Any] | None:
        """Return what becomes of a block, once; None where it wasn't begun, or was stopped."""
        with self._lock:
            _, future = self._begun.pop(key, ("", None))
        if future is None or not future.done():
            return future
        return None if future.exception() is not None else future

    def occupy(self, executor: Executor) -> None:
        """Have a thread of an executor idle for each block that is still being compressed."""
        with self._lock:
            running = [future for _, future in self._begun.values() if not future.done()]
        for future in running:
            executor.submit(wait, [future])

    def stop(self) -> None:
        """Stop everything, without waiting for it."""
        self._stopped = True
        self.settle(())

    def close(self) -> None:
        """Stop everything."""
        self.stop()
        for thread in self._threads:
            thread.join()
        self._begun.clear()

    def _work(self) -> None:
        while (each := self._next()) is not None:
            group, block, future = each
            try:
                made = block.compress(partial(self._is_stopped, group))
            except Exception as error:  # whoever writes such a block gets it
                future.set_exception(error)
            else:
                with self._lock:
                    self._held += len(made)
                future.set_result(made)

    def _is_stopped(self, group: str) -> bool:
        return self._stopped or group in self._dropped

    def _next(self) -> tuple[str, LikelyBlock, Future[Any]] | None:
        with self._lock:
            while self._left and not self._ended and self._held < _HELD:
                group, blocks = self._left[0]
                try:
                    block = next(blocks, None)
                except Exception:  # if it is true, writing the layer will tell
                    _LOG.debug("blocks of %s can't be guessed", group, exc_info=True)
                    block = None
                if block is None:
                    self._left.pop(0)
                elif block.key not in self._begun:
                    future: Future[Any] = Future()
                    future.set_running_or_notify_cancel()  # whoever waits can't cancel it
                    self._begun[block.key] = (group, future)
                    return group, block, future
        return None
