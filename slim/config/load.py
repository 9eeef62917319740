"""Configurations: found, read, and put together.

The command line beats the file throughout: ``--profile`` also replaces the profiles of single
layers, ``--disable`` also what a layer enables. Lists add up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from slim.config import CONFIG_NAMES
from slim.config.guided import guided_settings
from slim.config.schema import FileSettings, read_settings
from slim.config.settings import (
    SETTINGS,
    STACK_SETTINGS,
    Config,
    Stated,
    merged,
    option_name,
    overruled,
)
from slim.config.verify import read_keep_file
from slim.errors import ConfigError, Problem, StorageError
from slim.model.rule import PassSchema, RulePack
from slim.rules.loader import builtin_packs, duplicate_ids, parse_pack, parse_rules
from slim.system.key_path import key_path
from slim.system.toml_table import Problems, Table, did_you_mean, parse_toml, read_text

_COMMAND_LINE: Final = "command line"
_RULE_LISTS: Final = ("enable", "disable")


def discover(*inputs: Path) -> Path | None:
    """Find the configuration of the current folder, or None.

    Looks there, and nowhere else, for ``slim.toml``, then ``venvstacks.toml`` and
    ``pyproject.toml`` with a ``[tool.slim]`` table. A candidate that isn't valid TOML raises
    :class:`ConfigError`: it might hold the configuration. Where the current folder lies in one of
    ``inputs``, nothing is found: what is slimmed or measured says nothing about how
    (:func:`disregarded` tells).
    """
    return None if lies_in(Path.cwd(), inputs) else _candidate()


def disregarded(*inputs: Path) -> Path | None:
    """Find the configuration that isn't read because it lies in one of ``inputs``, or None."""
    return _candidate() if lies_in(Path.cwd(), inputs) else None


def _candidate() -> Path | None:
    for name in CONFIG_NAMES:
        candidate = Path.cwd() / name
        if candidate.is_file() and (
            name == CONFIG_NAMES[0] or _tool_table(_parse(candidate)) is not None
        ):
            return candidate
    return None


def lies_in(folder: Path, inputs: Iterable[Path]) -> bool:
    """Return whether a folder is one of the folders among ``inputs``, or below one."""
    here = folder.resolve()
    return any(path.is_dir() and here.is_relative_to(path.resolve()) for path in inputs)


def load_config(
    schemas: Mapping[str, PassSchema],
    *,
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    keep_file: Path | None = None,
) -> Config:
    """Put together built-in packs, the file's packs and rules, the file, and the command line.

    ``schemas`` describe the passes that rules may name. ``overrides`` are the command line's values
    by setting, as written there, ``packs``, paths of rule files, and ``traces``. ``keep_file`` is a
    ``slim.keep.toml`` to read as well. Raises :class:`ConfigError` with everything that is wrong
    anywhere, :class:`StorageError` where ``file`` can't be read.
    """
    options = dict(overrides or {})
    problems: list[Problem] = []
    settings, own = FileSettings(), None
    if file is not None:
        settings, own = _read_file(file, schemas, problems)
    base = Path() if file is None else file.parent
    extra = [Path(str(path)) for path in _listed(options.pop("packs", ()))]
    more_traces = tuple(Path(str(path)) for path in _listed(options.pop("traces", ())))
    guided = guided_settings(settings.guided, base, more_traces)
    packs = [
        *builtin_packs(schemas),
        *_packs(
            [base / path for path in settings.packs], schemas, str(file), "packs[{}]", problems
        ),
        *_packs(extra, schemas, _COMMAND_LINE, "--pack", problems),
        *([own] if own else []),
    ]
    rules = [rule for pack in packs for rule in pack.rules]
    problems += duplicate_ids(rules)
    known = {rule.id for rule in rules}
    problems += _unknown_ids(settings, known, str(file))
    problems += _unknown_choices(settings, packs, str(file))
    kept = _kept(keep_file, problems)
    stated = _command_line(options, known, problems)
    layers = {name: overruled(layer, stated) for name, layer in settings.layers.items()}
    for name, globs in kept.items():
        layers[name] = merged(layers.get(name, {}), {"keep": globs})
    if problems:
        raise ConfigError.from_problems(problems)
    defaults = {name: getattr(Config(), name) for name in STACK_SETTINGS}
    return Config(
        **merged(merged(defaults, settings.stated), stated),
        packs=tuple(packs),
        limits=settings.limits,
        layers=layers,
        budgets=settings.budgets,
        verify=settings.verify,
        trace=settings.trace,
        guided=guided,
        choose=settings.choose,
        gpu=settings.gpu,
        origin=None if file is None else str(file),
        files=tuple(
            path
            for path in (
                *(file, *(base / path for path in settings.packs), *extra, keep_file),
                *guided.traces,
            )
            if path is not None
        ),
    )


def _listed(value: object) -> Iterable[object]:
    return value if isinstance(value, Iterable) else ()


def _kept(file: Path | None, problems: list[Problem]) -> Mapping[str, tuple[str, ...]]:
    """Return the globs of what an earlier verification found must stay, by layer."""
    if file is None:
        return {}
    try:
        return read_keep_file(file)
    except ConfigError as error:
        problems += error.problems
        return {}


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
    file: Path, schemas: Mapping[str, PassSchema], problems: list[Problem]
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
    settings = read_settings(table, text)
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
    tables = [
        ("", settings.stated),
        *((key_path("layer", name), stated) for name, stated in settings.layers.items()),
    ]
    return [
        _unknown(rule_id, file, key_path(place, name), known)
        for place, stated in tables
        for name in _RULE_LISTS
        for rule_id in stated.get(name, ())
        if rule_id not in known
    ]


def _unknown_choices(settings: FileSettings, packs: Iterable[RulePack], file: str) -> list[Problem]:
    known = {choice.name for pack in packs for choice in pack.choices}
    return [
        Problem(
            file=file,
            place=key_path("choose", name),
            message=f"there is nothing called {name[:80]!r} to choose",
            hint=did_you_mean(name, known) or f"there is {', '.join(sorted(known))}",
        )
        for name in settings.choose
        if name not in known
    ]


def _unknown(rule_id: str, file: str, place: str, known: Collection[str]) -> Problem:
    message = f"there is no rule {rule_id[:80]!r}"
    return Problem(file=file, place=place, message=message, hint=did_you_mean(rule_id, known))


def _command_line(
    options: Mapping[str, object], known: Collection[str], problems: list[Problem]
) -> Stated:
    """Return the settings that the command line states. Raises KeyError for one that isn't any."""
    noted = Problems(_COMMAND_LINE)
    stated: dict[str, Any] = {}
    for name, written in options.items():
        value = SETTINGS[name].kind.parse(written, partial(noted.add, option_name(name)))
        if value is not None:
            stated[name] = value
    for name in _RULE_LISTS:
        noted.found += [
            _unknown(rule_id, noted.file, option_name(name), known)
            for rule_id in stated.get(name, ())
            if rule_id not in known
        ]
    for rule_id in stated.get("enable", ()):
        if rule_id in stated.get("disable", ()):
            noted.add(option_name("disable"), f"{rule_id[:80]!r} is enabled as well")
    problems += noted.found
    return stated
