"""Globs: what they match, what they refuse, and that no pattern can blow up."""

from __future__ import annotations

import pytest

from slim.model.rule import Verb
from slim.model.stack import Layer, LayerKind, Platform
from slim.rules.glob import (
    MAX_EXPANSIONS,
    MAX_GLOBSTARS,
    MAX_LENGTH,
    MAX_STARS,
    GlobError,
    compile_glob,
)
from slim.rules.protected import protected_target


def layer(
    tag: str = "linux_x86_64",
    *,
    site: tuple[str, ...] = ("lib/python3.13/site-packages",),
    stdlib: str | None = "lib/python3.13",
) -> Layer:
    return Layer(
        name="layer",
        layer_name="layer",
        kind=LayerKind.RUNTIME,
        platform=Platform.parse(tag),
        site_dirs=site,
        stdlib_dir=stdlib,
    )


MATCHES = [
    ("a/b.py", "a/b.py", True),
    ("a/b.py", "a/b.pyc", False),
    ("a/b.py", "x/a/b.py", False),
    ("*.py", "a.py", True),
    ("*.py", "a/b.py", False),
    ("*.py", ".py", True),
    ("a/*", "a/b", True),
    ("a/*", "a/b/c", False),
    ("a/*", "a", False),
    ("a?c", "abc", True),
    ("a?c", "a/c", False),
    ("a*c*e", "abcde", True),
    ("a*c*e", "acce", True),
    ("a*c*e", "ace/e", False),
    ("*a*a*", "aa", True),
    ("*a*a*", "a", False),
    ("**", "a", True),
    ("**", "a/b/c", True),
    ("a/**", "a/b/c", True),
    ("a/**", "a", False),
    ("a/", "a/b/c", True),
    ("a/", "a", False),
    ("**/b", "b", True),
    ("**/b", "a/a/b", True),
    ("**/b", "a/xb", False),
    ("a/**/b", "a/b", True),
    ("a/**/b", "a/x/y/b", True),
    ("a/**/b", "ab", False),
    ("**/t/**", "a/t/b/c", True),
    ("**/t/**", "t/b", True),
    ("**/t/**", "a/t", False),
    ("**/t/**", "a/tt/b", False),
    ("**/a/**/b/*.c", "x/a/b/a/y/b/z.c", True),
    ("**/a/**/b/*.c", "x/a/b/a/y/b/q/z.c", False),
    ("**/a/b/**", "a/a/b/c", True),
    ("x/[abc].py", "x/b.py", True),
    ("x/[!abc].py", "x/b.py", False),
    ("x/[!abc].py", "x/d.py", True),
    ("x[!a]y", "x/y", False),
    ("x[+-9]y", "x/y", False),
    ("x[+-9]y", "x5y", True),
    ("[]]", "]", True),
    ("[!]]", "]", False),
    ("[a-]", "-", True),
    ("[*]", "*", True),
    ("[*]", "a", False),
    ("[?^w]", "^", True),
    ("{a,b}/c", "b/c", True),
    ("{a,b}/c", "d/c", False),
    ("x{,.gz}", "x", True),
    ("x{,.gz}", "x.gz", True),
    ("{a,b/c}/d", "b/c/d", True),
    ("[{]", "{", True),
    ("a.c", "abc", False),
    ("a+(b)|$", "a+(b)|$", True),
    ("tests/", "testsuite/a", False),
    ("**/ä*", "x/äb", True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), MATCHES)
def test_what_a_pattern_matches(pattern: str, path: str, expected: bool) -> None:
    assert compile_glob(pattern).matches(path, layer()) is expected


REFUSED = {
    "empty": "",
    "too long": "a" * (MAX_LENGTH + 1),
    "parent": "../**",
    "parent inside": "a/../../b",
    "absolute": "/etc/passwd",
    "drive": "C:/x",
    "backslash": "a\\b",
    "control character": "a\nb",
    "nul": "a\0b",
    "dot": "./a",
    "double slash": "a//b",
    "only a slash": "/",
    "double star inside a component": "a**/b",
    "double star twice": "**/**/b",
    "many double stars": "**/b/" * 10,
    "one double star too many": "**/a/" * (MAX_GLOBSTARS + 1) + "x",
    "many stars": "*a" * (MAX_STARS + 1),
    "stars in many components": "*/" * (MAX_STARS + 1) + "x",
    "range in braces": "{1..100000}",
    "one choice": "{a}",
    "no choice": "{}",
    "open brace": "{a,b",
    "closed brace": "a}",
    "nested braces": "{a,{b,c}}",
    "many choices": "{" + ",".join("abcdefghij" * 7) + "}",
    "product of choices": "{a,b}" * 7,
    "empty component out of braces": "a/{,b}/c",
    "parent out of braces": "a/{..,b}/c",
    "open set": "[abc",
    "empty set": "[]",
    "nested set": "[[a]]",
    "slash in a set": "[a/b]",
    "20,000 nested sets": "[" * 20_000,
    "sets as long as allowed": "[" * MAX_LENGTH,
    "backward range": "[z-a]",
    "unknown macro": "$home/x",
    "bare macro": "$site",
    "bare macro with slash": "$site/",
    "macro in the middle of a word": "$sitex/a",
}


@pytest.mark.parametrize("pattern", REFUSED.values(), ids=REFUSED.keys())
def test_malformed_and_unbounded_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(GlobError):
        compile_glob(pattern)


def test_refusals_are_short_however_long_the_pattern() -> None:
    with pytest.raises(GlobError) as caught:
        compile_glob("$" + "x" * 400 + "/a")
    assert len(str(caught.value)) < 200


