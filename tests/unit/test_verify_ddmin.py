"""Delta debugging over plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.verification.ddmin import BudgetError, Counted, ddmin, first_enough, one_minimal


@given(
    st.integers(1, 200).flatmap(
        lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=5))
    )
)
def test_it_finds_exactly_what_is_needed(case: tuple[int, set[int]]) -> None:
    total, needed = case

    def test(items: Sequence[int]) -> bool:
        return needed <= set(items)

    assert ddmin(range(total), test) == tuple(sorted(needed))
    assert one_minimal(range(total), test) == tuple(sorted(needed))


@given(st.sets(st.frozensets(st.integers(0, 15), max_size=4), min_size=1, max_size=4))
def test_of_several_ways_it_finds_one_that_has_nothing_to_spare(ways: set[frozenset[int]]) -> None:
    def test(items: Sequence[int]) -> bool:
        return any(way <= set(items) for way in ways)

    for search in (ddmin, one_minimal):
        found = search(range(16), test)
        assert test(found)
        assert not any(test([item for item in found if item != left]) for left in found)


def test_one_of_ten_thousand_takes_few_tries() -> None:
    test: Counted[int] = Counted(lambda items: 7_654 in items, 100)
    assert ddmin(range(10_000), test) == (7_654,)
    assert test.tries <= 2 * 14


def test_two_far_apart_of_ten_thousand_take_tens_of_tries() -> None:
    test: Counted[int] = Counted(lambda items: {3, 9_999} <= set(items), 1_000)
    assert ddmin(range(10_000), test) == (3, 9_999)
    assert test.tries < 150


def test_likely_ones_first_is_quick() -> None:
    test: Counted[int] = Counted(lambda items: 1 in items, 100)
    assert first_enough(range(10_000), test) == (0, 1)
    assert test.tries == 2


def test_where_nothing_helps_it_says_so() -> None:
    assert first_enough(range(10), lambda items: False) is None
    assert first_enough((), lambda items: False) is None


def test_where_nothing_is_needed_nothing_is_found() -> None:
    assert ddmin(range(10), lambda items: True) == ()


def test_a_set_is_tried_once_and_there_is_a_limit() -> None:
    test: Counted[int] = Counted(lambda items: True, 2)
    assert test([1, 2]) and test([2, 1])
    assert test.tries == 1
    test([3])
    with pytest.raises(BudgetError):
        test([4])
