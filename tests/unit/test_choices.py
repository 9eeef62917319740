"""Choices: what a user keeps of many alike, what code asks for besides, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.config.settings import Config
from slim.errors import ConfigError
from slim.model.plan import Plan, SkipReason
from slim.model.progress import Silent
from slim.model.rule import RulePack
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.rules.loader import parse_pack
from tests.support.virtual_stacks import Contents, make_stack

PACK = """
schema = 1
description = "of a test"

[[choice]]
name = "locales"
meaning = "locales"
parts = true
asked_by = ["Locale"]

[[choice]]
name = "services"
meaning = "services"
asked_by = ["client"]

[[rule]]
id = "choose-locales"
pass = "docs"
safety = "standard"
reason = "Locales that weren't chosen"
choose = "locales"
remove = ["$site/words/<value>.dat", "$site/words/**/<value>/*.mo"]
keep = ["$site/words/root.dat"]

[[rule]]
id = "choose-services"
pass = "docs"
safety = "standard"
reason = "Services that weren't chosen"
choose = "services"
remove = ["$site/cloud/data/<value>/**"]
"""
APP: dict[str, Contents] = {
    "$site/app.py": "",
    **{f"$site/words/{name}.dat": "x" for name in ("root", "en", "en_GB", "de", "de_AT", "fr")},
    "$site/words/a/b/fr/x.mo": "x",
    "$site/words/a/b/de-AT/x.mo": "x",
    **{f"$site/cloud/data/{name}/1.json": "x" for name in ("s3", "s3-control", "sqs")},
    "$site/cloud/data/shared.json": "x",
}


def pack(text: str = PACK) -> RulePack:
    found, problems = parse_pack(text, "test.toml", SCHEMAS)
    assert found is not None
    assert problems == []
    return found


def plan(more: dict[str, Contents] | None = None, **choose: tuple[str, ...]) -> Plan:
    made = make_stack({"app-main": APP | (more or {})})
    config = Config(packs=(pack(),), choose=choose)
    return Planner(made.facts, config, Silent()).plan()


def removed(found: Plan) -> set[str]:
    return {action.record.path.partition("site-packages/")[2] for action in found.actions.values()}


def test_nothing_goes_where_nothing_is_chosen() -> None:
    assert removed(plan()) == set()


def test_a_language_keeps_its_regions_and_a_region_its_language() -> None:
    assert removed(plan(locales=("en",))) == {
        "words/de.dat",
        "words/de_AT.dat",
        "words/fr.dat",
        "words/a/b/fr/x.mo",
        "words/a/b/de-AT/x.mo",
    }
    assert removed(plan(locales=("de_AT",))) == {
        "words/en.dat",
        "words/en_GB.dat",
        "words/fr.dat",
        "words/a/b/fr/x.mo",
    }


def test_a_value_without_parts_is_itself_alone() -> None:
    assert removed(plan(services=("s3",))) == {
        "cloud/data/s3-control/1.json",
        "cloud/data/sqs/1.json",
    }


@pytest.mark.parametrize(
    ("code", "held"),
    [
        ("import cloud\ncloud.client('sqs')\n", True),
        ("def f(session):\n    return session.client(region='x', service='sqs')\n", True),
        ("match x: case ¿\nsession.client(region='x', service='sqs')\n", True),
        ("# client('sqs')\n", False),
        ('"""Use client("sqs")."""\n', False),
        ("server('sqs')\n", False),
        ("client('sqs2')\n", False),
    ],
)
def test_what_code_asks_for_stays_and_says_who_asks(code: str, held: bool) -> None:
    found = plan({"$site/app.py": code}, services=("s3",))
    assert ("cloud/data/sqs/1.json" in removed(found)) is not held
    refusals = [skipped for skipped in found.skipped if "sqs" in skipped.record.path]
    assert [skipped.reason for skipped in refusals] == ([SkipReason.CONDITION] if held else [])
    if held:
        assert 'client("sqs")' in str(refusals[0].evidence[0])
        assert "app.py" in (refusals[0].evidence[0].file or "")


def test_everything_that_is_unknown_is_told_at_once_with_what_is_near() -> None:
    with pytest.raises(ConfigError) as raised:
        plan(locales=("de", "gr"), services=("s3", "sqz"))
    texts = [str(problem) for problem in raised.value.problems]
    assert len(texts) == 2
    assert "choose.locales" in texts[0]
    assert "'gr'" in texts[0]
    assert "'sqz'" in texts[1]
    assert "sqs" in texts[1]


def test_nothing_is_wrong_where_there_is_nothing_to_choose_from() -> None:
    made = make_stack({"app-main": {"$site/app.py": ""}})
    config = Config(packs=(pack(),), choose={"services": ("s3",)})
    assert removed(Planner(made.facts, config, Silent()).plan()) == set()


def test_a_choosing_rule_needs_the_value_once_in_each_glob() -> None:
    _, problems = parse_pack(PACK.replace("<value>/**", "**"), "test.toml", SCHEMAS)
    assert ["<value>" in str(problem) for problem in problems] == [True]


def test_a_file_may_choose_what_packs_know(tmp_path: Path) -> None:
    file = tmp_path / "slim.toml"
    file.write_text('schema = 1\n[choose]\nlocales = ["de"]\naws_services = ["s3"]\n')
    assert load_config(SCHEMAS, file=file).choose == {"locales": ("de",), "aws_services": ("s3",)}
    file.write_text('schema = 1\n[choose]\nlocale = ["de"]\naws_services = []\n')
    with pytest.raises(ConfigError) as raised:
        load_config(SCHEMAS, file=file)
    texts = [str(problem) for problem in raised.value.problems]
    assert any("choose.locale" in text and "locales" in text for text in texts)
    assert any("aws_services" in text for text in texts)
