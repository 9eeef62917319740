from __future__ import annotations

import pytest

from slim.formats import compressor
from slim.model.settings import Effort, Level
from slim.publish.notes import SLIM_KEY, compression_note, noted_compression, noted_effort

EFFORTS = [
    Effort(),
    Effort(level=Level.MAX, memory=700_000_000),
    Effort(level=Level.FAST, xz_arm64=True),
]


@pytest.mark.parametrize("effort", EFFORTS)
def test_what_is_noted_is_read_back(effort: Effort) -> None:
    note = compression_note("a.tar.xz", effort)
    assert noted_effort({SLIM_KEY: note}) == effort
    assert noted_compression({SLIM_KEY: {**note, "version": "1"}}) == note
    assert note["compressor"] == compressor("a.tar.xz")


@pytest.mark.parametrize("name", [None, "a.tar"])
def test_where_nothing_compresses_there_is_nothing_to_say(name: str | None) -> None:
    assert compression_note(name, Effort()) == {}


@pytest.mark.parametrize(
    "note",
    [
        None,
        "text",
        {},
        {"compression": None},
        {"compression": {}},
        {"compression": {"level": "hardest"}},
        {"compression": {"level": ["max"]}},
        {"compression": {"level": "max", "memory": "2GB"}},
        {"compression": {"level": "max", "memory": True}},
        {"compression": {"level": "max", "memory": -1}},
        {"compression": {"level": "max", "xz_arm64": 1}},
    ],
)
def test_what_slim_never_wrote_says_nothing(note: object) -> None:
    assert noted_effort({SLIM_KEY: note}) is None
    assert noted_compression({SLIM_KEY: note}) == {}
