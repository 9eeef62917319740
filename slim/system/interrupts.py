"""Signals that end a run cleanly: Ctrl-C, SIGTERM and SIGHUP.

They raise an exception where the run works, and wait where it tidies up or publishes.

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
    """Signal that asks the process to end. ``number`` is its number (signal(7))."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class _State:
    """Count of nested blocks that defer signals, and the number of the signal that waits."""

    deferring = 0
    waiting: int | None = None


def _handle(number: int, _frame: FrameType | None) -> None:
    if _State.deferring and _State.waiting is None:
        _State.waiting = number
        return
    raise Interrupted(number)  # at once, or because a second signal doesn't wait


@contextlib.contextmanager
def raise_on_signals() -> Iterator[None]:
    """Turn signals into :class:`Interrupted` during the block.

    Signals that are ignored (``nohup``, background jobs) stay ignored.
    """
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
def defer_signals() -> Iterator[None]:
    """Make signals wait until the block has ended.

    Does nothing in threads other than the main one, which Python delivers no signals to.
    """
    with _level(_State.deferring + 1):
        yield
    _deliver()


@contextlib.contextmanager
def deliver_signals() -> Iterator[None]:
    """Deliver signals during a part of a block of :func:`defer_signals`."""
    with _level(0):
        _deliver()
        yield


@contextlib.contextmanager
def _level(wanted: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _State.deferring = _State.deferring, wanted
    try:
        yield
    finally:
        _State.deferring = before


def _deliver() -> None:
    if (
        _State.waiting is not None
        and not _State.deferring
        and threading.current_thread() is threading.main_thread()
    ):
        number, _State.waiting = _State.waiting, None
        raise Interrupted(number)
