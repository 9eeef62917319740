"""Rules, and the files that they select."""

from __future__ import annotations

import re

import pytest

from slim.errors import ConfigError
from slim.model.record import EntryType, Owner, OwnerKind
from slim.model.rule import PackageSpec, Rule, Safety
from slim.model.stack import Layer, LayerKind
from slim.rules.match import GlobSet, RememberingMatcher, RuleMatcher, owner_matches
from tests.support.rule_schemas import (
    RUNTIME,
    SITE,
    distribution,
    make_layer,
    make_record,
    make_rule,
)


def selected(
    rules: list[Rule], path: str, owner: Owner = RUNTIME, layer: Layer | None = None
) -> list[str]:
    matcher = RuleMatcher(rules).for_layer(layer or make_layer())
    return [rule.id for rule in matcher.select("tests", make_record(path, owner))]


@pytest.mark.parametrize(
    ("kinds", "kind", "expected"),
    [
        ((), LayerKind.RUNTIME, True),
        ((LayerKind.RUNTIME,), LayerKind.RUNTIME, True),
        ((LayerKind.RUNTIME,), LayerKind.APPLICATION, False),
        ((LayerKind.FRAMEWORK, LayerKind.APPLICATION), LayerKind.APPLICATION, True),
        ((LayerKind.RUNTIME,), LayerKind.PLAIN, True),
    ],
)
def test_layer_kinds(kinds: tuple[LayerKind, ...], kind: LayerKind, expected: bool) -> None:
    assert (
        bool(selected([make_rule(layers=frozenset(kinds))], "a", layer=make_layer(kind)))
        is expected
    )


@pytest.mark.parametrize(
    ("platforms", "tag", "expected"),
    [
        ((), "win_amd64", True),
        (("linux_*",), "linux_x86_64", True),
        (("linux_*",), "macosx_arm64", False),
        (("win_*", "macosx_arm64"), "macosx_arm64", True),
        (("linux_x86_64",), "unknown", False),
    ],
)
def test_platforms(platforms: tuple[str, ...], tag: str, expected: bool) -> None:
    assert (
        bool(selected([make_rule(platforms=platforms)], "a", layer=make_layer(tag=tag))) is expected
    )


UNOWNED = Owner(kind=OwnerKind.UNOWNED, name="numpy", version="2.0")
OWNERS = [
    (None, RUNTIME, True),
    (PackageSpec(name="numpy"), distribution("numpy"), True),
    (PackageSpec(name="numpy"), distribution("numpy-financial"), False),
    (PackageSpec(name="numpy"), UNOWNED, False),
    (PackageSpec(name="nvidia-*"), distribution("nvidia-cudnn-cu12"), True),
    (PackageSpec(name="nvidia-*"), distribution("nvidia"), False),
    (PackageSpec(name="*"), distribution("anything"), True),
    (PackageSpec(name="*"), RUNTIME, False),
    (PackageSpec(name="numpy", specifier=">=1.20"), distribution("numpy", "1.20"), True),
    (PackageSpec(name="numpy", specifier=">=1.20"), distribution("numpy", "1.19.5"), False),
    (PackageSpec(name="numpy", specifier=">=2"), distribution("numpy", "2.1.0rc1"), True),
    (PackageSpec(name="numpy", specifier=">=1"), distribution("numpy", "not a version"), False),
    (PackageSpec(name="numpy"), distribution("numpy", "not a version"), True),
    (PackageSpec(name="numpy", specifier="nonsense"), distribution("numpy", "1.0"), False),
]


@pytest.mark.parametrize(("package", "owner", "expected"), OWNERS)
def test_owners(package: PackageSpec | None, owner: Owner, expected: bool) -> None:
    assert owner_matches(package, owner) is expected
    assert bool(selected([make_rule(package=package)], "a", owner)) is expected


def test_keep_takes_back_out() -> None:
    rule = make_rule(globs=("$site/a/**",), keep=("$site/a/b/**",))
    assert selected([rule], f"{SITE}/a/c") == ["r"]
    assert selected([rule], f"{SITE}/a/b/c") == []


def test_a_rule_without_globs_selects_by_everything_else() -> None:
    rule = make_rule(globs=(), keep=("**/x",), package=PackageSpec(name="numpy"))
    assert selected([rule], "any/where", distribution("numpy")) == ["r"]
    assert selected([rule], "any/where", distribution("scipy")) == []
    assert selected([rule], "any/x", distribution("numpy")) == []


def test_a_rule_whose_macros_have_no_value_selects_nothing() -> None:
    layer = make_layer(stdlib_dir=None)
    assert selected([make_rule(globs=("$stdlib/**",))], "lib/python3.13/a", layer=layer) == []


def test_other_passes_and_folders_are_never_selected() -> None:
    matcher = RuleMatcher([make_rule()]).for_layer(make_layer())
    assert matcher.select("leftovers", make_record("a")) == ()
    assert matcher.select("tests", make_record("a", type=EntryType.DIRECTORY)) == ()
    assert len(matcher.select("tests", make_record("a", type=EntryType.SYMLINK))) == 1


