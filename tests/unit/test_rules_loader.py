"""Rule files: what they say, and everything that can be wrong with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slim.errors import ConfigError, StorageError
from slim.model.rule import Examples, PackageSpec, Rule, RulePack, Safety
from slim.model.stack import LayerKind
from slim.rules.digest import rules_digest
from slim.rules.examples import check_examples
from slim.rules.loader import (
    builtin_packs,
    load_packs,
    packs_folder,
    parse_pack,
    parse_package,
)
from tests.support.rule_schemas import SCHEMAS, SITE, make_rule

HEAD = 'schema = 1\ndescription = "d"\n'
RULE = """[[rule]]
id = "r"
pass = "tests"
reason = "because"
safety = "safe"
source = "a measurement"
"""
GOOD = HEAD + RULE + 'remove = ["$site/**/tests/**"]\n'


def parse(text: str, *, builtin: bool = False) -> tuple[RulePack | None, list[str]]:
    pack, problems = parse_pack(text, "some/pack.toml", SCHEMAS, builtin=builtin)
    assert all(problem.file == "some/pack.toml" for problem in problems)
    return pack, [f"{problem.place}: {problem.message} ({problem.hint})" for problem in problems]


def test_a_rule_with_everything() -> None:
    pack, problems = parse(
        HEAD
        + """
        [[rule]]
        id = "numpy-tests"
        pass = "tests"
        reason = " because "
        safety = "aggressive"
        layers = ["framework", "application"]
        package = "NumPy >= 1.20, < 3"
        platforms = ["linux_*"]
        remove = ["$site/numpy/**/tests/**"]
        keep = ["**/data/**"]
        source = "measured"
        examples = { match = ["a"], no_match = ["b", "c"] }
        """,
        builtin=True,
    )
    assert problems == []
    assert pack == RulePack(
        name="pack",
        origin="some/pack.toml",
        description="d",
        rules=(
            Rule(
                id="numpy-tests",
                pass_name="tests",
                reason="because",
                safety=Safety.AGGRESSIVE,
                globs=("$site/numpy/**/tests/**",),
                keep=("**/data/**",),
                layers=frozenset({LayerKind.FRAMEWORK, LayerKind.APPLICATION}),
                package=PackageSpec(name="numpy", specifier="<3,>=1.20"),
                platforms=("linux_*",),
                source="measured",
                examples=Examples(match=("a",), no_match=("b", "c")),
                pack="pack",
                origin="some/pack.toml",
                builtin=True,
            ),
        ),
    )


def test_options_keep_their_types() -> None:
    pack, problems = parse(
        HEAD
        + RULE.replace('"tests"', '"dylibs"')
        + 'options = { evidence = "weak", depth = 3, names = ["a", "b"] }\n'
    )
    assert problems == []
    assert pack is not None
    assert pack.rules[0].options == {"evidence": "weak", "depth": 3, "names": ("a", "b")}


def test_passes_that_need_no_globs() -> None:
    assert parse(HEAD + RULE.replace('"tests"', '"debug-symbols"'))[1] == []


WRONG = {
    "schema missing": (GOOD.replace("schema = 1\n", ""), ["schema: is missing"]),
    "schema newer": (
        GOOD.replace("schema = 1", "schema = 2"),
        ["schema: schema 2 isn't supported"],
    ),
    "schema of another type": (
        GOOD.replace("schema = 1", "schema = true"),
        ["schema: expected an integer"],
    ),
    "no description": (GOOD.replace('description = "d"\n', ""), ["description: is missing"]),
    "unknown key at the top": ("rules = 1\n" + GOOD, ["rules: unknown key (did you mean 'rule'?)"]),
    "rule isn't an array": (
        HEAD + "[rule]\nid = 1\n",
        ["rule: expected an array of tables, written [[rule]]"],
    ),
    "unknown key": (
        GOOD + 'resaon = "x"\n',
        ["rule[0].resaon: unknown key (did you mean 'reason'?)"],
    ),
    "no id": (GOOD.replace('id = "r"\n', ""), ["rule[0].id: is missing"]),
    "bad id": (GOOD.replace('"r"', '"Not An Id"'), ["rule[0].id: 'Not An Id' isn't"]),
    "id twice": (GOOD + RULE + 'remove = ["a"]\n', ["rule r: the id 'r' is already taken"]),
    "blank reason": (GOOD.replace('"because"', '"  "'), ["rule[0].reason: is empty"]),
    "bad safety": (
        GOOD.replace('"safe"', '"saef"'),
        ["rule[0].safety: 'saef' is none of", "did you mean 'safe'?"],
    ),
    "unknown pass": (
        GOOD.replace('"tests"', '"test"'),
        ["rule[0].pass: there is no pass 'test' (did you mean 'tests'?)"],
    ),
    "bad layer": (
        GOOD + 'layers = ["runtime", "plain"]\n',
        ["rule[0].layers[1]: 'plain' is none of"],
    ),
    "layers of another type": (
        GOOD + 'layers = "runtime"\n',
        ["rule[0].layers: expected an array of strings"],
    ),
    "layer twice": (
        GOOD + 'layers = ["runtime", "runtime"]\n',
        ["rule[0].layers[1]: 'runtime' is listed twice"],
    ),
    "bad platform": (GOOD + 'platforms = ["Linux!"]\n', ["rule[0].platforms[0]: 'Linux!'"]),
    "bad package": (
        GOOD + 'package = "numpy 1.20"\n',
        ["rule[0].package: 'numpy 1.20' isn't a distribution"],
    ),
    "bad specifier": (
        GOOD + 'package = "numpy >= one"\n',
        ["rule[0].package: '>= one' isn't a version specifier"],
    ),
    "no globs": (HEAD + RULE, ["rule[0].remove: is missing"]),
    "wrong verb": (
        HEAD + RULE + 'rewrite = ["a"]\n',
        ["rule[0].rewrite: the pass 'tests' doesn't rewrite (write remove"],
    ),
    "glob of another type": (
        HEAD + RULE + "remove = [1]\n",
        ["rule[0].remove[0]: expected a string, not an integer (1)"],
    ),
    "glob outside": (
        HEAD + RULE + 'remove = ["a", "../**"]\n',
        ["rule[0].remove[1]: '..' leads out"],
    ),
    "glob absolute": (
        HEAD + RULE + 'remove = ["/etc/**"]\n',
        ["rule[0].remove[0]: the pattern is absolute"],
    ),
    "glob of a record": (
        HEAD + RULE + 'remove = ["**/RECORD"]\n',
        ["rule[0].remove[0]: names a protected file (RECORD)"],
    ),
    "glob of a licence": (
        HEAD + RULE + 'remove = ["**/LICENSE*"]\n',
        ["rule[0].remove[0]: names a protected file"],
    ),
    "glob with many folders": (
        HEAD + RULE + f'remove = ["{"**/b/" * 10}"]\n',
        ["rule[0].remove[0]: more than 3 '**'"],
    ),
    "glob with a range": (
        HEAD + RULE + 'remove = ["{1..100000}"]\n',
        ["rule[0].remove[0]: braces need"],
    ),
    "glob with deep sets": (
        HEAD + RULE + f'remove = ["{"[" * 20_000}"]\n',
        ["rule[0].remove[0]: the pattern has 20000"],
    ),
    "bad keep": (GOOD + 'keep = ["$sites/x"]\n', ["rule[0].keep[0]: unknown macro '$sites'"]),
    "options where there are none": (
        GOOD + "options = { a = 1 }\n",
        ["rule[0].options: the pass 'tests' takes no options"],
    ),
    "options of another type": (GOOD + "options = 1\n", ["rule[0].options: expected a table"]),
    "examples of another type": (
        GOOD + "examples = []\n",
        ["rule[0].examples: expected a table, not an array"],
    ),
    "unknown example": (
        GOOD + "examples.matches = []\n",
        ["rule[0].examples.matches: unknown key (did you mean 'match'?)"],
    ),
    "date": (
        GOOD + "keep = 1979-05-27\n",
        ["rule[0].keep: expected an array of strings, not a date or time"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named_with_their_key_path(text: str, expected: list[str]) -> None:
    pack, problems = parse(text)
    assert pack is not None
    assert len(problems) == 1
    for part in expected:
        assert part in problems[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{ evidnce = 1 }", "rule[0].options.evidnce: unknown key (did you mean 'evidence'?)"),
        ('{ evidence = "strong" }', "rule[0].options.evidence: 'strong' is none of none, weak"),
        ("{ evidence = 1 }", "rule[0].options.evidence: expected a string, not an integer (1)"),
        ("{ depth = true }", "rule[0].options.depth: expected an integer, not a boolean (True)"),
        ("{ depth = -1 }", "rule[0].options.depth: must be between"),
        ("{ roots = 1 }", "rule[0].options.roots: expected true or false"),
        ('{ names = "a" }', "rule[0].options.names: expected an array of strings"),
        ("{ roots = true }", "rule[0].keep: is missing"),
    ],
)
def test_options_are_checked_against_the_pass(options: str, expected: str) -> None:
    _, problems = parse(HEAD + RULE.replace('"tests"', '"dylibs"') + f"options = {options}\n")
    assert len(problems) == 1
    assert expected in problems[0]


def test_rules_that_mark_plugins_remove_nothing() -> None:
    text = (
        HEAD
        + RULE.replace('"tests"', '"dylibs"')
        + 'options.roots = true\nkeep = ["$site/plugins/**"]\n'
    )
    assert parse(text)[1] == []
    assert "removes nothing" in parse(text + 'remove = ["a"]\n')[1][0]


def test_everything_wrong_comes_at_once_and_good_rules_survive() -> None:
    text = (
        GOOD
        + '[[rule]]\nid = "bad"\npass = "nope"\nsafety = 1\nlayers = ["x"]\nremove = ["/a"]\n'
        + "zzz = 1\n"
    )
    pack, problems = parse(text)
    assert pack is not None
    assert [rule.id for rule in pack.rules] == ["r"]
    assert [problem.partition(":")[0] for problem in problems] == [
        "rule[1].zzz",
        "rule[1].reason",
        "rule[1].safety",
        "rule[1].layers[0]",
        "rule[1].pass",
    ]


def test_built_in_rules_say_where_they_come_from() -> None:
    text = GOOD.replace('source = "a measurement"\n', "")
    assert parse(text)[1] == []
    assert parse(text, builtin=True)[1] == ["rule[0].source: is missing (None)"]


NOT_TOML = {
    "syntax": ("schema = \n", "line 1"),
    "twice": ("schema = 1\nschema = 1\n", "line 2"),
    "deep arrays": ("schema = " + "[" * 20_000, "nested too deeply"),
    "long number": ("schema = " + "9" * 5_000, "not valid TOML"),
    "too large": ("#" * (5 << 20), "larger than"),
}


@pytest.mark.parametrize(("text", "expected"), NOT_TOML.values(), ids=NOT_TOML.keys())
def test_what_is_not_toml_is_one_problem(text: str, expected: str) -> None:
    pack, problems = parse(text)
    assert pack is None
    assert len(problems) == 1
    assert expected in problems[0]


def test_files_are_read_together_and_ids_are_unique_across_them(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text(GOOD)
    second.write_text(GOOD)
    with pytest.raises(
        ConfigError, match=r"the id 'r' is already taken by a rule in .*first\.toml"
    ):
        load_packs([first, second], SCHEMAS)
    second.write_text(GOOD.replace('"r"', '"other"'))
    assert [pack.name for pack in load_packs([first, second], SCHEMAS)] == ["first", "second"]


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"absent\.toml"):
        load_packs([tmp_path / "absent.toml"], SCHEMAS)
    (tmp_path / "latin.toml").write_bytes(b"schema = 1 # \xff")
    with pytest.raises(ConfigError, match="isn't UTF-8"):
        load_packs([tmp_path / "latin.toml"], SCHEMAS)


@pytest.mark.parametrize(
    ("text", "name", "specifier"),
    [
        ("numpy", "numpy", ""),
        (" Typing_Extensions ", "typing-extensions", ""),
        ("nvidia-*", "nvidia-*", ""),
        ("*", "*", ""),
        ("onnxruntime*", "onnxruntime*", ""),
        ("numpy==2.*", "numpy", "==2.*"),
        ("a>1,!=1.5", "a", "!=1.5,>1"),
    ],
)
def test_packages(text: str, name: str, specifier: str) -> None:
    assert parse_package(text) == PackageSpec(name=name, specifier=specifier)


@pytest.mark.parametrize(
    "text",
    ["", "-a", "a b", "a*b", "**", "a[extra]", "a @ https://x", "a >", "a; python_version>'3'"],
)
def test_what_is_not_a_package(text: str) -> None:
    with pytest.raises(ValueError, match="isn't"):
        parse_package(text)


def test_the_digest_follows_behaviour_only() -> None:
    rule = make_rule("a", globs=("x", "y"), options={"k": ("v",)})
    same = replace(
        rule, reason="other words", source="elsewhere", origin="/somewhere", globs=("y", "x")
    )
    assert rules_digest([rule]) == rules_digest([same])
    assert rules_digest([rule, make_rule("b")]) == rules_digest([make_rule("b"), rule])
    changes: list[dict[str, object]] = [
        {"id": "z"},
        {"globs": ("x",)},
        {"keep": ("y",)},
        {"safety": Safety.SAFE},
        {"pass_name": "docs"},
        {"layers": frozenset({LayerKind.RUNTIME})},
        {"platforms": ("linux_*",)},
        {"package": PackageSpec(name="numpy")},
        {"options": {}},
        {"builtin": False},
    ]
    digests = {rules_digest([replace(rule, **change)]) for change in changes}  # type: ignore[arg-type]
    assert len(digests | {rules_digest([rule])}) == len(changes) + 1


def test_examples_contradicted_by_the_rule() -> None:
    rule = make_rule(
        globs=("$site/**/tests/**",),
        examples=Examples(match=(f"{SITE}/a/test/b",), no_match=(f"{SITE}/a/tests/b",)),
    )
    assert [problem.place for problem in check_examples(rule)] == [
        "rule r: examples.match[0]",
        "rule r: examples.no_match[0]",
    ]


def test_examples_are_required_both_ways() -> None:
    assert [problem.place for problem in check_examples(make_rule())] == [
        "rule r: examples.match",
        "rule r: examples.no_match",
    ]
    whole = make_rule(globs=(), examples=Examples(match=("a",)))
    assert check_examples(whole) == []


@pytest.mark.parametrize(
    ("changes", "match", "no_match"),
    [
        ({"globs": ("DLLs/*.pyd",), "platforms": ("win_*",)}, "dlls/a.pyd", "lib/a.pyd"),
        ({"globs": ("$site/**",), "platforms": ("win_*",)}, "Lib/site-packages/a", f"{SITE}/a"),
        (
            {"globs": ("$stdlib/a",), "layers": frozenset({LayerKind.RUNTIME})},
            "lib/python3.13/a",
            "lib/python3.12/a",
        ),
        (
            {"globs": ("$site/a",), "package": PackageSpec(name="x", specifier="<2,>=1.5")},
            f"{SITE}/a",
            f"{SITE}/b",
        ),
        (
            {"globs": ("$site/a",), "package": PackageSpec(name="x-*", specifier="!=1.0")},
            f"{SITE}/a",
            f"{SITE}/b",
        ),
        (
            {"globs": ("$site/a",), "package": PackageSpec(name="*", specifier=">3")},
            f"{SITE}/a",
            f"{SITE}/b",
        ),
        ({"globs": (), "keep": ("p/**",), "options": {"roots": True}}, "p/a", "q/a"),
    ],
)
def test_examples_run_where_the_rule_applies(
    changes: dict[str, object], match: str, no_match: str
) -> None:
    rule = make_rule(**changes, examples=Examples(match=(match,), no_match=(no_match,)))
    assert check_examples(rule) == []
    swapped = replace(rule, examples=Examples(match=(no_match,), no_match=(match,)))
    assert len(check_examples(swapped)) == 2


def test_a_rule_for_no_known_platform_is_a_problem() -> None:
    assert check_examples(make_rule(platforms=("amiga_*",)))[0].place == "rule r: platforms"


def test_packs_are_found_in_a_wheel_and_in_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "slim" / "rules" / "loader.py"
    module.parent.mkdir(parents=True)
    monkeypatch.setattr("slim.rules.folder.__file__", str(module))
    with pytest.raises(StorageError, match="rule packs are missing"):
        packs_folder()
    (tmp_path / "rules").mkdir()
    assert packs_folder() == tmp_path / "rules"
    (tmp_path / "slim" / "_rules").mkdir()
    assert packs_folder() == tmp_path / "slim" / "_rules"
    (tmp_path / "slim" / "_rules" / "own.toml").write_text(GOOD)
    assert [rule.builtin for pack in builtin_packs(SCHEMAS) for rule in pack.rules] == [True]
