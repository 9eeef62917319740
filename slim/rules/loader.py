"""Rule packs: TOML in, checked :class:`~slim.model.rule.RulePack` out.

A file holds ``schema = 1``, ``description`` and any number of ``[[rule]]`` tables. What a rule may
say about its pass comes from the pass's :class:`~slim.model.rule.PassSchema`, which the caller
hands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from slim.errors import ConfigError, Problem
from slim.model.facts import Fact
from slim.model.rule import (
    Examples,
    FactSource,
    OptionSchema,
    OptionValue,
    PackageSpec,
    PassSchema,
    Rule,
    RulePack,
    Safety,
    Verb,
)
from slim.model.stack import LayerKind
from slim.rules.choices import VALUE, read_choices, selecting_globs
from slim.rules.evidence import EVIDENCE_FILE, inline_evidence, read_evidence, with_evidence
from slim.rules.folder import packs_folder
from slim.rules.glob import GlobError, compile_glob
from slim.rules.protected import protected_target
from slim.system.toml_table import Problems, Table, did_you_mean, parse_toml, read_text

SCHEMA: Final = 1
PACK_KEYS: Final = ("schema", "description", "rule", "fact", "choice")
FACT_KEYS: Final = ("fact", "reason", "packages", "together_with", "ignore", "source")
RULE_KEYS: Final = (
    "id",
    "pass",
    "reason",
    "safety",
    "layers",
    "package",
    "platforms",
    "remove",
    "rewrite",
    "keep",
    "options",
    "unless",
    "despite",
    "choose",
    "unit",
    "source",
    "examples",
    "evidence",
)
SAFETIES: Final = {safety.label: safety for safety in Safety}
FACT_NAMES: Final = {fact.value: fact for fact in Fact}
LAYER_KINDS: Final = {kind.value: kind for kind in LayerKind if kind is not LayerKind.PLAIN}

_ID: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_PACKAGE: Final = re.compile(
    r"(\*|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:[._-]?\*)?)(?:\s*(?=[<>=!~])(.*))?\Z",
    re.DOTALL,
)
_PLATFORM: Final = re.compile(r"[a-z0-9_*?]+\Z")


def builtin_packs(schemas: Mapping[str, PassSchema]) -> tuple[RulePack, ...]:
    """The packs that slim comes with, by name.

    Raises :class:`ConfigError` with all problems of all packs.
    """
    folder = packs_folder()
    paths = sorted(path for path in folder.glob("*.toml") if path.name != EVIDENCE_FILE)
    packs = load_packs(paths, schemas, builtin=True)
    path = folder / EVIDENCE_FILE
    return with_evidence(packs, read_evidence(path)) if path.is_file() else packs


def load_packs(
    paths: Iterable[Path], schemas: Mapping[str, PassSchema], *, builtin: bool = False
) -> tuple[RulePack, ...]:
    """Read rule files.

    Raises :class:`ConfigError` with every problem of any of them, :class:`StorageError` where one
    can't be read.
    """
    packs: list[RulePack] = []
    problems: list[Problem] = []
    for path in paths:
        pack, wrong = parse_pack(read_text(path), str(path), schemas, builtin=builtin)
        problems += wrong
        if pack is not None:
            packs.append(pack)
    problems += duplicate_ids(rule for pack in packs for rule in pack.rules)
    if problems:
        raise ConfigError.from_problems(problems)
    return tuple(packs)


def parse_pack(
    text: str, origin: str, schemas: Mapping[str, PassSchema], *, builtin: bool = False
) -> tuple[RulePack | None, list[Problem]]:
    """Parse one rule file, and list what is wrong with it.

    The pack is None where the file isn't TOML; otherwise it holds the rules that have no problem.
    """
    problems = Problems(origin)
    values = parse_toml(text, problems)
    if values is None:
        return None, problems.found
    top = Table(values, "", problems)
    top.allow(PACK_KEYS)
    top.schema(SCHEMA)
    description = top.text("description", required=True) or ""
    name = Path(origin).stem
    rules = parse_rules(top.tables("rule"), schemas, pack=name, origin=origin, builtin=builtin)
    problems.found += duplicate_ids(rules)
    pack = RulePack(
        name=name,
        origin=origin,
        description=description,
        rules=rules,
        facts=_facts(top.tables("fact"), builtin=builtin),
        choices=read_choices(top.tables("choice"), builtin=builtin),
    )
    return pack, problems.found


def parse_rules(
    tables: Iterable[Table],
    schemas: Mapping[str, PassSchema],
    *,
    pack: str,
    origin: str,
    builtin: bool,
) -> tuple[Rule, ...]:
    """Read ``[[rule]]`` tables, in a pack or in a configuration file.

    Problems are noted in the tables' file.
    """
    rules: list[Rule] = []
    for table in tables:
        before = len(table.problems.found)
        rule = _rule(table, schemas, pack=pack, origin=origin, builtin=builtin)
        if rule is not None and len(table.problems.found) == before:
            rules.append(rule)
    return tuple(rules)


def duplicate_ids(rules: Iterable[Rule]) -> list[Problem]:
    """A problem for every rule whose id another one already has."""
    first: dict[str, Rule] = {}
    problems: list[Problem] = []
    for rule in rules:
        other = first.setdefault(rule.id, rule)
        if other is not rule:
            message = (
                f"the id {rule.id!r} is already taken by a rule in {other.origin or other.pack}"
            )
            problems.append(
                Problem(file=rule.origin or rule.pack, place=f"rule {rule.id}", message=message)
            )
    return problems


def _rule(
    table: Table, schemas: Mapping[str, PassSchema], *, pack: str, origin: str, builtin: bool
) -> Rule | None:
    table.allow(RULE_KEYS)
    rule_id = table.text("id", required=True)
    if rule_id is not None and not _ID.match(rule_id):
        table.note("id", f"{rule_id[:80]!r} isn't lower-case words joined by '-'")
    reason = table.text("reason", required=True)
    safety = table.text("safety", required=True, choices=tuple(SAFETIES))
    layers = table.texts("layers", check=_one_of(LAYER_KINDS))
    platforms = table.texts("platforms", check=_platform_problem)
    package = _package(table)
    examples = _examples(table)
    evidence = inline_evidence(table, package)
    source = table.text("source", required=builtin)
    unless = table.texts("unless", check=_one_of(FACT_NAMES))
    despite = table.texts("despite", check=lambda text: _glob_problem(text, None))
    unit = table.flag("unit")
    schema = _pass_schema(table, schemas)
    if schema is None:
        return None
    choose = table.text("choose")
    globs, keep, options = _selection(table, schema)
    choice_globs = globs if choose else ()
    computed = schema.computes_choice
    globs = selecting_globs(table, schema.verb.value, choose, computed=computed) or globs
    if rule_id is None or reason is None or safety is None:
        return None
    return Rule(
        id=rule_id,
        pass_name=schema.name,
        reason=reason.strip(),
        safety=SAFETIES[safety],
        globs=globs,
        keep=keep,
        layers=frozenset(LAYER_KINDS[kind] for kind in layers),
        package=package,
        platforms=platforms,
        options=options,
        unless=tuple(FACT_NAMES[name] for name in unless),
        despite=despite,
        choose=choose or "",
        choice_globs=choice_globs,
        unit=unit is True,
        source=(source or "").strip(),
        examples=examples,
        evidence=evidence,
        pack=pack,
        origin=origin,
        builtin=builtin,
    )


def _facts(tables: Iterable[Table], *, builtin: bool) -> tuple[FactSource, ...]:
    """Read ``[[fact]]`` tables; those with a problem are left out, and the problem is noted."""
    sources: list[FactSource] = []
    for table in tables:
        before = len(table.problems.found)
        table.allow(FACT_KEYS)
        fact = table.text("fact", required=True, choices=tuple(FACT_NAMES))
        reason = table.text("reason", required=True)
        packages = table.texts("packages", check=_package_problem)
        together_with = table.texts("together_with", check=_package_problem)
        ignore = table.texts("ignore", check=lambda text: _glob_problem(text, None))
        source = table.text("source", required=builtin)
        if not packages and not ignore:
            table.note("packages", "is missing: the distributions from which the fact follows")
        if fact is None or reason is None or len(table.problems.found) > before:
            continue
        sources.append(
            FactSource(
                fact=FACT_NAMES[fact],
                reason=reason.strip(),
                packages=tuple(map(parse_package, packages)),
                together_with=tuple(map(parse_package, together_with)),
                ignore=ignore,
                source=(source or "").strip(),
            )
        )
    return tuple(sources)


def _package_problem(text: str) -> str | None:
    try:
        parse_package(text)
    except ValueError as error:
        return str(error)
    return None


def _pass_schema(table: Table, schemas: Mapping[str, PassSchema]) -> PassSchema | None:
    name = table.text("pass", required=True)
    if name is None:
        return None
    schema = schemas.get(name)
    if schema is None:
        hint = did_you_mean(name, schemas) or f"passes: {', '.join(sorted(schemas))}"
        table.note("pass", f"there is no pass {name[:80]!r}", hint)
    return schema


def _selection(
    table: Table, schema: PassSchema
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, OptionValue]]:
    verb = schema.verb
    other = Verb.REWRITE if verb is Verb.REMOVE else Verb.REMOVE
    if other.value in table.values:
        table.note(
            other.value, f"the pass {schema.name!r} doesn't {other}", f"write {verb.value} = [...]"
        )
    globs = table.texts(verb.value, check=lambda text: _glob_problem(text, verb))
    keep = table.texts("keep", check=lambda text: _glob_problem(text, None))
    options = _options(table, schema)
    if options.get("roots") is True:
        if globs:
            table.note(
                verb.value,
                "a rule with options.roots removes nothing",
                "name the plug-in folders under keep",
            )
        if "keep" not in table.values:
            table.note("keep", "is missing: the folders that hold plug-ins")
    elif (
        schema.needs_globs and not table.values.get(verb.value) and other.value not in table.values
    ):
        table.note(verb.value, "is missing: the globs that the rule selects")
    return globs, keep, options


def _glob_problem(text: str, verb: Verb | None) -> str | None:
    try:
        glob = compile_glob(text.replace(VALUE, "*"))
    except GlobError as error:
        return f"{error}: {text[:80]!r}"
    named = None if verb is None else protected_target(glob, verb)
    return None if named is None else f"names a protected file ({named}): {text[:80]!r}"


def _platform_problem(text: str) -> str | None:
    return (
        None
        if _PLATFORM.match(text)
        else f"{text[:80]!r} isn't a platform such as 'linux_*' or 'macosx_arm64'"
    )


def _one_of(known: Iterable[str]) -> Callable[[str], str | None]:
    words = tuple(known)

    def check(text: str) -> str | None:
        return None if text in words else f"{text[:80]!r} is none of {', '.join(words)}"

    return check


def _package(table: Table) -> PackageSpec | None:
    text = table.text("package")
    if text is None:
        return None
    try:
        return parse_package(text)
    except ValueError as error:
        table.note("package", str(error))
        return None


def parse_package(text: str) -> PackageSpec:
    """Parse ``numpy``, ``numpy >= 1.20``, ``nvidia-*`` or ``*``. Raises :class:`ValueError`."""
    found = _PACKAGE.match(text.strip())
    if found is None:
        raise ValueError(f"{text[:80]!r} isn't a distribution such as 'numpy' or 'numpy >= 1.20'")
    name, specifier = found[1], (found[2] or "").strip()
    try:
        normal = str(SpecifierSet(specifier))
    except InvalidSpecifier as error:
        raise ValueError(f"{specifier[:80]!r} isn't a version specifier (PEP 440)") from error
    return PackageSpec(name=canonicalize_name(name), specifier=normal)


def _examples(table: Table) -> Examples:
    inner = table.table("examples")
    if inner is None:
        return Examples()
    inner.allow(("match", "no_match"))
    return Examples(match=inner.texts("match"), no_match=inner.texts("no_match"))


def _options(table: Table, schema: PassSchema) -> dict[str, OptionValue]:
    """The options as given, after the schema; those not given are left to the pass's defaults."""
    inner = table.table("options")
    if inner is None:
        return {}
    if not schema.options:
        table.note("options", f"the pass {schema.name!r} takes no options")
        return {}
    inner.allow(tuple(schema.options))
    options: dict[str, OptionValue] = {}
    for key, option in schema.options.items():
        if key in inner.values and (value := _option(inner, key, option)) is not None:
            options[key] = value
    return options


def _option(table: Table, key: str, option: OptionSchema) -> OptionValue | None:
    if option.type is tuple:
        return table.texts(key)
    if option.type is bool:
        return table.flag(key)
    if option.type is int:
        return table.number(key)
    return table.text(key, choices=option.choices)
