"""Parent's side of readings ahead: shares them out between child processes and this one.

Parsing and matching hold the interpreter lock, so that threads gain nothing. A child makes the same
readings as this process would; where one crashes or is killed, its share is left undone, and made
when it is asked for.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Final, NamedTuple, Self, TypeVar

from slim.analysis import ReadFile
from slim.errors import OutOfMemoryError
from slim.model.record import FileRecord
from slim.system.closing import Closing
from slim.system.worker import NoAnswer, Worker

MODULE: Final = "slim.analysis.ahead.worker"
MAX_CHILDREN: Final = 3
"""Processes besides this one; each takes some 50 MB."""
_BATCH: Final = 1 << 20
"""Bytes of files that are sent at a time, at most."""
_LEAST_BATCH: Final = 1 << 15
"""Bytes that are worth the way there and back."""
_BATCHES: Final = 32
"""Into how many batches little work is parted, so that all end it at about the same time."""
_SLICE: Final = 64 << 20
"""Bytes of the files of a part."""
_COUNTED: Final = 1 << 20
"""Bytes of a large file that count in a part: few are read, or one by one."""
_SECONDS: Final = 120.0
"""Seconds that a child may take for them. Real ones take less than one."""
_QUEUED: Final = 2
"""Batches on their way to each child."""
_TURN: Final = 0.001
"""Seconds after which this thread lets those that ask the children have a turn.

With Python's 5 ms, a child waits for its next batch three times as long as one takes it.
"""
_HELD: Final = 32 << 20
"""Bytes of them that are enough for all children: they are held in memory."""
_MAX_ACCIDENTS: Final = 3
"""Crashes after which no child is asked any more."""


class Wanted(NamedTuple):
    """A reading that is about to be asked for."""

    form: str
    """Name of its form."""
    variant: str
    """What else it depends on."""
    sha256: str
    """SHA-256 of the file in hexadecimal."""
    size: int
    """Bytes of the file."""
    read: Callable[[], bytes]

    @classmethod
    def of(cls, form: str, variant: str, record: FileRecord, read: ReadFile) -> Self:
        """The reading of a file of the stack."""
        return cls(form, variant, record.sha256, record.size, lambda: bytes(read(record)))

    @property
    def key(self) -> tuple[str, str, str]:
        """Form, variant and SHA-256: what makes it the same as another."""
        return self.form, self.variant, self.sha256


_Sized = TypeVar("_Sized", FileRecord, Wanted)


class Crew(Closing):
    """Child processes that make readings; started when first needed. Not for several threads."""

    def __init__(self, children: int) -> None:
        self._workers = [Worker(MODULE) for _ in range(min(children, MAX_CHILDREN))]
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._accidents = 0
        self.started = False
        """True once the children were asked anything."""

    @property
    def works(self) -> bool:
        """True if there is a child that can be asked."""
        return bool(self._workers) and self._accidents < _MAX_ACCIDENTS

    def share(
        self,
        wanted: Iterable[Wanted],
        own: Callable[[Wanted], None],
        other: Callable[[Wanted, str], None],
    ) -> None:
        """Have readings made: ``own`` makes one in this thread, ``other`` takes one as JSON.

        Both are called in this thread only. What a child failed to make is left out.
        """
        self.started = True
        all_wanted = list(wanted)
        size = sum(each.size for each in all_wanted)
        waiting = deque(_parts(all_wanted, min(_BATCH, max(_LEAST_BATCH, size // _BATCHES))))
        running: dict[Future[Sequence[str]], list[Wanted]] = {}
        held = 0
        with _short_turns(), ThreadPoolExecutor(max_workers=len(self._workers)) as threads:
            try:
                while waiting or running:
                    while waiting and self._has_room(len(running), held):
                        batch = waiting.popleft()
                        data = [each.read() for each in batch]
                        held += sum(each.size for each in batch)
                        running[threads.submit(self._ask, batch, data)] = batch
                    if waiting:
                        own(waiting[-1].pop())
                        if not waiting[-1]:
                            waiting.pop()
                    else:
                        wait(running, return_when=FIRST_COMPLETED)
                    for done in [future for future in running if future.done()]:
                        batch = running.pop(done)
                        held -= sum(each.size for each in batch)
                        for each, reading in zip(batch, done.result(), strict=False):
                            other(each, reading)
            except BaseException:
                self.close()  # Ctrl-C, say: the threads shall not be waited for
                raise

    def _has_room(self, batches: int, held: int) -> bool:
        """Return whether children may be sent more; ``held`` bytes are on their way to them."""
        return self.works and held < _HELD and batches < _QUEUED * len(self._workers)

    def close(self) -> None:
        """End the children."""
        for worker in self._workers:
            worker.close()

    def _ask(self, batch: Sequence[Wanted], data: Sequence[bytes]) -> Sequence[str]:
        """Return what a child made of a batch; nothing where it failed."""
        worker = self._free.get()
        files = [(each.form, each.variant, len(one)) for each, one in zip(batch, data, strict=True)]
        size = sum(map(len, data))
        try:
            answer = worker.ask({"files": files}, data, size=size, seconds=_SECONDS)
        except (NoAnswer, OutOfMemoryError):
            self._accidents += 1
            return ()
        finally:
            self._free.put(worker)
        readings = answer.get("readings")
        return readings if isinstance(readings, list) else ()


@contextmanager
def _short_turns() -> Iterator[None]:
    """Have threads of this process take shorter turns during the block."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def slices(records: Iterable[FileRecord]) -> Iterator[list[FileRecord]]:
    """The records in their order, in parts that are small enough to be read ahead at once.

    What is read of a part stays in memory until it is asked for.
    """
    return _parts(records, _SLICE)


def _parts(items: Iterable[_Sized], most: int) -> Iterator[list[_Sized]]:
    """The items in their order, in parts of at most that many bytes that count."""
    part: list[_Sized] = []
    size = 0
    for item in items:
        counted = min(item.size, _COUNTED)
        if part and size + counted > most:
            yield part
            part, size = [], 0
        part.append(item)
        size += counted
    if part:
        yield part
