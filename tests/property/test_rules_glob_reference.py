"""Globs against an independent, slow and obvious implementation; random text against the parser."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from slim.model.record import EntryType, FileKind, FileRecord, Owner, OwnerKind
from slim.model.rule import Rule, Safety
from slim.model.stack import Layer
from slim.rules.glob import GlobError, compile_glob
from slim.rules.match import RuleMatcher
from tests.fuzz.texts import LINUX, WINDOWS, reference

names = st.text("ab.", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=5).map("/".join)
components = st.one_of(
    st.just("**"), st.just("**"), st.text("ab.*?", min_size=1, max_size=5), names
)
patterns = st.lists(components, min_size=1, max_size=5).map("/".join)


@given(patterns, paths)
@example("**/a/**/a", "a/b/a")
@example("**/a/b/**/b", "a/a/b/b")
def test_globs_agree_with_the_reference(pattern: str, path: str) -> None:
    try:
        glob = compile_glob(pattern)
    except GlobError:
        return
    assert glob.matches(path, LINUX) == reference(pattern.split("/"), path.split("/"))


@given(st.text(max_size=60), paths)
def test_any_text_compiles_or_is_refused(pattern: str, path: str) -> None:
    try:
        glob = compile_glob(pattern)
    except GlobError:
        return
    glob.matches(path, LINUX)
    glob.matches(path, WINDOWS)


@given(st.text("ab.*?[]!-{},/$", max_size=30))
def test_no_accepted_pattern_leads_out_of_the_layer(pattern: str) -> None:
    try:
        glob = compile_glob(pattern)
    except GlobError:
        return
    for alternative in glob.alternatives:
        assert ".." not in alternative.components
        assert "" not in alternative.components


@given(
    st.lists(patterns, min_size=1, max_size=4),
    st.lists(patterns, max_size=2),
    paths,
    st.sampled_from([LINUX, WINDOWS]),
)
def test_the_index_never_changes_what_a_rule_selects(
    globs: list[str], keep: list[str], path: str, layer: Layer
) -> None:
    try:
        compiled, kept = [[compile_glob(one) for one in some] for some in (globs, keep)]
    except GlobError:
        return
    rule = Rule(
        id="r",
        pass_name="tests",
        reason="r",
        safety=Safety.SAFE,
        globs=tuple(globs),
        keep=tuple(keep),
    )
    for shown in (path, path.upper()):
        record = FileRecord(
            layer="layer",
            path=shown,
            type=EntryType.FILE,
            kind=FileKind.DATA,
            owner=Owner(kind=OwnerKind.RUNTIME, name="cpython"),
            size=1,
            mode=0o644,
        )
        expected = any(one.matches(shown, layer) for one in compiled) and not any(
            one.matches(shown, layer) for one in kept
        )
        assert bool(RuleMatcher([rule]).for_layer(layer).select("tests", record)) == expected
