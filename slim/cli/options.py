"""Options that several commands share, and help that is sorted by what one wants to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import click

from slim import api
from slim.cli.groups import write_examples
from slim.cli.terminal import tell
from slim.config import CONFIG_NAMES, KEEP_NAME
from slim.config.kinds import Flag, Kind, Number, Word
from slim.config.settings import RULE_SETTINGS, STACK_SETTINGS, Config, is_on, option_name
from slim.model.rule import UNTRACED_PROFILES, Safety
from slim.model.settings import BytecodePolicy, Effort
from slim.system.urls import is_url

Function = TypeVar("Function", bound=Callable[..., Any])


class LocalPath(click.Path):
    """A path on this machine; a URL is refused, which as a path would lose a slash."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or say what is wrong with it."""
        if isinstance(value, str) and is_url(value):
            self.fail("has to be a path on this machine, not a URL", param, ctx)
        return super().convert(value, param, ctx)


class Place(click.Path):
    """A path, or the URL of a place in an object store, which stays a text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or the URL as it was given."""
        if isinstance(value, str) and is_url(value):
            return value
        return super().convert(value, param, ctx)


FILE = LocalPath(path_type=Path, dir_okay=False)
PATH = LocalPath(path_type=Path)
PLACE = Place(path_type=Path)
"""What a command reads, or writes as a whole: a path, or a URL."""
FILE_PLACE = Place(path_type=Path, dir_okay=False)
"""One file that a command reads: its path, or its URL."""
OTHER = "Other"
_MAIN_SECTION = "Options"


class LateChoice(click.Choice):  # type: ignore[type-arg]
    """A choice among names of a table that is only imported when they are needed."""

    def __init__(self, names: Callable[[], Iterable[str]]) -> None:
        super().__init__(())
        self._names = names
        del self.choices

    @cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names, in the order of the table."""
        return tuple(self._names())


class Share(click.ParamType):  # type: ignore[type-arg]
    """A share as a percentage: ``2%``, ``2``."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the share, from 0 to 1."""
        if isinstance(value, float):
            return value
        try:
            percent = float(str(value).removesuffix("%"))
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            self.fail(f"{value!r} isn't a percentage, such as 2%", param, ctx)
        return percent / 100


PROFILES = click.Choice([level.label for level in Safety])
UNTRACED = click.Choice([level.label for level in UNTRACED_PROFILES])
"""The profiles that need no trace."""


