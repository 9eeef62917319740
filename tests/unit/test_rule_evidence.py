"""Evidence of rules: the file of the built-in ones, and the key of a rule of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.config.rule_files import check_rule_files
from slim.config.settings import Config
from slim.errors import ConfigError
from slim.model.progress import Silent
from slim.model.rule import RuleEvidence
from slim.model.untried import untried
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.reports.rules.page import evidence_words
from slim.rules.evidence import read_evidence, with_evidence
from slim.rules.loader import builtin_packs, packs_folder, parse_pack
from tests.support.virtual_stacks import make_stack

PACK = """
schema = 1
description = "Ours"

[[rule]]
id = "maths-headers"
pass = "leftovers"
safety = "standard"
reason = "nobody compiles"
package = "Maths"
remove = ["$package/maths/include/**"]
evidence = {}
"""


def test_a_rule_of_ones_own_carries_its_evidence() -> None:
    inline = '{ tried = ["3.1.0", "3.2.1"], uses = 4, tests = 812 }'
    pack, problems = parse_pack(PACK.format(inline), "ours.toml", SCHEMAS)
    assert not problems
    assert pack is not None
    expected = RuleEvidence(tried={"maths": ("3.1.0", "3.2.1")}, uses=4, tests=812)
    assert pack.rules[0].evidence == expected


@pytest.mark.parametrize(
    ("inline", "place"),
    [
        ("{ uses = 4 }", "rule[0].evidence.tried"),
        ('{ tried = ["1"], uses = -1 }', "rule[0].evidence.uses"),
        ('{ tried = ["1"], proof = 1 }', "rule[0].evidence.proof"),
    ],
)
def test_wrong_evidence_is_told(inline: str, place: str) -> None:
    _, problems = parse_pack(PACK.format(inline), "ours.toml", SCHEMAS)
    assert [problem.place for problem in problems] == [place]


def test_versions_of_no_package_are_told() -> None:
    text = PACK.format('{ tried = ["1"] }').replace('package = "Maths"\n', "")
    _, problems = parse_pack(text, "ours.toml", SCHEMAS)
    assert [problem.place for problem in problems] == ["rule[0].evidence.tried"]


def test_the_file_is_no_pack_and_gives_built_in_rules_their_evidence(tmp_path: Path) -> None:
    packs = builtin_packs(SCHEMAS)
    assert "evidence" not in {pack.name for pack in packs}
    rule = packs[0].rules[0]
    file = tmp_path / "evidence.toml"
    file.write_text(
        f"[{rule.id}]\nuses = 3\ntests = 0\nsaved = 5\ntried = {{ NumPy = ['2.1'] }}\n"
        "[gone]\nuses = 1\ntried = { a = ['1'] }\n"
    )
    found = with_evidence(packs, read_evidence(file))
    assert found[0].rules[0].evidence == RuleEvidence(tried={"numpy": ("2.1",)}, uses=3, saved=5)


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "evidence.toml"
    file.write_text("a = 1\n[b]\nuses = 'x'\ntried = { c = ['1'] }\n")
    with pytest.raises(ConfigError) as caught:
        read_evidence(file)
    assert [problem.place for problem in caught.value.problems] == ["a", "b.uses"]


def test_words_name_versions_and_what_passed() -> None:
    assert evidence_words(None) == "not tried"
    evidence = RuleEvidence(tried={"numpy": ("2.3.5", "2.4.0")}, uses=4, tests=812, saved=6_700_000)
    words = evidence_words(evidence)
    assert words == "on numpy 2.3.5, 2.4.0: 4 uses, 812 tests; saved 6.7 MB"
    many = RuleEvidence(tried={name: ("1",) for name in "abcdefgh"}, uses=1)
    assert evidence_words(many) == "on a 1; b 1; c 1; d 1; e 1; f 1 and 2 others: 1 use"


HEADER = "include/maths.h"


@pytest.mark.parametrize(
    ("evidence", "builtin", "strict", "goes"),
    [
        ('{ tried = ["2.0"] }', True, True, True),
        ('{ tried = ["1.9"] }', True, True, False),
        (None, True, True, False),
        (None, True, False, True),
        (None, False, True, True),  # one's own rule is one's own decision
    ],
)
def test_strict_evidence_leaves_out_versions_that_were_not_tried(
    evidence: str | None, builtin: bool, strict: bool, goes: bool
) -> None:
    text = PACK.format(evidence) if evidence else PACK.replace("evidence = {}\n", "")
    text = text.replace("reason =", 'source = "a test"\nreason =')
    pack, problems = parse_pack(text, "ours.toml", SCHEMAS, builtin=builtin)
    assert pack is not None, problems
    files = {
        "$site/maths-2.0.dist-info/METADATA": "Name: maths\nVersion: 2.0\n",
        "$site/maths/__init__.py": "",
        f"$site/maths/{HEADER}": "int x;",
    }
    made = make_stack({"cpython3.13": {"$stdlib/os.py": ""}, "app-main": files})
    config = Config(packs=(pack,), strict_evidence=strict)
    plan = Planner(made.facts, config, Silent()).plan()
    removed = [action.record.path for action in plan.actions.values()]
    assert any(path.endswith(HEADER) for path in removed) == goes
    if goes:
        marked = untried({rule.id: rule for rule in pack.rules}, plan.actions.values())
        wrong = evidence is None or '"2.0"' not in evidence
        assert list(marked.values()) == ([("maths 2.0",)] if builtin and wrong else [])
    told = [str(item) for skipped in plan.skipped for item in skipped.evidence]
    assert any("wasn't tried on maths 2.0" in text for text in told) == (not goes)


def test_the_files_of_the_built_in_rules_can_be_checked_with_their_evidence() -> None:
    checked = check_rule_files(sorted(packs_folder().glob("*.toml")), SCHEMAS)
    assert checked.evidence
    assert checked.rules


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[no-such-rule]\ntried = { x = ["1"] }\n', "there is no rule 'no-such-rule'"),
        ('[test-folders]\ntried = { x = ["1"] }\n', "did you mean 'tests-folders'?"),
        ("[tests-folders]\ntried = { x = [1] }\n", "expected a string"),
    ],
)
def test_evidence_is_checked_as_what_it_is(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "evidence.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        check_rule_files([path], SCHEMAS)
    assert problem in " ".join(f"{one.message} {one.hint}" for one in caught.value.problems)


def test_evidence_of_a_rule_that_is_checked_beside_it(tmp_path: Path) -> None:
    pack, evidence = tmp_path / "ours.toml", tmp_path / "tried.toml"
    site = "lib/python3.13/site-packages/maths"
    examples = f'examples = {{ match = ["{site}/include/m.h"], no_match = ["{site}/m.py"] }}'
    pack.write_text(PACK.replace("evidence = {}", examples))
    evidence.write_text('[maths-headers]\ntried = { maths = ["3.1.0"] }\n')
    assert check_rule_files([evidence, pack], SCHEMAS).evidence == 1
