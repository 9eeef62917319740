"""Blocks that are compressed before anybody knows whether they will be written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sized
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import pytest

from slim.formats import ahead as module
from slim.formats.ahead import Ahead
from slim.formats.compression.xz import container
from slim.formats.compression.xz.container import (
    Branch,
    Settings,
    compress_block,
    likely_blocks,
    xz_stream,
)

TEXT = [b"".join(f"line {number}\n".encode() for number in range(9_000))]
CODE = [bytes(range(256)) * 900]


def some(branch: Branch, block_size: int = 100_000) -> Settings:
    return Settings(block_size=block_size, dictionary=1 << 20, branch=branch, preset=1)


SECTIONS = [(some(Branch.NONE), TEXT), (some(Branch.X86), CODE)]


def stream(ahead: Ahead | None) -> bytes:
    with ThreadPoolExecutor(2) as executor:
        return b"".join(xz_stream(SECTIONS, executor, 2, None, ahead))


@dataclass
class Slow:
    """A block that takes until it is let go, or stopped."""

    key: str
    started: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def compress(self, is_stopped: Callable[[], bool]) -> Sized:
        self.started.set()
        while not self.let_go.wait(0.001):
            if is_stopped():
                raise CancelledError
        if self.error is not None:
            raise self.error
        return f"made {self.key}"


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("guessed", "right"),
    [
        ([(some(Branch.X86), CODE)], True),
        ([(some(Branch.X86), [*CODE, b"more"])], True),  # the first blocks are right
        ([(some(Branch.X86), [b"less", *CODE])], False),
        ([(some(Branch.X86, 99_999), CODE)], False),
        ([(some(Branch.ARM64), CODE)], False),
    ],
)
def test_right_blocks_are_taken_and_no_guess_changes_a_byte(
    monkeypatch: pytest.MonkeyPatch, guessed: container.Sections, right: bool, threads: int
) -> None:
    monkeypatch.setattr(container, "LEAST_KNOWN", 1)
    wanted = stream(None)
    written = []

    def counted(block: container._Input, settings: Settings) -> object:
        written.append(settings.branch)
        return compress_block(block, settings)

    with Ahead() as ahead:
        ahead.begin({"app": likely_blocks(guessed)}, threads)
        for thread in ahead._threads:
            thread.join()
        monkeypatch.setattr(container, "compress_block", counted)
        ahead.settle(["app"])
        assert stream(ahead) == wanted
    assert (written.count(Branch.X86) <= 1) == right
    assert Branch.NONE in written


def test_what_is_right_goes_on_and_what_is_wrong_stops() -> None:
    right, wrong, later = Slow("right"), Slow("wrong"), Slow("later")
    with Ahead() as ahead:
        ahead.begin({"a": iter([right]), "b": iter([wrong, later])}, 2)
        assert right.started.wait(60) and wrong.started.wait(60)
        ahead.settle(["a"])
        assert ahead.take("wrong") is None
        future = ahead.take("right")
        assert future is not None and not future.done()
        right.let_go.set()
        assert future.result(60) == "made right"
        assert ahead.take("right") is None, "it is given once"
    assert not later.started.is_set()
    assert not any(thread.is_alive() for thread in ahead._threads)


def test_closing_stops_what_is_compressed_and_forgets_it() -> None:
    block = Slow("block")
    with Ahead() as ahead:
        ahead.begin({"a": iter([block])}, 1)
        assert block.started.wait(60)
    assert not any(thread.is_alive() for thread in ahead._threads)
    assert ahead.take("block") is None


def test_who_waits_for_a_block_and_gives_up_does_not_stop_it_but_closing_does() -> None:
    block = Slow("block")
    with Ahead() as ahead:
        ahead.begin({"a": iter([block])}, 1)
        assert block.started.wait(60)
        ahead.settle(["a"])
        future = ahead.take("block")
        assert future is not None and not future.cancel()
    assert isinstance(future.exception(60), CancelledError)


def test_what_failed_is_not_given() -> None:
    def fails() -> Iterator[Slow]:
        yield Slow("made", let_go=_set())
        raise ValueError("this guess can't be read")

    with Ahead() as ahead:
        failing = Slow("failing", let_go=_set(), error=MemoryError())
        ahead.begin({"a": iter([failing]), "b": fails(), "c": iter([Slow("c", let_go=_set())])}, 1)
        for thread in ahead._threads:
            thread.join()
        ahead.settle(["a", "b", "c"])
        assert ahead.take("failing") is None
        assert [future.result() for key in ("made", "c") if (future := ahead.take(key))] == [
            "made made",
            "made c",
        ]


def test_only_so_much_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HELD", len("made 0") * 2)
    blocks = [Slow(str(at), let_go=_set()) for at in range(5)]
    with Ahead() as ahead:
        ahead.begin({"a": iter(blocks)}, 1)
        for thread in ahead._threads:
            thread.join()
    assert [block.started.is_set() for block in blocks] == [True, True, False, False, False]


def test_a_block_that_is_begun_takes_the_place_of_another_encoder() -> None:
    block = Slow("block")
    with Ahead() as ahead, ThreadPoolExecutor(1) as executor:
        ahead.begin({"a": iter([block])}, 1)
        assert block.started.wait(60)
        ahead.settle(["a"])
        ahead.occupy(executor)
        other = executor.submit(lambda: block.let_go.is_set())
        assert not wait([other], 0.05).done
        block.let_go.set()
        assert other.result(60)


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
