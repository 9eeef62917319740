"""Where a configuration comes from, and how its parts are put together.

The command line beats the file throughout: ``--profile`` also replaces the profiles of single
layers, ``--disable`` also what a layer enables. Lists add up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from slim.config import CONFIG_NAMES
from slim.config.budget import read_budgets
from slim.config.schema import (
    MAX_JOBS,
    FileSettings,
    keep_problem,
    memory_problem,
    parse_distribution,
    read_settings,
)
from slim.config.verify import read_keep_file, read_verify
from slim.errors import ConfigError, Problem, StorageError
from slim.model.rule import PassSchema, RulePack, Safety
from slim.model.settings import (
    BytecodePolicy,
    Config,
    DropSpec,
    Effort,
    LayerOverrides,
    Level,
    merge_drops,
)
from slim.model.size import parse_size
from slim.rules.loader import (
    SAFETIES,
    builtin_packs,
    duplicate_ids,
    parse_pack,
    parse_rules,
    read_text,
)
from slim.rules.tables import Problems, Table, did_you_mean, parse_toml

_COMMAND_LINE: Final = "command line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the command line says. ``drop`` entries are ``NAME`` or ``NAME:IMPORTER,IMPORTER`` (see ``despite``)."""

    profile: str | None = None
    packs: tuple[Path, ...] = ()
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    format: str | None = None
    jobs: int | None = None
    level: str | None = None
    memory: str | None = None
    xz_arm64: bool | None = None
    strict: bool | None = None


def discover(start: Path) -> Path | None:
    """Find the configuration that belongs to a stack, or None.

    Looks in ``start`` (in its parent where it is a file), then in the current folder, for
    ``slim.toml``, then ``venvstacks.toml`` and ``pyproject.toml`` with a ``[tool.slim]`` table. A
    candidate that isn't valid TOML raises :class:`ConfigError`: it might hold the configuration.
    """
    folder = start if start.is_dir() else start.parent
    for place in dict.fromkeys((folder.resolve(), Path.cwd())):
        for name in CONFIG_NAMES:
            candidate = place / name
            if candidate.is_file() and (
                name == CONFIG_NAMES[0] or _tool_table(_parse(candidate)) is not None
            ):
                return candidate
    return None


def load_config(
    schemas: Mapping[str, PassSchema],
    *,
    file: Path | None = None,
    overrides: Overrides | None = None,
    formats: Collection[str] = (),
    keep_file: Path | None = None,
) -> Config:
    """Put the configuration together: built-in packs, the file's packs and rules, the file, the command line.

    ``schemas`` describe the passes that rules may name, ``formats`` the output formats (empty: not
    checked), and ``keep_file`` is a ``slim.keep.toml`` to read as well. Raises :class:`ConfigError`
    with everything that is wrong anywhere, :class:`StorageError` where ``file`` can't be read.
    """
    said = overrides or Overrides()
    problems: list[Problem] = []
    settings, own = FileSettings(), None
    if file is not None:
        settings, own = _read_file(file, schemas, formats, problems)
    cli = Problems(_COMMAND_LINE)
    base = Path() if file is None else file.parent
    packs = [
        *builtin_packs(schemas),
        *_packs(
            [base / path for path in settings.packs], schemas, str(file), "packs[{}]", problems
        ),
        *_packs(said.packs, schemas, _COMMAND_LINE, "--pack", problems),
        *([own] if own else []),
    ]
    rules = [rule for pack in packs for rule in pack.rules]
    problems += duplicate_ids(rules)
    known = {rule.id for rule in rules}
    problems += _unknown_ids(settings, known, str(file))
    config = _merge(settings, said, cli, formats, known)
    if keep_file is not None:
        config = _with_keep_file(config, keep_file, problems)
    problems += cli.found
    if problems:
        raise ConfigError.from_problems(problems)
    return dataclasses.replace(
        config, packs=tuple(packs), origin=None if file is None else str(file)
    )


def _with_keep_file(config: Config, file: Path, problems: list[Problem]) -> Config:
    """What an earlier verification found must stay is kept, beside what the user keeps."""
    try:
        found = read_keep_file(file)
    except ConfigError as error:
        problems += error.problems
        return config
    layers = dict(config.layers)
    for name, globs in found.items():
        own = layers.get(name, LayerOverrides())
        layers[name] = dataclasses.replace(own, keep=tuple(dict.fromkeys((*own.keep, *globs))))
    return dataclasses.replace(config, layers=layers)


def _parse(file: Path) -> Mapping[str, object]:
    return _parse_text(file, read_text(file))


def _parse_text(file: Path, text: str) -> Mapping[str, object]:
    problems = Problems(str(file))
    values = parse_toml(text, problems)
    if values is None:
        raise ConfigError.from_problems(problems.found)
    return values


def _tool_table(values: Mapping[str, object]) -> Mapping[str, object] | None:
    tool = values.get("tool")
    found = tool.get("slim") if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else None


def _read_file(
    file: Path, schemas: Mapping[str, PassSchema], formats: Collection[str], problems: list[Problem]
) -> tuple[FileSettings, RulePack | None]:
    text = read_text(file)
    values, place = _parse_text(file, text), ""
    if file.name in CONFIG_NAMES[1:]:
        inner = _tool_table(values)
        if inner is None:
            problems.append(
                Problem(file=str(file), place="tool.slim", message="the table is missing")
            )
            return FileSettings(), None
        values, place = inner, "tool.slim"
    noted = Problems(str(file))
    table = Table(values, place, noted)
    settings = dataclasses.replace(
        read_settings(table, formats), budgets=read_budgets(table, text), verify=read_verify(table)
    )
    rules = parse_rules(
        table.tables("rule"), schemas, pack=file.stem, origin=str(file), builtin=False
    )
    problems += noted.found
    pack = RulePack(
        name=file.stem, origin=str(file), description="the configuration's own rules", rules=rules
    )
    return settings, pack if rules else None


