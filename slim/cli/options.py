"""Options that several commands share, and help that is sorted by what one wants to do."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from slim.config import CONFIG_NAMES, KEEP_NAME
from slim.config.kinds import Flag, Kind, Number, Word
from slim.config.load import discover, load_config
from slim.config.settings import RULE_SETTINGS, STACK_SETTINGS, Config, option_name
from slim.config.verify import find_keep_file
from slim.model.rule import Safety
from slim.model.settings import Effort
from slim.passes import SCHEMAS

Function = TypeVar("Function", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
PATH = click.Path(path_type=Path)
PROFILES = click.Choice([level.label for level in Safety])
OTHER = "Other"
_MAIN_SECTION = "Options"


class SectionOption(click.Option):
    """An option that the help lists under a heading."""

    def __init__(self, *arguments: Any, section: str = _MAIN_SECTION, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.section = section


class SectionCommand(click.Command):
    """A command whose help has sections, and examples at its end."""

    def __init__(
        self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options under their headings, in the order in which those first appear."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(parameter, "section", OTHER), []).append(record)
        sections |= {OTHER: sections.pop(OTHER, [])}  # always the last
        for title, records in sections.items():
            if not records:
                continue
            with formatter.section(title):
                formatter.write_dl(records, col_max=28)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Give the examples."""
        write_examples(formatter, self.examples)


class SuggestingGroup(click.Group):
    """A group that knows what was meant, and has examples at the end of its help."""

    def __init__(
        self, *arguments: Any, examples: Sequence[tuple[str, str]] = (), **settings: Any
    ) -> None:
        super().__init__(*arguments, **settings)
        self.examples = tuple(examples)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one is close."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            close = difflib.get_close_matches(name[:80], self.list_commands(ctx), n=1)
            known = (
                f"did you mean {close[0]!r}?"
                if close
                else f"there are {', '.join(self.list_commands(ctx))}"
            )
            raise click.UsageError(f"there is no command {name[:80]!r}; {known}", ctx)
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Give the examples."""
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[tuple[str, str]]) -> None:
    """A section of command lines, each with what it is for."""
    if not examples:
        return
    with formatter.section("Examples"):
        for line, purpose in examples:
            formatter.write_text(f"# {purpose}")
            formatter.write_text(line)


def option(
    *names: str, section: str = _MAIN_SECTION, **settings: Any
) -> Callable[[Function], Function]:
    """An option under a heading of the help."""
    return click.option(*names, cls=SectionOption, section=section, **settings)


def combined(options: Sequence[Callable[[Function], Function]]) -> Callable[[Function], Function]:
    """Several options as one decorator; the help lists them in this order."""

    def decorate(function: Function) -> Function:
        for one in reversed(options):
            function = one(function)
        return function

    return decorate


_WHERE = "What to look at"
_WHAT = "What may go"
_RULES = "Configuration and rules"


def platform_option(section: str) -> Callable[[Function], Function]:
    """``--platform``, under a heading of the command's own."""
    return option("--platform", "platforms", multiple=True, metavar="TAG", section=section,
                  help="Only this platform, such as linux_x86_64. Repeatable.")  # fmt: skip


def setting_option(name: str, section: str, **changes: Any) -> Callable[[Function], Function]:
    """Option of a setting, from the table of :mod:`slim.config.settings`, under a heading.

    ``changes`` are what the command says otherwise.
    """
    known = STACK_SETTINGS[name]
    about = {"help": known.help, "metavar": known.metavar, **_values(known.kind)}
    return option(option_name(name), section=section, **(about | changes))


def _values(kind: Kind[Any]) -> dict[str, Any]:
    """Return what click has to know of a setting's values."""
    match kind:
        case Flag():
            return {"is_flag": True}
        case Number():
            return {"type": int}
        case Word():
            return {"type": click.Choice(list(kind.choices))}
    return {"multiple": kind.adds_up}


def jobs_option(what: str = "Worker threads") -> Callable[[Function], Function]:
    """``--jobs``: how many of ``what`` there are at once."""
    return setting_option("jobs", OTHER, help=f"{what}. [default: one a processor]")


def effort_options(section: str) -> Callable[[Function], Function]:
    """``--level``, ``--memory`` and ``--xz-arm64``: what writing archives may cost."""
    return combined([setting_option(field.name, section) for field in dataclasses.fields(Effort)])


selection_options = combined(
    (
        platform_option(_WHERE),
        option("--layer", "layers", multiple=True, metavar="NAME", section=_WHERE,
               help="Only change this layer; the others are carried over as they are. Repeatable."),
    )
)  # fmt: skip

source_options = combined(
    (
        option("--config", type=FILE, metavar="FILE", section=_RULES,
               help=f"Read this configuration. Otherwise: {', '.join(CONFIG_NAMES)} beside the stack or in the "
                    "current folder."),
        option("--no-config", is_flag=True, section=_RULES, help="Read no configuration file."),
        option("--keep-file", type=FILE, metavar="FILE", section=_RULES,
               help=f"Read and write here what verification found must stay. [default: {KEEP_NAME} beside the "
                    "configuration]"),
        option("--pack", "packs", multiple=True, type=FILE, metavar="FILE", section=_RULES,
               help="Use the rules of this file too. Repeatable."),
    )
)  # fmt: skip

config_options = combined(
    (*(setting_option(name, _WHAT) for name in RULE_SETTINGS), source_options)
)


def chosen_config(start: Path, said: Mapping[str, Any]) -> Config:
    """The configuration for a command: its file, found or named, and what the command line says.

    ``said`` are the values of the options above, and of any other setting that a command has an
    option for. Raises :class:`~slim.errors.ConfigError` and
    :class:`~slim.errors.StorageError`.
    """
    if said["config"] is not None and said["no_config"]:
        raise click.UsageError("--config and --no-config contradict each other")
    file = said["config"]
    if file is None and not said["no_config"]:
        file = discover(start)
    given = {name: said.get(name) for name in ("packs", *STACK_SETTINGS)}
    overrides = {  # a flag that isn't given is False
        name: value for name, value in given.items() if value is not None and value is not False
    }
    keep_file = said.get("keep_file")
    if keep_file is None and not said["no_config"]:
        keep_file = find_keep_file(file, start)
    elif keep_file is not None and not keep_file.is_file():
        keep_file = None  # it is written when there is something to write
    return load_config(SCHEMAS, file=file, overrides=overrides, keep_file=keep_file)
