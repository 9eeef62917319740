"""Calls of native code that take long, made so that signals still end a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_TICK = 0.2
"""Seconds between looks for a signal, on systems where a wait can't be interrupted."""


class _Call(Generic[T]):
    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._results: list[T] = []
        self._error: BaseException | None = None

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    def result(self) -> T:
        threading.Thread(target=self._run, daemon=True).start()
        while not self._done.wait(_TICK):
            pass
        if self._error is not None:
            raise self._error
        return self._results[0]


def interruptible(function: Callable[[], T]) -> T:
    """Return what ``function`` returns, or raise what it raises.

    Python delivers signals between its own instructions only, so a request that hangs in native
    code would hold Ctrl-C back. The function therefore runs in a thread of its own, which is left
    behind where a signal ends the wait.
    """
    if threading.current_thread() is not threading.main_thread():
        return function()  # no signal is delivered here
    return _Call(function).result()
