"""The reference pages: everything that exists is described, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from slim.cli.reporting import TargetType
from slim.config.budget import BUDGET_KEYS
from slim.config.schema import KEYS, LAYER_KEYS
from slim.model.limits import Limits
from slim.passes import SCHEMAS
from slim.reports.budget import VERDICT_REPORTERS
from slim.rules.loader import RULE_KEYS, builtin_packs

DOCS = Path(__file__).parent.parent.parent / "docs"
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference(generate: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "reference"
    generate.main(folder)
    return folder


def rows(text: str, title: str) -> set[str]:
    """What stands in code marks in the first column of the tables below a heading."""
    section = re.split(r"^#+ ", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[
        0
    ]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_key_of_a_configuration(generate: ModuleType) -> None:
    text = page("configuration.md")
    assert generate.with_settings(text) == text
    assert rows(text, "All keys") == set(KEYS)
    assert rows(text, "A layer's own settings") == set(LAYER_KEYS)
    assert rows(text, "Limits") == {field.name for field in fields(Limits)}


def test_every_field_of_a_rule() -> None:
    assert rows(page("rules.md"), "Fields of a rule") == set(RULE_KEYS)


def test_every_key_of_a_budget() -> None:
    told = rows(page("budgets.md"), "What a budget says")
    assert set(BUDGET_KEYS) <= told


def test_every_report_of_a_check() -> None:
    names = {name.partition("=")[0] for name in rows(page("budgets.md"), "Where the verdict goes")}
    assert names == set(VERDICT_REPORTERS)


def test_every_exit_code(generate: ModuleType) -> None:
    text = page("exit-codes.md")
    for label, code in generate.error_classes().items():
        assert re.search(
            rf"^\| {code} \|.*{re.escape(label.rpartition(' ')[2])}", text, re.MULTILINE
        ), label


def test_every_command_and_option(generate: ModuleType, reference: Path) -> None:
    text = (reference / "commands.md").read_text(encoding="utf-8")
    for path, command in generate.walk(generate.root, ("slim",)):
        section = text.partition(f"\n## {' '.join(path)}\n")[2].partition("\n## ")[0]
        assert section, path
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in section
            if isinstance(parameter.type, TargetType):
                assert parameter.type.reporters
                for name, reporter in parameter.type.reporters.items():
                    assert (
                        f"| `{name}=FILE` | `{reporter.suffix}` | {reporter.summary} |" in section
                    )


def test_every_rule_and_pass(reference: Path) -> None:
    text = (reference / "rules.md").read_text(encoding="utf-8")
    for pack in builtin_packs(SCHEMAS):
        assert f"\n## {pack.name}\n" in text
        for rule in pack.rules:
            assert f"\n### {rule.id}\n" in text
    text = (reference / "passes.md").read_text(encoding="utf-8")
    for name, schema in SCHEMAS.items():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert all(f"| `{option}` |" in section for option in schema.options)


def test_every_field_of_a_report(reference: Path) -> None:
    text = (reference / "report-fields.md").read_text(encoding="utf-8")
    for file in sorted((DOCS.parent / "slim" / "reports" / "schema").glob("*.json")):
        schema = json.loads(file.read_text(encoding="utf-8"))
        for key in schema["properties"]:
            if not key.endswith("_base64"):  # of names that aren't UTF-8: told once, at the top
                assert f"| `{key}` |" in text, (file.name, key)


def test_links_lead_somewhere(reference: Path) -> None:
    for source in [*DOCS.glob("*.md"), *reference.glob("*.md")]:
        text = source.read_text(encoding="utf-8")
        for link in _LINK.findall(re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)):
            name, _, anchor = link.partition("#")
            found = DOCS / source.name if not name else DOCS / name
            if name.startswith("reference/"):
                found = reference.parent / name
            elif name.startswith("../"):
                found = DOCS / name.removeprefix("../")
            assert found.is_file(), (source.name, link)
            if anchor:
                assert anchor in anchors(found.read_text(encoding="utf-8")), (source.name, link)


def anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {
        re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles
    }


def test_the_navigation_has_every_page(reference: Path) -> None:
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load((DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8"))

    def files(items: list[object]) -> set[str]:
        found: set[str] = set()
        for item in items:
            assert isinstance(item, dict)
            for value in item.values():
                found |= files(value) if isinstance(value, list) else {value}
        return found

    pages = {path.name for path in DOCS.glob("*.md")} | {
        f"reference/{path.name}" for path in reference.glob("*.md")
    }
    assert files(config["nav"]) == pages
