"""How a command tells what it found: ``--report NAME=FILE``, ``--json``, ``--quiet`` and ``--verbose``."""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from slim.cli.options import Function, combined, option
from slim.cli.terminal import emit, style_for
from slim.errors import StorageError
from slim.reports.common.style import TerminalStyle
from slim.reports.reporter import Reporter
from slim.system.atomic import replace_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A report and where it goes; no file means stdout."""

    reporter: Reporter[Any]
    file: Path | None


class TargetType(click.ParamType):  # type: ignore[type-arg]
    """``NAME=FILE``, with ``-`` for stdout. ``reporters`` are those that the command has."""

    name = "NAME=FILE"

    def __init__(self, reporters: Mapping[str, Reporter[Any]]) -> None:
        self.reporters = reporters

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Target:
        """Take it apart, or say what is wrong with it."""
        if isinstance(value, Target):
            return value
        name, separator, file = str(value).partition("=")
        reporter = self.reporters.get(name)
        if reporter is None:
            close = difflib.get_close_matches(name[:80], self.reporters, n=1)
            known = (
                f"did you mean {close[0]!r}?"
                if close
                else f"reports are {', '.join(self.reporters)}"
            )
            self.fail(f"there is no report {name[:80]!r}; {known}", param, ctx)
        if not separator or not file:
            self.fail(f"it takes a file: {name}=FILE, or {name}=- for stdout", param, ctx)
        return Target(reporter=reporter, file=None if file == "-" else Path(file))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names of reports; behind one of them, a shell completes the file by itself."""
        name, separator, file = incomplete.partition("=")
        if separator:
            return [CompletionItem(file, type="file")]
        return [CompletionItem(f"{one}=") for one in self.reporters if one.startswith(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What the options of :func:`telling_options` say. ``verbose`` counts the ``-v``."""

    targets: tuple[Target, ...]
    quiet: bool
    verbose: int

    @property
    def stdout_is_free(self) -> bool:
        """Whether no report goes there."""
        return all(target.file is not None for target in self.targets)

    def also(self, target: Target) -> Telling:
        """The same, and one more report."""
        return replace(self, targets=(*self.targets, target))

    def check(self, output: Path | None) -> None:
        """Find out before a long run what would go wrong after it. Raises :class:`click.UsageError` or
        :class:`StorageError`."""
        if sum(target.file is None for target in self.targets) > 1:
            raise click.UsageError("only one report can go to stdout")
        files = [target.file.resolve() for target in self.targets if target.file is not None]
        for file in files:
            if files.count(file) > 1:
                raise click.UsageError(f"two reports would go to {str(file)!r}")
            if output is not None and (
                file == output.resolve() or output.resolve() in file.parents
            ):
                where = "would lie in the output, which holds what is published"
                raise click.UsageError(f"the report {str(file)!r} {where}")
            if file.is_dir():
                raise StorageError("the report's file is a folder", file=file)
            if not file.parent.is_dir():
                raise StorageError(
                    "the report's folder doesn't exist", file=file.parent, hint="create it first"
                )

    def show(self, render: Callable[[TerminalStyle], str]) -> None:
        """Tell people, where they want it and no report takes its place."""
        if not self.quiet and self.stdout_is_free:
            emit(render(style_for(sys.stdout)))

    def deliver(self, results: object) -> None:
        """Write every report of the results of a command. Raises :class:`StorageError`."""
        for target in self.targets:
            text = target.reporter.render(results)
            if target.file is None:
                emit(text)
            else:
                replace_file(target.file, text.encode())


def telling_options(
    section: str,
    reporters: Mapping[str, Reporter[Any]],
    *,
    verbose: str = "Tell everything, not only the largest.",
) -> Callable[[Function], Function]:
    """``--report``, ``--json``, ``--quiet`` and ``--verbose``; the command gets them as one :class:`Telling`."""
    names = ", ".join(reporters)
    options = combined(
        (
            option("--report", "targets", multiple=True, type=TargetType(reporters), section=section,
                   help=f"Write a report ({names}) to a file, or to stdout with '-'. Repeatable."),
            option("--json", "as_json", is_flag=True, section=section, help="The same as --report json=-."),
            option("-q", "--quiet", is_flag=True, section=section, help="Tell nothing but errors."),
            option("-v", "--verbose", count=True, section=section, help=verbose),
        )
    )  # fmt: skip

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def command(
            *words: Any,
            targets: tuple[Target, ...],
            as_json: bool,
            quiet: bool,
            verbose: int,
            **said: Any,
        ) -> Any:
            if quiet and verbose:
                raise click.UsageError("-q and -v contradict each other")
            if as_json:
                targets = (*targets, Target(reporter=reporters["json"], file=None))
            return function(
                *words, telling=Telling(targets=targets, quiet=quiet, verbose=verbose), **said
            )

        return options(command)  # type: ignore[return-value]

    return decorate
