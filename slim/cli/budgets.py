"""The file that holds the budgets of ``slim check``: reading it, and writing tighter ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from slim.config import CONFIG_NAMES
from slim.config.budget import SCHEMA, parse_limit, read_budget_file
from slim.config.budget_edit import rewritten, starting_budgets, updates
from slim.config.load import load_config
from slim.config.settings import Config
from slim.errors import ConfigError
from slim.model.budget import Budget, LimitKind, Verdict
from slim.model.diff import Metric, Snapshot
from slim.passes import SCHEMAS
from slim.reports.common.text import count
from slim.system.atomic import replace_file
from slim.system.toml_table import read_text


def parse_headroom(text: str) -> int:
    """Return a percentage in millionths. Raises :class:`click.UsageError` for anything else."""
    try:
        limit = parse_limit(Metric.UNPACKED, f"+{text.strip().removeprefix('+')}")
    except ValueError:
        limit = None
    if limit is None or limit.kind is not LimitKind.GROWTH_SHARE:
        raise click.UsageError(f"--headroom takes a percentage such as 2%, not {text[:40]!r}")
    return limit.value


@dataclass(frozen=True, slots=True)
class BudgetFile:
    """The file that holds, or shall hold, the budgets. ``named``: by ``--budget``."""

    path: Path
    named: bool

    @classmethod
    def of(cls, config: Config, named: Path | None) -> BudgetFile:
        """Return the file that ``--budget`` names, or that of the configuration."""
        if named is not None:
            return cls(named, named=True)
        return cls(Path(config.origin) if config.origin else Path(CONFIG_NAMES[0]), named=False)

    def as_config(self) -> Path | None:
        """Return the path if the file is a configuration, which holds more than budgets."""
        return self.path if self.path.name in CONFIG_NAMES else None

    def read(self, config: Config, *, may_be_missing: bool = False) -> tuple[Budget, ...]:
        """Return the budgets, with paths as reports tell them: below the current folder relative.

        Raises ConfigError and StorageError.
        """
        if not self.named:
            budgets = config.budgets
        elif may_be_missing and not self.path.exists():
            budgets = ()
        elif self.as_config():
            budgets = load_config(SCHEMAS, file=self.path).budgets
        else:
            budgets = read_budget_file(self.path)
        if not budgets and not may_be_missing:
            hint = "write [[budget]] tables, or start with slim check OUT --update-budget"
            file = self.path if self.named else config.origin
            raise ConfigError("there is no budget", file=file, hint=hint)
        return tuple(replace(budget, origin=_relative(budget.origin)) for budget in budgets)

    def update(
        self,
        budgets: Sequence[Budget],
        verdict: Verdict | None,
        measured: Sequence[Snapshot],
        *,
        headroom: int,
        allow_raise: bool,
    ) -> list[str]:
        """Write today's sizes into the file, and return a line for each change.

        Without a ``verdict`` there were no budgets: the first ones are written. Raises ConfigError
        and StorageError.
        """
        nested = self.path.name in CONFIG_NAMES[1:]
        text, name = self._text(), _relative(str(self.path))
        if verdict is None:
            start = starting_budgets(measured, headroom=headroom, nested=nested)
            head = "" if nested else f"schema = {SCHEMA}\n\n"
            if text.strip():
                head = text.rstrip("\n") + "\n\n"
            replace_file(self.path, (head + start).encode())
            return [f"{name}: budgets written"]
        changes = updates(budgets, verdict, headroom=headroom, allow_raise=allow_raise)
        if changes:
            new = rewritten(text, changes, file=str(self.path), nested=nested)
            replace_file(self.path, new.encode())
        notes = [
            f"{name}: {change.name}, {change.metric.value}: {change.old} -> {change.new}"
            for change in changes
        ]
        return notes or [f"{name}: nothing to tighten in {count(len(budgets), 'budget')}"]

    def _text(self) -> str:
        if not self.path.exists():
            return ""
        return read_text(self.path)


def _relative(name: str) -> str:
    try:
        return Path(name).resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return Path(name).as_posix()
