"""Ctrl-C, SIGTERM and SIGHUP end a run cleanly: as an exception where it works, later where it tidies up.

Sources: signal(7); 128 plus the signal's number is what shells report.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end. ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _State:
    """How many blocks hold signals back, and which signal waits."""

    holding = 0
    waiting: int | None = None


def _handle(number: int, _frame: FrameType | None) -> None:
    if _State.holding and _State.waiting is None:
        _State.waiting = number
        return
    raise Interrupted(number)  # at once, or for the second time: whoever insists gets their way


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Turn signals into :class:`Interrupted`. Those that are ignored (``nohup``, background jobs) stay ignored."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold signals back until the block is done: what it begins, it finishes. Does nothing in other threads, which
    Python delivers no signals to."""
    with _level(_State.holding + 1):
        yield
    _deliver()


@contextlib.contextmanager
def let_through() -> Iterator[None]:
    """Within :func:`held`: a part that may be interrupted."""
    with _level(0):
        _deliver()
        yield


@contextlib.contextmanager
def _level(wanted: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _State.holding = _State.holding, wanted
    try:
        yield
    finally:
        _State.holding = before


def _deliver() -> None:
    if (
        _State.waiting is not None
        and not _State.holding
        and threading.current_thread() is threading.main_thread()
    ):
        number, _State.waiting = _State.waiting, None
        raise Interrupted(number)
