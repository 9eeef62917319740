"""Traces: what is written is what is read, and merging is a union in any order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.errors import UnsafeInputError
from slim.traces.merge import merge
from slim.traces.read import parse
from slim.traces.words import join, split
from slim.traces.write import render
from tests.support.traces import small_trace, traces


@given(traces())
def test_what_is_written_is_read(trace: object) -> None:
    text = render(trace)  # type: ignore[arg-type]
    assert text.isascii()
    assert parse(text, "t") == trace
    assert render(parse(text, "t")) == text


@given(traces(), traces(), traces())
def test_merging_is_a_union(one: object, other: object, third: object) -> None:
    def text(*parts: object) -> str:
        return render(merge(parts))  # type: ignore[arg-type]

    assert text(one, other) == text(other, one)
    assert text(one, one) == text(one)
    left = merge([merge([one, other]), third])  # type: ignore[list-item]
    right = merge([one, merge([other, third])])  # type: ignore[list-item]
    assert render(left) == render(right) == text(third, one, other, one)


@given(st.lists(st.text(), min_size=1))
def test_words_of_a_line_come_back(words: list[str]) -> None:
    assert split(join(words)) == words


@given(st.text(alphabet=' "\\abnu0d8.é\n\x00', max_size=12))
def test_a_line_is_read_only_as_it_is_written(line: str) -> None:
    words = split(line)
    assert words is None or join(words) == line


@given(st.data())
def test_no_damage_ends_otherwise_than_in_an_error_or_a_trace(data: st.DataObject) -> None:
    lines = render(small_trace()).split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    change = data.draw(st.sampled_from(["drop", "twice", "cut", "indent", "swap"]))
    line = lines[at]
    other = data.draw(st.integers(0, len(lines) - 1))
    match change:
        case "drop":
            del lines[at]
        case "twice":
            lines.insert(at, line)
        case "cut":
            lines[at] = line[: data.draw(st.integers(0, len(line)))]
        case "indent":
            lines[at] = " " + line
        case "swap":
            lines[at], lines[other] = lines[other], line
    try:
        parse("\n".join(lines), "t")
    except UnsafeInputError as error:
        assert error.place is not None and error.place.startswith("line ")


def test_an_empty_file_is_no_trace() -> None:
    with pytest.raises(UnsafeInputError, match="not a trace"):
        parse("", "t")
