"""Parent's side of readings ahead: child processes make them while this one does other things.

Parsing and matching hold the interpreter lock, so that threads gain nothing. A child makes the same
readings as this process would; where one crashes or is killed, its share is left undone, and made
when it is asked for.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Final, NamedTuple, Self

from slim.analysis import ReadFile
from slim.errors import OutOfMemoryError, SlimError
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
"""Into how many batches what waits is parted, so that the last ones are small."""
_SLICE: Final = 8 << 20
"""Bytes of the files of a part."""
_COUNTED: Final = 1 << 20
"""Bytes of a large file that count: few are read, or one by one, and tell little."""
_SECONDS: Final = 120.0
"""Seconds that a child may take for a batch. Real ones take less than one."""
_QUEUED: Final = 2
"""Batches on their way to each child."""
_TURN: Final = 0.001
"""Seconds after which this thread lets those that ask the children have a turn.

With Python's 5 ms, a child waits for its next batch three times as long as one takes it.
"""
_HELD: Final = 32 << 20
"""Bytes of files on their way that are enough for all children: they are held in memory."""
_UNASKED: Final = 64 << 20
"""Bytes of files of which readings may have been made that nobody has asked for yet."""
_FORESEEN: Final = 4096
"""Readings for later that wait in the queue at a time: each takes half a kilobyte."""
_MAX_ACCIDENTS: Final = 3
"""Crashes after which no child is asked any more."""

Key = tuple[str, str, str]
"""Form, variant and SHA-256 of a reading: what makes it the same as another."""


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
    def key(self) -> Key:
        """Form, variant and SHA-256."""
        return self.form, self.variant, self.sha256

    @property
    def weight(self) -> int:
        """Bytes that count."""
        return min(self.size, _COUNTED)


@dataclass(frozen=True, slots=True)
class Packed:
    """A reading as JSON, as a child made it."""

    text: str


class Queue:
    """Readings that wait to be made, in their order."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[Key, Wanted] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, wanted: Wanted) -> None:
        """Put one at the end."""
        self._waiting[wanted.key] = wanted
        self._weight += wanted.weight

    def drop(self, key: Key) -> Wanted | None:
        """Take one out of the queue, wherever it stands; None where it isn't there."""
        wanted = self._waiting.pop(key, None)
        if wanted is not None:
            self._weight -= wanted.weight
        return wanted

    def last(self) -> Wanted | None:
        """Take the last one; None where nothing waits."""
        return self.drop(next(reversed(self._waiting))) if self._waiting else None

    def batch(self) -> list[Wanted]:
        """Take the first ones, as many as make a batch."""
        most = min(_BATCH, max(_LEAST_BATCH, self._weight // _BATCHES))
        taken: list[Wanted] = []
        while self._waiting and (not taken or most > 0):
            _, wanted = self._waiting.popitem(last=False)
            most -= wanted.weight
            taken.append(wanted)
        self._weight -= sum(each.weight for each in taken)
        return taken


class Crew(Closing):
    """Child processes that make readings; started when first needed.

    Begin readings in the order in which they will be asked for. Children take them from the front;
    while this process waits for one that is on its way, it makes others from the back with ``own``.
    Closing ends the children. All methods are for one thread; ``read`` of what is wanted is called
    in others, too.
    """

    def __init__(self, children: int, own: Callable[[Wanted], object]) -> None:
        self._own = own
        self._workers = [Worker(MODULE) for _ in range(min(children, MAX_CHILDREN))]
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._free.put(worker)
        self._threads: list[Thread] = []
        self._turn: float | None = None
        self._accidents = 0
        self._foreseen: deque[Iterator[Wanted]] = deque()
        # All that follows is changed by who has the lock of this condition only.
        self._changed = Condition()
        self._closed = False
        self._soon, self._later = Queue(), Queue()
        self._sent: dict[Key, int] = {}
        """Those on their way, with the bytes of their files."""
        self._made: dict[Key, tuple[object, int]] = {}
        """Those that nobody has asked for yet, with the bytes of their files that count."""
        self._unasked = 0
        self._begun: set[Key] = set()
        """All of them."""

    @property
    def works(self) -> bool:
        """True if there is a child that can be asked."""
        return bool(self._workers) and self._accidents < _MAX_ACCIDENTS and not self._closed

    @property
    def started(self) -> bool:
        """True once the children were asked anything."""
        return bool(self._threads)

    def has_begun(self, key: Key) -> bool:
        """Return whether a reading was begun that nobody has asked for yet."""
        return key in self._begun

    def begin(self, wanted: Iterable[Wanted]) -> None:
        """Have readings made, in their order."""
        if self.works:
            self._add(self._soon, wanted)

    def foresee(self, wanted: Iterator[Wanted]) -> None:
        """Have readings made after all others. They are told one by one when there is room."""
        if self.works:
            self._foreseen.append(wanted)
            self._look_ahead()

    def _look_ahead(self) -> None:
        """See to it that there is something to be made for later."""
        while self._foreseen and len(self._later) < _FORESEEN // 2:
            some = list(islice(self._foreseen[0], _FORESEEN // 2))
            if not some:
                self._foreseen.popleft()
            self._add(self._later, some)

    def _add(self, queue: Queue, wanted: Iterable[Wanted]) -> None:
        with self._changed:
            for each in wanted:
                if each.key not in self._begun:
                    self._begun.add(each.key)
                    queue.add(each)
            self._changed.notify_all()
        if self._begun and not self.started:
            self._start()

    def result(self, key: Key) -> object:
        """A reading that was begun: as it is, or :class:`Packed`; None where it is left undone.

        Raises what ``own`` raises, of any reading that was begun.
        """
        self._look_ahead()
        while True:
            with self._changed:
                if key in self._made:
                    self._begun.discard(key)
                    return self._taken(key)
                if key not in self._sent:  # it still waits, or a child failed
                    self._begun.discard(key)
                    self._soon.drop(key)
                    self._later.drop(key)
                    return None
                other = self._soon.last() or self._later.last()
                if other is None:
                    self._changed.wait()
                    continue
            made = self._own(other)
            with self._changed:
                self._put(other, made)

    def _taken(self, key: Key) -> object:
        made, weight = self._made.pop(key)
        before, self._unasked = self._unasked, self._unasked - weight
        if before // _UNASKED != self._unasked // _UNASKED:
            self._changed.notify_all()
        return made

    def _put(self, wanted: Wanted, made: object) -> None:
        self._made[wanted.key] = (made, wanted.weight)
        self._unasked += wanted.weight

    def close(self) -> None:
        """End the children."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.close()
        for thread in self._threads:
            thread.join()
        for worker in self._workers:
            worker.close()  # one that was just about to start
        if self._turn is not None:
            sys.setswitchinterval(self._turn)
            self._turn = None

    # -- the threads that ask ----------------------------------------------------------------------

    def _start(self) -> None:
        self._turn = sys.getswitchinterval()
        sys.setswitchinterval(min(self._turn, _TURN))
        for _ in range(_QUEUED * len(self._workers)):
            thread = Thread(target=self._serve, name="readings ahead", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self) -> None:
        """Have batches made, one after the other, until there is no child to ask."""
        while batch := self._next():
            texts: Sequence[str] = ()
            try:
                texts = self._ask(batch)
            finally:  # whatever happens, nobody shall wait for them
                self._take(batch, texts)

    def _take(self, batch: Sequence[Wanted], texts: Sequence[str]) -> None:
        with self._changed:
            for at, each in enumerate(batch):
                del self._sent[each.key]
                text = texts[at] if at < len(texts) else ""
                if text:
                    self._put(each, Packed(text))
                else:  # it was too long, or the child failed
                    self._begun.discard(each.key)
            self._changed.notify_all()

    def _next(self) -> list[Wanted]:
        """Wait for a batch that may be sent; nothing where there is no child any more."""
        with self._changed:
            while self.works:
                if batch := self._batch():
                    self._sent.update((each.key, each.size) for each in batch)
                    return batch
                self._changed.wait()
        return []

    def _batch(self) -> list[Wanted]:
        if sum(self._sent.values()) >= _HELD or self._unasked >= 2 * _UNASKED:
            return []
        return self._soon.batch() or (self._later.batch() if self._unasked < _UNASKED else [])

    def _ask(self, batch: Sequence[Wanted]) -> Sequence[str]:
        """Return what a child made of a batch; nothing where it failed."""
        try:
            data = [each.read() for each in batch]
        except (SlimError, MemoryError):
            return ()  # whoever asks for it will be told
        files = [(each.form, each.variant, len(one)) for each, one in zip(batch, data, strict=True)]
        size = sum(map(len, data))
        worker = self._free.get()
        try:
            answer = worker.ask({"files": files}, data, size=size, seconds=_SECONDS)
        except (NoAnswer, OutOfMemoryError, MemoryError):
            with self._changed:
                self._accidents += 1
            return ()
        finally:
            self._free.put(worker)
        readings = answer.get("readings")
        return readings if isinstance(readings, list) else ()


def slices(records: Iterable[FileRecord]) -> Iterator[list[FileRecord]]:
    """The records in their order, in parts that are small enough to be read ahead at once."""
    part: list[FileRecord] = []
    size = 0
    for record in records:
        counted = min(record.size, _COUNTED)
        if part and size + counted > _SLICE:
            yield part
            part, size = [], 0
        part.append(record)
        size += counted
    if part:
        yield part