def test_the_largest_allowed_patterns_compile() -> None:
    assert len(compile_glob("{a,b}" * 6).alternatives) == MAX_EXPANSIONS
    assert compile_glob("**/a/" * MAX_GLOBSTARS + "x").matches("q/a/q/a/q/a/x", layer())
    assert compile_glob("*a" * MAX_STARS).matches("xa" * MAX_STARS, layer())


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * MAX_STARS + "b", "a" * 4000),
        ("**/" + "*a" * (MAX_STARS - 1) + "b", "/".join(["a" * 15] * 250)),
        ("**/a/" * MAX_GLOBSTARS + "b", "a/" * 1000 + "c"),
        ("**/?*/" * MAX_GLOBSTARS + "b", "a/" * 1000 + "c"),
        ("**/*a*/*a*/**/*a*/*a*/b", "aaaaaaa/" * 500 + "c"),
    ],
)
def test_hostile_pairs_come_to_an_end(pattern: str, path: str) -> None:
    # Any of these would outlive the test run if stars or folders were tried in all combinations.
    assert not compile_glob(pattern).matches(path, layer())


def test_macros_stand_for_the_layers_own_folders() -> None:
    linux, windows = layer(), layer("win_amd64", site=("Lib/site-packages",), stdlib="Lib")
    assert compile_glob("$site/a").matches("lib/python3.13/site-packages/a", linux)
    assert not compile_glob("$site/a").matches("lib/python3X13/site-packages/a", linux)
    assert compile_glob("$package/a").matches("Lib/site-packages/a", windows)
    assert compile_glob("$stdlib/test/**").matches("Lib/test/x.py", windows)
    assert compile_glob("$bin/idle*").matches("bin/idle3", linux)
    assert compile_glob("$bin/idle*").matches("Scripts/idle.exe", windows)
    assert not compile_glob("$bin/idle*").matches("bin/idle3", windows)


def test_a_macro_without_a_value_matches_nothing() -> None:
    bare = layer(site=(), stdlib=None)
    for pattern in ("$site/**", "$stdlib/**"):
        assert compile_glob(pattern).compile(bare) is None
        assert not compile_glob(pattern).matches("lib/python3.13/x", bare)


def test_every_site_folder_counts_and_the_layers_own_folder_may_be_one() -> None:
    two = layer(site=("lib/python3.13/site-packages", "lib64/python3.13/site-packages"))
    flat = layer(site=("",))
    assert compile_glob("$site/a").matches("lib64/python3.13/site-packages/a", two)
    assert compile_glob("$site/a").matches("a", flat)
    assert compile_glob("$site/a").matches("a", layer(site=(".",)))


def test_case_counts_except_on_windows() -> None:
    pattern = compile_glob("$site/**/tests/[a-c]*.PY")
    assert not pattern.matches("lib/python3.13/site-packages/x/Tests/a.py", layer())
    assert pattern.matches(
        "lib/site-packages/X/Tests/B.py", layer("win_amd64", site=("Lib/site-packages",))
    )


TOKENS = [
    ("$site/**/tests/**", "tests"),
    ("a/bcd/**", "bcd"),
    ("a/b/c.py", "c.py"),
    ("a/*.tar.gz", ".gz"),
    ("a/x[0-9].so", ".so"),
    ("a/x.[ch]", "a"),
    ("**/*", None),
    ("*a*", None),
]


@pytest.mark.parametrize(("pattern", "token"), TOKENS)
def test_the_cheap_filter_of_a_pattern(pattern: str, token: str | None) -> None:
    assert compile_glob(pattern).alternatives[0].token == token


NAMES_PROTECTED = [
    "**/RECORD",
    "$site/*.dist-info/METADATA",
    "$site/*.dist-info/REC*",
    "$site/*.dist-info/**",
    "$site/x-1.0.dist-info/",
    "$site/*.dist-info/*",
    "**/[R]ECORD",
    "**/?ECORD",
    "**/record",
    "**/WHEEL",
    "**/entry_points.txt",
    "**/top_level.txt",
    "**/LICENSE*",
    "**/licence.txt",
    "**/LICENSE.APACHE",
    "**/*LICENSE*",
    "**/{README,COPYING}",
    "**/NOTICE",
    "**/COPYRIGHT",
    "$site/*.dist-info/licenses/**",
    "postinstall.py",
    "share/venv/metadata/**",
    "share/venv/metadata/venvstacks_layer.json",
    "share/venv/**",
    "share/**",
    "share/*/metadata/*",
]


@pytest.mark.parametrize("pattern", NAMES_PROTECTED)
def test_patterns_that_name_protected_files(pattern: str) -> None:
    assert protected_target(compile_glob(pattern), Verb.REMOVE) is not None


PASSES_OVER = [
    "**/tests/**",
    "**",
    "**/*.txt",
    "$site/**/*.py",
    "$site/*.dist-info/sboms/**",
    "$site/*.dist-info/INSTALLER",
    "share/man/**",
    "share/*",
    "share/venv",
    "share/**/man/*.1",
    "$site/transformers/models/*/modular_*.py",
    "$site/license_expression/*.py",
    "$site/licensing.py",
]


@pytest.mark.parametrize("pattern", PASSES_OVER)
def test_broad_patterns_may_pass_over_protected_files(pattern: str) -> None:
    assert protected_target(compile_glob(pattern), Verb.REMOVE) is None


def test_metadata_may_be_rewritten_but_nothing_else_that_is_protected() -> None:
    assert protected_target(compile_glob("$site/*.dist-info/METADATA"), Verb.REWRITE) is None
    assert protected_target(compile_glob("$site/*.dist-info/RECORD"), Verb.REWRITE) == "RECORD"