class SectionOption(click.Option):
    """An option that the help lists under a heading.

    ``late_help`` gives the text of the help when it is asked for.
    """

    def __init__(
        self,
        *arguments: Any,
        section: str = _MAIN_SECTION,
        late_help: Callable[[], str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.section = section
        self.late_help = late_help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option's row in the help."""
        if self.late_help is not None:
            self.help = self.late_help()
        return super().get_help_record(ctx)


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


def option(
    *names: str, section: str = _MAIN_SECTION, **settings: Any
) -> Callable[[Function], Function]:
    """Return an option under a heading of the help."""
    return click.option(*names, cls=SectionOption, section=section, **settings)


def combined(
    decorators: Sequence[Callable[[Function], Function]],
) -> Callable[[Function], Function]:
    """Return several options as one decorator; the help lists them in this order."""

    def decorate(function: Function) -> Function:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


_WHERE = "What to look at"
_WHAT = "What may go"
_RULES = "Configuration and rules"


def platform_option(section: str) -> Callable[[Function], Function]:
    """``--platform``, under a heading of the command's own."""
    return option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="TAG",
        section=section,
        help="Only this platform, such as linux_x86_64. Repeatable.",
    )


def setting_option(name: str, section: str, **changes: Any) -> Callable[[Function], Function]:
    """Option of a setting, from the table of :mod:`slim.config.settings`, under a heading.

    ``changes`` are what the command says otherwise.
    """
    known = STACK_SETTINGS[name]
    about = {"help": known.help, "metavar": known.metavar, **_values(known.kind)}
    if is_on(name):
        about |= {"flag_value": False, "default": None}
    return option(option_name(name), name, section=section, **(about | changes))


def _values(kind: Kind[Any]) -> dict[str, Any]:
    """Return what click has to know of a setting's values."""
    match kind:
        case Flag():
            return {"is_flag": True}
        case Number():
            return {"type": int}
        case Word():
            return {"type": LateChoice(lambda: kind.choices)}
    return {"multiple": kind.adds_up}


def jobs_option(what: str = "Worker threads") -> Callable[[Function], Function]:
    """``--jobs``: how many of ``what`` there are at once."""
    return setting_option("jobs", OTHER, help=f"{what}. [default: one a processor]")


def cache_option() -> Callable[[Function], Function]:
    """``--no-cache``: remember nothing from one run to the next."""
    return setting_option("cache", OTHER)


def results_cache_option(section: str) -> Callable[[Function], Function]:
    """``--cache``: take results from there that were made before."""
    return option(
        "--cache",
        "results_cache",
        metavar="PLACE",
        section=section,
        help="A folder or URL (s3://bucket/cache) with results of earlier runs: what is in it "
        "isn't made again, what is made goes into it. Needn't exist yet.",
    )


def effort_options(section: str) -> Callable[[Function], Function]:
    """``--level``, ``--memory`` and ``--xz-arm64``: what writing archives may cost."""
    return combined([setting_option(field.name, section) for field in dataclasses.fields(Effort)])


selection_options = combined(
    (
        platform_option(_WHERE),
        option(
            "--layer",
            "layers",
            multiple=True,
            metavar="NAME",
            section=_WHERE,
            help="Only change this layer; the others are carried over as they are. Repeatable.",
        ),
    )
)

source_options = combined(
    (
        option(
            "--config",
            type=FILE,
            metavar="FILE",
            section=_RULES,
            help=f"Read this configuration. Otherwise: {', '.join(CONFIG_NAMES)} in the current "
            "folder.",
        ),
        option("--no-config", is_flag=True, section=_RULES, help="Read no configuration file."),
        option(
            "--keep-file",
            type=FILE,
            metavar="FILE",
            section=_RULES,
            help="Read and write here what verification found must stay. "
            f"[default: {KEEP_NAME} beside the configuration]",
        ),
        option(
            "--pack",
            "packs",
            multiple=True,
            type=FILE,
            metavar="FILE",
            section=_RULES,
            help="Use the rules of this file too. Repeatable.",
        ),
    )
)

config_options = combined(
    (
        *(setting_option(name, _WHAT) for name in (*RULE_SETTINGS, "embedded", "strict_evidence")),
        option(
            "--trace",
            "traces",
            multiple=True,
            type=FILE,
            metavar="FILE",
            section=_WHAT,
            help="A trace of what the product uses, for --profile guided and --bytecode traced. "
            "Repeatable.",
        ),
        source_options,
    )
)


def unsafe_store_option(section: str) -> Callable[[Function], Function]:
    """``--unsafe-store``: publish where two writers at once aren't told apart."""
    return option(
        "--unsafe-store",
        is_flag=True,
        section=section,
        help="Publish to an object store that ignores create-only writes, too. Nothing else may "
        "write there meanwhile.",
    )


def chosen_config(
    inputs: Sequence[Path | str], options: Mapping[str, Any], *, tell: bool = True
) -> Config:
    """Load the configuration for a command, and (``tell``) say on stderr which file it is.

    The file is the one that ``--config`` names, or else that of the current folder, unless it lies
    in one of ``inputs``, which are what the command reads. ``options`` are the values of the
    options above, and of any other setting that a command has an option for. Raises
    :class:`~slim.errors.ConfigError` and :class:`~slim.errors.StorageError`.
    """
    if options["config"] is not None and options["no_config"]:
        raise click.UsageError("--config and --no-config contradict each other")
    paths = [Path(name) for name in inputs if not is_url(str(name))]
    given = {name: options.get(name) for name in ("packs", "traces", *STACK_SETTINGS)}
    stated = {  # a flag that isn't given is False
        name: value
        for name, value in given.items()
        if value is not None and (value is not False or is_on(name))
    }
    config = api.load_config(
        options["config"],
        inputs=None if options["no_config"] else paths,
        keep_file=options.get("keep_file"),
        **stated,
    )
    if options.get("traces"):
        _refuse_idle_traces(config)
    if tell and not click.get_current_context().params.get("quiet"):
        _tell_origin(config, () if options["no_config"] or options["config"] else paths)
    return config


def _refuse_idle_traces(config: Config) -> None:
    """Raise :class:`click.UsageError` where nothing would read the traces of the command line.

    Those of a configuration may lie there for another profile.
    """
    guided = {rule.id for rule in config.rules if rule.safety is Safety.GUIDED}
    for settings in (config, *map(config.settings_for, config.layers)):
        by_profile = settings.profile is Safety.GUIDED or guided & settings.enable
        if by_profile or settings.bytecode is BytecodePolicy.TRACED:
            return
    raise click.UsageError(
        "--trace says what --profile guided and --bytecode traced go by; give one of them, too"
    )


def _tell_origin(config: Config, inputs: Sequence[Path]) -> None:
    from slim.config.load import disregarded
    from slim.reports.common.text import printable

    if config.origin is not None:
        file = Path(config.origin)
        shown = file.name if file.parent == Path.cwd() else config.origin
        tell(f"slim: configuration: {printable(shown)}")
    unread = disregarded(*inputs)
    if unread is not None:
        tell(
            f"slim: {printable(str(unread))} isn't read, since it lies in what is looked at;"
            " --config names it if it is yours",
        )
