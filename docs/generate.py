"""Writes the reference pages, and the tables of settings in ``docs/configuration.md``.

    python docs/generate.py [FOLDER]

FOLDER is ``docs/reference`` beside this file by default. Its pages come from the command line, the
passes, the rule packs and the report schemas. They are built, not kept: run this before the site is
built, and never edit what it writes. The tables of settings are kept between their marks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from slim.cli import root
from slim.cli.groups import walk
from slim.cli.reporting import TargetType
from slim.config.kinds import Word
from slim.config.schema import PARTS
from slim.config.settings import LAYER_SETTINGS, STACK_SETTINGS, Config, Setting
from slim.errors import RefusedError, SlimError
from slim.model.rule import PassSchema, Rule, RulePack
from slim.passes import SCHEMAS
from slim.reports.reporter import Reporter
from slim.reports.rules.page import rule_page
from slim.rules.loader import builtin_packs

WIDTH = 88
CONFIGURATION = Path(__file__).parent / "configuration.md"
_NOTE = "<!-- Written by docs/generate.py; don't edit. -->\n\n"


def main(folder: Path) -> None:
    """Write every page into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(_NOTE + text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")


def pages() -> dict[str, str]:
    """All pages by file name."""
    return {
        "commands.md": commands(),
        "passes.md": passes(),
        "rules.md": rules(),
        "report-fields.md": report_fields(),
    }


def with_settings(page: str) -> str:
    """Return a page with its tables of settings as the code has them."""
    for name, table in (("keys", all_keys()), ("layer-keys", layer_keys())):
        begin, end = f"<!-- {name}: written by docs/generate.py -->\n", f"<!-- {name} end -->\n"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page has no marks for the table of {name}")
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def all_keys() -> str:
    """Table of the keys of a configuration file: what must be there, settings, then tables."""
    rows = {part.name: (part.type_name, part.default, part.meaning) for part in PARTS}
    settings = {
        name: (setting.kind.type_name, _default(name, setting), _meaning(setting))
        for name, setting in STACK_SETTINGS.items()
    }
    leading = {name: rows.pop(name) for name in ("schema", "packs")}
    lines = ["| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, cells in {**leading, **settings, **rows}.items():
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _meaning(setting: Setting) -> str:
    if not isinstance(setting.kind, Word):
        return setting.meaning
    choices = ", ".join(f"`{word}`" for word in setting.kind.choices)
    return setting.meaning.replace("{choices}", choices)


def layer_keys() -> str:
    """Table of the keys of a ``[layer.NAME]`` table."""
    lines = ["| Key | Meaning |", "| --- | --- |"]
    for name, setting in LAYER_SETTINGS.items():
        lines.append(f"| `{name}` | {setting.layer_meaning} |")
    return "\n".join([*lines, ""])


def _default(name: str, setting: Setting) -> str:
    """Return a setting's default as a file would have it."""
    value = getattr(Config(), name)
    if value is None:
        return setting.unset
    if setting.kind.adds_up:
        return "none"
    written = value if isinstance(value, bool) else getattr(value, "label", None) or str(value)
    return f"`{json.dumps(written)}`"


def commands() -> str:
    """One section a command, with what ``--help`` says, and a table of its reports."""
    parts = ["# Commands\n\nWhat `slim COMMAND --help` prints.\n"]
    for path, command in walk(root, ("slim",)):
        parts.append(f"## {' '.join(path)}\n\n```text\n{_help(command, path)}\n```\n")
        for parameter in command.params:
            if isinstance(parameter.type, TargetType):
                parts.append(_reports(parameter.type.reporters.values()))
    return "\n".join(parts)


def _reports(reporters: Iterable[Reporter[Any]]) -> str:
    """Table of the reports that a command can write."""
    lines = ["| Report | Usual end of its name | For |", "| --- | --- | --- |"]
    for reporter in reporters:
        lines.append(f"| `{reporter.name}=FILE` | `{reporter.suffix}` | {reporter.summary} |")
    return "\n".join([*lines, ""])


def _help(command: click.Command, path: tuple[str, ...]) -> str:
    context = click.Context(
        command,
        info_name=" ".join(path),
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["-h", "--help"],
    )
    return command.get_help(context).rstrip()


def passes() -> str:
    """What each pass does, and the options that rules may give it."""
    parts = [
        "# Passes\n\nA rule names its pass. These are the passes, in the order in which they look "
        "at a stack.\n"
    ]
    for schema in SCHEMAS.values():
        parts.append(_pass(schema))
    return "\n".join(parts)


def _pass(schema: PassSchema) -> str:
    globs = f"a list `{schema.verb.value}` of globs" + (
        "" if schema.needs_globs else " (may be left out)"
    )
    lines = [f"## {schema.name}", "", schema.summary, "", f"A rule for it has {globs}.", ""]
    if schema.options:
        lines += ["| Option | Type | Default | Meaning |", "| --- | --- | --- | --- |"]
    for name, option in schema.options.items():
        choices = (
            f" One of {', '.join(f'`{choice}`' for choice in option.choices)}."
            if option.choices
            else ""
        )
        default = json.dumps(
            list(option.default) if isinstance(option.default, tuple) else option.default
        )
        meaning = " ".join(option.help.split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {option.type.__name__} | `{default}` | {meaning}.{choices} |")
    return "\n".join([*lines, ""])


def rules() -> str:
    """Every built-in rule: the page that ``slim rules show`` prints, pack by pack."""
    packs = builtin_packs(SCHEMAS)
    count = sum(len(pack.rules) for pack in packs)
    parts = [
        "# Built-in rules\n",
        f"{count} rules in {len(packs)} packs. `slim rules show RULE` prints the same text. "
        "[Rules of your own](../rules.md) tells what the fields mean.\n",
    ]
    for pack in packs:
        parts.append(_pack(pack))
    return "\n".join(parts)


def _pack(pack: RulePack) -> str:
    sections = [f"## {pack.name}\n\n{pack.description}.\n"]
    sections += [_rule(rule) for rule in pack.rules]
    return "\n".join(sections)


def _rule(rule: Rule) -> str:
    """Return the rule's page, two levels down.

    Its headings of parts become bold lines, so that the contents stay short.
    """
    lines = []
    for line in rule_page(rule, SCHEMAS.get(rule.pass_name)).splitlines():
        if line.startswith("# "):
            lines.append(f"### {line[2:]}")
        elif line.startswith("## "):
            lines.append(f"**{line[3:]}**")
        elif line.startswith("    "):
            lines.append(line)
        else:
            lines.append(line.replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;"))
    return "\n".join([*lines, ""])


def report_fields() -> str:
    """Every field of every JSON report, from its JSON Schema."""
    parts = [
        "# Report fields\n",
        "Every field of the JSON reports, from the JSON Schemas that are shipped in "
        "`slim/reports/schema`. "
        "Sizes are bytes.\n",
    ]
    folder = files("slim.reports").joinpath("schema")
    for name in sorted(
        item.name for item in folder.iterdir() if item.name.endswith(".schema.json")
    ):
        schema = json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
        parts += [
            f"## {schema.get('title', name)}\n",
            f"`{schema.get('$id', name)}`\n",
            *_described(schema),
        ]
        parts += _object(schema)
        for part, inner in schema.get("$defs", {}).items():
            if inner.get("type") == "object" and inner.get("properties"):
                parts += [
                    f"### {part} ({name.partition('.')[0]})\n",
                    *_described(inner),
                    *_object(inner),
                ]
    return "\n".join(parts)


def _described(schema: dict[str, Any]) -> list[str]:
    return [_cell(schema["description"]) + "\n"] if schema.get("description") else []


def _object(schema: dict[str, Any]) -> list[str]:
    rows = list(_rows(schema, ""))
    return ["| Field | Type | Meaning |", "| --- | --- | --- |", *rows, ""] if rows else []


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        if key.endswith("_base64"):
            continue  # said once, on the page about reports
        yield f"| `{prefix}{key}` | {_type(inner)} | {_cell(inner.get('description', ''))} |"
        nested = inner.get("items", {}) if inner.get("type") == "array" else inner
        mark = "[]." if inner.get("type") == "array" else "."
        yield from _rows(nested, f"{prefix}{key}{mark}")


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(inner) for inner in schema["anyOf"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"array of {_type(schema.get('items', {}))}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def error_classes() -> dict[str, int]:
    """The exit code of every kind of error, by its label."""
    return {kind.label: kind.exit_code for kind in (RefusedError, *SlimError.__subclasses__())}


def update_configuration() -> None:
    """Write the tables of settings anew, where the code has changed."""
    page = CONFIGURATION.read_text(encoding="utf-8")
    CONFIGURATION.write_text(with_settings(page), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if any(argument.startswith("-") for argument in sys.argv[1:]):
        sys.exit(__doc__)
    update_configuration()
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "reference")