def test_the_strongest_rule_comes_first() -> None:
    numpy = PackageSpec(name="numpy")
    weakest_first = [
        make_rule("generic-bold", safety=Safety.STANDARD),
        make_rule("any-distribution", package=PackageSpec(name="*")),
        make_rule("package", package=numpy),
        make_rule("package-bold", package=numpy, safety=Safety.AGGRESSIVE),
        make_rule(
            "version", package=PackageSpec(name="numpy", specifier=">=1"), safety=Safety.SAFE
        ),
        make_rule("own", builtin=False, safety=Safety.SAFE),
        make_rule("own-package", builtin=False, package=numpy),
    ]
    generic_safe = make_rule("generic", safety=Safety.SAFE)
    expected = [rule.id for rule in reversed([generic_safe, *weakest_first])]
    assert selected([*weakest_first, generic_safe], "a", distribution("numpy")) == expected
    assert (
        selected([generic_safe, *reversed(weakest_first)], "a", distribution("numpy")) == expected
    )


def test_equal_rules_are_ordered_by_id() -> None:
    assert selected([make_rule("b"), make_rule("c"), make_rule("a")], "x") == ["a", "b", "c"]


def test_windows_layers_disregard_case() -> None:
    rule = make_rule(globs=("$site/**/tests/**", "DLLs/_test*.pyd"))
    layer = make_layer(tag="win_amd64", site_dirs=("Lib/site-packages",))
    assert selected([rule], "lib/Site-Packages/x/Tests/a.py", layer=layer) == ["r"]
    assert selected([rule], "dlls/_TESTCAPI.PYD", layer=layer) == ["r"]
    assert selected([rule], f"{SITE}/x/Tests/a.py") == []


def test_marker_rules_select_nothing_and_mark_what_they_keep() -> None:
    marker = make_rule("plugins", globs=(), keep=("$site/qt/plugins/**",), options={"roots": True})
    matcher = RuleMatcher([marker]).for_layer(make_layer())
    plugin, other = make_record(f"{SITE}/qt/plugins/a.so"), make_record(f"{SITE}/qt/lib/b.so")
    assert [matcher.select("tests", record) for record in (plugin, other)] == [(), ()]
    assert [rule.id for rule in matcher.marked("tests", plugin)] == ["plugins"]
    assert matcher.marked("tests", other) == ()
    assert matcher.marked("other", plugin) == ()


def test_bad_globs_are_all_reported() -> None:
    rules = [make_rule("a", globs=("../x",)), make_rule("b", keep=("/y",))]
    with pytest.raises(ConfigError) as caught:
        RuleMatcher(rules)
    assert [problem.place for problem in caught.value.problems] == ["rule a", "rule b"]


def test_most_files_are_settled_without_a_regular_expression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred rules cost nothing where no component or extension of a path can match them."""
    tried: list[str] = []

    class Spy:
        def match(self, path: str) -> re.Match[str] | None:
            tried.append(path)
            return None

    monkeypatch.setattr(
        "slim.rules.match.compile_globs", lambda globs, layer: Spy() if list(globs) else None
    )
    rules = [
        make_rule(f"r{number}", globs=(f"$site/**/folder{number}/**", f"**/*.ext{number}"))
        for number in range(100)
    ]
    matcher = RuleMatcher(rules).for_layer(make_layer())
    for number in range(1000):
        matcher.select("tests", make_record(f"{SITE}/package/module{number}.py"))
    assert tried == []
    matcher.select("tests", make_record(f"{SITE}/package/folder7/a.ext3"))
    assert len(tried) == 2


def test_all_files_at_once_and_one_by_one_are_the_same() -> None:
    rules = [
        make_rule("by-folder", globs=("$site/**/tests/**",)),
        make_rule("by-suffix", globs=("**/*.pyi",), package=PackageSpec(name="numpy")),
        make_rule("by-name", globs=("**/Makefile",), keep=("$site/b/**",)),
        make_rule("anything", globs=("**/[xy]*",)),
    ]
    paths = [
        "a.pyi",
        "a/tests/b.py",
        "a/tests/b.pyi",
        "a/Makefile",
        "b/Makefile",
        "b/x.py",
        "tests",
        "a/a.py",
        "x/y/z",
    ]
    records = [
        make_record(f"{SITE}/{path}", owner)
        for path in paths
        for owner in (RUNTIME, distribution("numpy"))
    ]
    matcher = RuleMatcher(rules).for_layer(make_layer())
    expected = [(record, found) for record in records if (found := matcher.select("tests", record))]
    assert 5 < len(expected) < len(records)
    assert list(RuleMatcher(rules).for_layer(make_layer()).selected("tests", records)) == expected
    assert list(matcher.selected("docs", records)) == []
    for ids in (["by-folder"], ["by-name", "by-suffix"], []):
        remembering = RememberingMatcher(matcher)
        for _ in range(2):
            some = list(remembering.only(ids).selected("tests", records))
            known = [
                (record, tuple(rule for rule in rules if rule.id in ids))
                for record, rules in expected
            ]
            assert some == [(record, rules) for record, rules in known if rules]


def test_glob_sets() -> None:
    regex = GlobSet(["$site/a/**", "b/*.txt"]).for_layer(make_layer())
    assert regex is not None
    assert [bool(regex.match(path)) for path in (f"{SITE}/a/x", "b/c.txt", "b/c/d.txt")] == [
        True,
        True,
        False,
    ]
    assert GlobSet([]).for_layer(make_layer()) is None
