"""Options that several commands share, and help that is sorted by what one wants to do."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from slim.config import CONFIG_NAMES, KEEP_NAME
from slim.config.load import Overrides, discover, load_config
from slim.config.verify import find_keep_file
from slim.formats import FORMATS
from slim.model.rule import Safety
from slim.model.settings import BytecodePolicy, Config, Level
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


def jobs_option(what: str = "Worker threads") -> Callable[[Function], Function]:
    """``--jobs``: how many of ``what`` there are at once."""
    return option("--jobs", type=int, metavar="N", section=OTHER,
                  help=f"{what}. [default: one a processor]")  # fmt: skip


def effort_options(section: str) -> Callable[[Function], Function]:
    """``--level``, ``--memory`` and ``--xz-arm64``: what writing archives may cost."""
    levels = click.Choice([level.value for level in Level])
    return combined(
        (
            option("--level", type=levels, section=section,
                   help="How hard to compress: fast, default or max. [default: default]"),
            option("--memory", metavar="SIZE", section=section,
                   help="Budget for memory, such as 2GB. [default: a quarter of the machine's, at least 2 GB]"),
            option("--xz-arm64", is_flag=True, section=section,
                   help="Use the ARM64 filter of xz, which tools from before 2023 can't read."),
        )
    )  # fmt: skip


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
    (
        option("--profile", type=PROFILES, section=_WHAT, help="How far to go. [default: standard]"),
        option("--enable", multiple=True, metavar="RULE", section=_WHAT,
               help="Apply this rule though the profile doesn't. Repeatable."),
        option("--disable", multiple=True, metavar="RULE", section=_WHAT, help="Don't apply this rule. Repeatable."),
        option("--keep", multiple=True, metavar="GLOB", section=_WHAT,
               help="Files to leave alone, whatever the rules say. Repeatable."),
        option("--drop", multiple=True, metavar="NAME", section=_WHAT,
               help="A whole distribution to remove; NAME:IMPORTER,... although those import it. Repeatable."),
        option("--bytecode", type=click.Choice([policy.value for policy in BytecodePolicy]), section=_WHAT,
               help="Shipped bytecode: none of it stays, all, or one file a source. [default: none]"),
        source_options,
    )
)  # fmt: skip


def chosen_config(start: Path, said: Mapping[str, Any]) -> Config:
    """The configuration for a command: its file, found or named, and what the command line says.

    ``said`` are the values of the options above (and of ``format``, ``jobs`` and ``strict`` where a
    command has them). Raises :class:`~slim.errors.ConfigError` and
    :class:`~slim.errors.StorageError`.
    """
    if said["config"] is not None and said["no_config"]:
        raise click.UsageError("--config and --no-config contradict each other")
    file = said["config"]
    if file is None and not said["no_config"]:
        file = discover(start)
    overrides = Overrides(
        profile=said.get("profile"),
        packs=tuple(said["packs"]),
        enable=tuple(said.get("enable", ())),
        disable=tuple(said.get("disable", ())),
        keep=tuple(said.get("keep", ())),
        drop=tuple(said.get("drop", ())),
        format=said.get("format"),
        jobs=said.get("jobs"),
        level=said.get("level"),
        memory=said.get("memory"),
        xz_arm64=said.get("xz_arm64") or None,
        strict=said.get("strict") or None,
    )
    keep_file = said.get("keep_file")
    if keep_file is None and not said["no_config"]:
        keep_file = find_keep_file(file, start)
    elif keep_file is not None and not keep_file.is_file():
        keep_file = None  # it is written when there is something to write
    config = load_config(
        SCHEMAS, file=file, overrides=overrides, formats=format_names(), keep_file=keep_file
    )
    return (
        config
        if said.get("bytecode") is None
        else _with_bytecode(config, BytecodePolicy(said["bytecode"]))
    )


def _with_bytecode(config: Config, policy: BytecodePolicy) -> Config:
    """The command line beats the file, in each layer too."""
    layers = {
        name: dataclasses.replace(layer, bytecode=None) for name, layer in config.layers.items()
    }
    return dataclasses.replace(config, bytecode=policy, layers=layers)


def format_names() -> tuple[str, ...]:
    """The output formats, in the order of their table."""
    return tuple(known.name for known in FORMATS)