def _packs(
    paths: Iterable[Path],
    schemas: Mapping[str, PassSchema],
    named_in: str,
    place: str,
    problems: list[Problem],
) -> list[RulePack]:
    packs: list[RulePack] = []
    for index, path in enumerate(paths):
        try:
            text = read_text(path)
        except (ConfigError, StorageError) as error:
            message = f"the pack {str(path)!r} can't be read: {error.message}"
            problems.append(Problem(file=named_in, place=place.format(index), message=message))
            continue
        pack, wrong = parse_pack(text, str(path), schemas)
        problems += wrong
        if pack is not None:
            packs.append(pack)
    return packs


def _unknown_ids(settings: FileSettings, known: Collection[str], file: str) -> list[Problem]:
    listed: list[tuple[str, Iterable[str]]] = [
        ("enable", settings.enable),
        ("disable", settings.disable),
    ]
    for name, layer in settings.layers.items():
        listed += [
            (f"layer.{name}.enable", sorted(layer.enable)),
            (f"layer.{name}.disable", sorted(layer.disable)),
        ]
    return [
        _unknown(rule_id, file, place, known)
        for place, ids in listed
        for rule_id in ids
        if rule_id not in known
    ]


def _unknown(rule_id: str, file: str, place: str, known: Collection[str]) -> Problem:
    message = f"there is no rule {rule_id[:80]!r}"
    return Problem(file=file, place=place, message=message, hint=did_you_mean(rule_id, known))


def _merge(
    settings: FileSettings,
    said: Overrides,
    cli: Problems,
    formats: Collection[str],
    known: Collection[str],
) -> Config:
    profile = _checked_profile(said, cli)
    _check_command_line(said, cli, formats, known)
    enable, disable = frozenset(said.enable), frozenset(said.disable)
    layers = {
        name: dataclasses.replace(
            layer,
            profile=layer.profile if profile is None else None,
            enable=layer.enable - disable,
            disable=layer.disable - enable,
        )
        for name, layer in settings.layers.items()
    }
    stated = settings.profile if profile is None else profile
    return Config(
        profile=Safety.STANDARD if stated is None else stated,
        keep=tuple(dict.fromkeys((*settings.keep, *said.keep))),
        enable=(frozenset(settings.enable) - disable) | enable,
        disable=(frozenset(settings.disable) - enable) | disable,
        drop=merge_drops((*settings.drop, *_command_line_drops(said, cli))),
        bytecode=settings.bytecode or BytecodePolicy.NONE,
        format=said.format or settings.format,
        strict=settings.strict if said.strict is None else said.strict,
        jobs=settings.jobs if said.jobs is None else said.jobs,
        effort=_effort(settings, said, cli),
        limits=settings.limits,
        layers=layers,
        budgets=settings.budgets,
        verify=settings.verify,
    )


def _effort(settings: FileSettings, said: Overrides, cli: Problems) -> Effort:
    memory = settings.memory
    if said.memory is not None:
        try:
            memory = parse_size(said.memory[:80])
        except ValueError as error:
            cli.add("--memory", str(error))
        else:
            wrong = memory_problem(memory)
            if wrong is not None:
                cli.add("--memory", wrong)
    return Effort(
        level=Level(said.level) if said.level is not None else settings.level or Level.DEFAULT,
        memory=memory,
        xz_arm64=bool(settings.xz_arm64 if said.xz_arm64 is None else said.xz_arm64),
    )


def _checked_profile(said: Overrides, cli: Problems) -> Safety | None:
    if said.profile is None:
        return None
    profile = SAFETIES.get(said.profile)
    if profile is None:
        message = f"{said.profile[:80]!r} is none of {', '.join(SAFETIES)}"
        cli.add("--profile", message, did_you_mean(said.profile, SAFETIES))
    return profile


def _check_command_line(
    said: Overrides, cli: Problems, formats: Collection[str], known: Collection[str]
) -> None:
    for option, ids in (("--enable", said.enable), ("--disable", said.disable)):
        cli.found += [
            _unknown(rule_id, cli.file, option, known) for rule_id in ids if rule_id not in known
        ]
    for rule_id in said.enable:
        if rule_id in said.disable:
            cli.add("--disable", f"{rule_id[:80]!r} is enabled as well")
    for pattern in said.keep:
        wrong = keep_problem(pattern)
        if wrong is not None:
            cli.add("--keep", wrong)
    if said.format is not None and formats and said.format not in formats:
        message = f"{said.format[:80]!r} is none of {', '.join(sorted(formats))}"
        cli.add("--format", message, did_you_mean(said.format, formats))
    if said.jobs is not None and not 1 <= said.jobs <= MAX_JOBS:
        cli.add("--jobs", f"must be between 1 and {MAX_JOBS}")


def _command_line_drops(said: Overrides, cli: Problems) -> list[DropSpec]:
    drops: list[DropSpec] = []
    for text in said.drop:
        name, _, despite = text.partition(":")
        try:
            names = frozenset(
                parse_distribution(other.strip()) for other in despite.split(",") if despite
            )
            drops.append(DropSpec(name=parse_distribution(name.strip()), despite=names))
        except ValueError as error:
            cli.add("--drop", str(error))
    return drops
