"""Comparisons: every account adds up, whatever the two sides are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.model.diff import Metric, PlaceKind, Snapshot
from slim.model.record import FileKind
from slim.sizes.diff import compare, empty, pair
from tests.golden.verdicts import after, before, file, snapshot, two_reports, with_report

LAYERS = ("runtime", "framework-a", "app-b")


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    paths = st.sampled_from(
        ["a.py", "tests/test_a.py", "x/y/b.so", "x/c.py", "a-1.dist-info/RECORD"]
    )
    owners = st.sampled_from([("a", "1"), ("a", "2"), ("b", "1")])
    kinds = st.sampled_from([FileKind.PYTHON, FileKind.TESTS, FileKind.EXTENSION])
    entry = st.tuples(
        st.sampled_from(LAYERS), paths, owners, kinds, st.integers(0, 10**6), st.integers(0, 10**4)
    )
    found = {}
    for layer, path, (owner, version), kind, size, bytecode in draw(st.lists(entry, max_size=12)):
        found[(layer, path)] = file(layer, path, owner, version, kind, size, bytecode=bytecode)
    archives = {layer: draw(st.integers(0, 10**6)) for layer in LAYERS}
    made = snapshot("x", list(found.values()), archives)
    return made if draw(st.booleans()) else replace(made, records=None)


@given(snapshots(), snapshots())
def test_every_account_adds_up(old: Snapshot, new: Snapshot) -> None:
    found = compare(old, new)
    for metric in set(Metric) - {Metric.UPDATE}:  # which is told of layers, not of owners
        assert sum(change.delta(metric) for change in found.layers) == found.delta(metric)
        if metric is Metric.ARCHIVE:
            continue
        assert sum(change.delta(metric) for change in found.categories) == found.delta(metric)
        assert sum(owner.delta(metric) for owner in found.owners) == found.delta(metric)
        for owner in found.owners:
            assert sum(item.delta(metric) for item in owner.categories) == owner.delta(metric)
    if old.records is not None and new.records is not None:
        places = [place for owner in found.owners for place in owner.places]
        assert sum(place.delta for place in places) == found.delta(Metric.UNPACKED)


@given(snapshots())
def test_nothing_differs_from_itself(one: Snapshot) -> None:
    found = compare(one, one)
    assert found.same
    assert not found.remarks
    assert not any(owner.places or owner.categories for owner in found.owners)


@given(snapshots(), snapshots())
def test_backwards_is_the_opposite(old: Snapshot, new: Snapshot) -> None:
    there, back = compare(old, new), compare(new, old)
    assert {owner.name: owner.delta(Metric.UNPACKED) for owner in there.owners} == {
        owner.name: -owner.delta(Metric.UNPACKED) for owner in back.owners
    }


def test_a_lone_layer_is_compared_with_a_lone_layer() -> None:
    old = snapshot(
        "old-venv", [file("old-venv", "a.py", "a", "1", FileKind.PYTHON, 5)], {"old-venv": 0}
    )
    new = snapshot(
        "new-venv", [file("new-venv", "a.py", "a", "2", FileKind.PYTHON, 7)], {"new-venv": 0}
    )
    found = compare(old, new)
    (layer,) = found.layers
    assert (layer.label, layer.delta(Metric.UNPACKED)) == ("new-venv", 2)
    (change,) = found.owners
    assert [place.kind for place in change.places] == [PlaceKind.CHANGED]


def test_metadata_folders_of_two_versions_are_one_place() -> None:
    old = snapshot(
        "o", [file("l", "a-1.0.dist-info/METADATA", "a", "1.0", FileKind.METADATA, 5)], {"l": 0}
    )
    new = snapshot(
        "n", [file("l", "a-1.1.dist-info/METADATA", "a", "1.1", FileKind.METADATA, 6)], {"l": 0}
    )
    (change,) = compare(old, new).owners
    (place,) = change.places
    assert (place.kind, place.delta) == (PlaceKind.CHANGED, 1)


def test_a_renamed_folder_is_one_that_came_and_one_that_went() -> None:
    old = snapshot(
        "o", [file("l", f"a/old/{n}.py", "a", "1", FileKind.PYTHON, 5) for n in "xy"], {"l": 0}
    )
    new = snapshot(
        "n", [file("l", f"a/new/{n}.py", "a", "1", FileKind.PYTHON, 6) for n in "xyz"], {"l": 0}
    )
    (change,) = compare(old, new).owners
    assert [
        (place.kind.value, place.place.rpartition("a/")[2], place.files) for place in change.places
    ] == [
        ("new", "new/", 3),
        ("gone", "old/", 2),
    ]


def test_rules_of_two_reports() -> None:
    (found,) = two_reports()
    assert [
        (change.rule, change.before is None, change.after is None) for change in found.rules
    ] == [
        ("pandas-samples", False, True),
        ("tests-folders", True, False),
    ]


def test_what_a_rule_removed_and_is_back() -> None:
    found = compare(with_report(before()), after())
    stopped = [remark for remark in found.remarks if remark.rule == "pandas-samples"]
    assert [(remark.size, remark.files) for remark in stopped] == [(90_000, 1)]
    assert not compare(with_report(before()), before()).remarks


def test_debugging_information_that_was_there_is_no_reason() -> None:
    debug = after().debug
    found = compare(replace(before(), debug=debug), after())
    assert not [remark for remark in found.remarks if remark.kind.value == "debug-information"]


PAIRS = [
    (["linux_x86_64"], ["macosx_arm64"], [(0, 0)]),
    (["linux_x86_64", "macosx_arm64"], ["macosx_arm64", "linux_x86_64"], [(1, 0), (0, 1)]),
    (["linux_x86_64"], ["macosx_arm64", "linux_x86_64"], [(None, 0), (0, 1)]),
    (["linux_x86_64", "win_amd64"], ["linux_x86_64"], [(0, 0), (1, None)]),
]


@pytest.mark.parametrize(("old", "new", "expected"), PAIRS)
def test_stacks_are_paired_by_platform(
    old: list[str], new: list[str], expected: list[tuple[int | None, int | None]]
) -> None:
    left = [replace(before(), platform=tag) for tag in old]
    right = [replace(after(), platform=tag) for tag in new]
    found = pair(left, right)
    assert found == [
        (None if a is None else left[a], None if b is None else right[b]) for a, b in expected
    ]


def test_a_stack_without_counterpart_is_all_new() -> None:
    found = compare(empty(after()), after())
    assert found.delta(Metric.UNPACKED) == after().total.unpacked
    assert all(owner.before is None for owner in found.owners)
