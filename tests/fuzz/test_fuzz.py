"""The fuzzers' targets in the ordinary test run.

Every seed, damage by a fixed seed, and what hypothesis makes up.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slim.errors import UnsafeInputError
from slim.formats.tar.parse import TarParser
from slim.rules.glob import Alternative
from tests.fuzz import containers, natives, texts, updates
from tests.fuzz.targets import TARGETS, Target, mutated, target
from tests.support.examples import examples

MUTATIONS = 150

by_target = pytest.mark.parametrize("one", TARGETS, ids=lambda one: one.name)


@by_target
def test_seeds(one: Target) -> None:
    for data in one.seeds():
        one.run(data)


@by_target
def test_damaged_seeds(one: Target) -> None:
    seeds = one.seeds()
    chance = random.Random(one.name)
    for _ in range(MUTATIONS):
        one.run(mutated(chance.choice(seeds), chance, seeds)[: one.longest])


@by_target
@settings(max_examples=examples(40), deadline=None)
@given(data=st.binary(max_size=600))
def test_noise(one: Target, data: bytes) -> None:
    one.run(data)


def test_honest_input_gets_all_the_way() -> None:
    """A target that refuses everything would never fail."""
    assert containers.hold_tar(target("tar").seeds()[0][1:])
    assert containers.hold_zip(target("zip").seeds()[0])
    assert natives.hold_elf(target("elf").seeds()[0]) is not None
    assert natives.hold_macho(target("macho").seeds()[0][1:])
    assert [updates.hold(data) for data in target("delta").seeds()[:4]] == [True, True, True, False]


def _damages(seeds: list[bytes]) -> list[bytes]:
    chance = random.Random(3)
    return [mutated(seeds[0], chance, seeds) for _ in range(50)]


def test_damage_is_the_same_every_time() -> None:
    seeds = target("tar").seeds()
    once, again = (_damages(seeds) for _ in range(2))
    assert once == again
    assert len(set(once)) > 40


# Faults put in on purpose: the invariants see them


def _wrong_exception(self: TarParser, message: str, place: str = "") -> UnsafeInputError:
    raise ValueError(message + place + str(self))


@pytest.mark.parametrize(
    ("name", "owner", "attribute", "fault"),
    [
        ("tar", TarParser, "_refuse", _wrong_exception),
        ("tar", TarParser, "_name", lambda self, block, pending: self._text(block, 0, 100, "name")),
        ("glob", Alternative, "regex", property(lambda self: ".*")),
    ],
    ids=["another exception", "names without their prefix", "a glob that matches everything"],
)
def test_a_fault_is_found(
    name: str,
    owner: type,
    attribute: str,
    fault: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = target(name)
    seeds = one.seeds()
    chance = random.Random(5)
    texts.compile_glob.cache_clear()
    monkeypatch.setattr(owner, attribute, fault)
    with pytest.raises((AssertionError, ValueError)):
        for _ in range(3000):
            one.run(mutated(chance.choice(seeds), chance, seeds)[: one.longest])
    texts.compile_glob.cache_clear()


def test_the_command_prints_a_table() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "1", "--engine", "mutation", "glob"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, row = done.stdout.splitlines()
    assert head.split() == ["target", "engine", "executions", "escapes", "hangs", "peak", "MiB"]
    assert row.split()[0] == "glob"
    assert int(row.split()[2]) > 10
    assert row.split()[3:5] == ["0", "0"]
