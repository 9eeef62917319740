"""Reporting results: ``--report NAME=FILE``, ``--json``, ``--quiet`` and ``--verbose``."""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from slim.cli.options import Function, combined, option
from slim.cli.progress import terminal_progress
from slim.cli.terminal import emit, style_for
from slim.errors import ConfigError, OutputError, StorageError
from slim.model.progress import Progress
from slim.reports.reporter import Reporter
from slim.system.urls import is_url

T = TypeVar("T")

LOGGING = 2
"""Number of ``-v`` from which on slim's loggers write to stderr."""


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
            known = f"reports are {', '.join(self.reporters)}"
            if close:
                known = f"did you mean {close[0]!r}?"
            self.fail(f"there is no report {name[:80]!r}; {known}", param, ctx)
        if not separator or not file:
            self.fail(f"it takes a file: {name}=FILE, or {name}=- for stdout", param, ctx)
        return Target(reporter=reporter, file=None if file == "-" else Path(file))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the names of reports; behind one of them, a shell completes the file itself."""
        name, separator, file = incomplete.partition("=")
        if separator:
            return [CompletionItem(file, type="file")]
        return [CompletionItem(f"{known}=") for known in self.reporters if known.startswith(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporting:
    """Values of the options of :func:`reporting_options`. ``verbose`` counts the ``-v``."""

    targets: tuple[Target, ...]
    quiet: bool
    verbose: int

    @property
    def stdout_is_free(self) -> bool:
        """True if no report goes there."""
        return all(target.file is not None for target in self.targets)

    def also(self, target: Target) -> Reporting:
        """Return the same with one more report."""
        return replace(self, targets=(*self.targets, target))

    def check(
        self,
        output: Path | str | None,
        inputs: Iterable[Path | str | None],
        *,
        new_files_may: bool = False,
        written: Iterable[Path | None] = (),
    ) -> None:
        """Find out before a long run what would go wrong after it.

        ``inputs`` are what the command reads: no report may replace any of it, or come to lie in it
        (``new_files_may``: a new file may, for commands that only look). ``written`` is what else
        the command writes beside its output. Raises :class:`click.UsageError`,
        :class:`ConfigError` and :class:`StorageError`.
        """
        read = [Path(name) for name in inputs if name is not None and not is_url(str(name))]
        output = None if output is None or is_url(str(output)) else Path(output)
        if sum(target.file is None for target in self.targets) > 1:
            raise click.UsageError("only one report can go to stdout")
        files = [target.file.resolve() for target in self.targets if target.file is not None]
        others = {path.resolve() for path in written if path is not None}
        for file in files:
            if files.count(file) > 1:
                raise click.UsageError(f"two reports would go to {str(file)!r}")
            if file in others:
                raise click.UsageError(f"the report and something else would go to {str(file)!r}")
            if output is not None and (
                file == output.resolve() or output.resolve() in file.parents
            ):
                where = "would lie in the output, which holds what is published"
                raise click.UsageError(f"the report {str(file)!r} {where}")
            if file.is_dir():
                raise StorageError("the report's file is a folder", file=file)
            if file.exists() and any(_is_read(file, path) for path in read):
                raise ConfigError(
                    "the report would replace a file that is read",
                    file=file,
                    hint="give the report another name, outside of what is looked at",
                )
            if not new_files_may and any(
                path.is_dir() and file.is_relative_to(path.resolve()) for path in read
            ):
                raise ConfigError(
                    "the report would lie in the input, which stays as it is", file=file
                )
            if not file.parent.is_dir():
                raise StorageError(
                    "the report's folder doesn't exist", file=file.parent, hint="create it first"
                )

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Give progress on the terminal, unless logging goes there."""
        with terminal_progress(quiet=self.quiet or self.verbose >= LOGGING) as progress:
            yield progress

    def deliver(self, reporter: Reporter[T], results: T, *, notes: str = "") -> None:
        """Write every report of the results of a command, and print for people with ``reporter``.

        Nothing is printed where they want nothing or a report takes its place. Whatever can't be
        written, the rest is; then the first :class:`OutputError` is raised.
        """
        failures: list[OutputError] = []
        for target in self.targets:
            try:
                _write(target.file, target.reporter.render(results))
            except OutputError as error:
                failures.append(error)
        if not self.quiet and self.stdout_is_free:
            try:
                emit(reporter.render(results, style_for(sys.stdout), self.verbose) + notes)
            except OutputError as error:
                failures.append(error)
        if failures:
            raise failures[0]


def _is_read(file: Path, source: Path) -> bool:
    """Return whether a file that exists is an input, or a file in one: by device and inode."""
    if not source.exists():
        return False
    if file.samefile(source) or (source.is_dir() and file.is_relative_to(source.resolve())):
        return True
    if file.stat().st_nlink == 1 or not source.is_dir():
        return False
    return any(
        other.is_file() and file.samefile(other) for other in source.rglob("*")
    )  # another name of a file in the folder


def _write(file: Path | None, text: str) -> None:
    """Write a report. Raises :class:`OutputError`."""
    from slim.system.atomic import replace_file

    if file is None:
        emit(text)
        return
    try:
        replace_file(file, text.encode())
    except StorageError as error:
        raise OutputError(error.message, file=file, hint=error.hint) from error


def verbose_option(section: str, help: str) -> Callable[[Function], Function]:
    """``-v``, which is counted; twice also switches on logging."""
    return option(
        "-v",
        "--verbose",
        count=True,
        section=section,
        help=f"{help} -vv also logs stages, their times and started programs to stderr.",
        callback=_log,
    )


def _log(context: click.Context, _parameter: click.Parameter, verbose: int) -> int:
    if verbose >= LOGGING and not context.resilient_parsing:
        from slim.cli.logs import logging_to_stderr

        context.with_resource(logging_to_stderr())
    return verbose


def reporting_options(
    section: str,
    reporters: Mapping[str, Reporter[Any]],
    *,
    verbose: str = "Tell everything, not only the largest.",
) -> Callable[[Function], Function]:
    """``--report``, ``--json``, ``--quiet`` and ``--verbose``, as one :class:`Reporting`."""
    decorated = combined(
        (
            option(
                "--report",
                "targets",
                multiple=True,
                type=TargetType(reporters),
                section=section,
                help=f"Write a report ({', '.join(reporters)}) to a file, or to stdout with '-'. "
                "Repeatable.",
            ),
            option(
                "--json",
                "as_json",
                is_flag=True,
                section=section,
                help="The same as --report json=-.",
            ),
            option("-q", "--quiet", is_flag=True, section=section, help="Tell nothing but errors."),
            verbose_option(section, verbose),
        )
    )

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def command(
            *arguments: Any,
            targets: tuple[Target, ...],
            as_json: bool,
            quiet: bool,
            verbose: int,
            **options: Any,
        ) -> Any:
            if quiet and verbose:
                raise click.UsageError("-q and -v contradict each other")
            if as_json:
                targets = (*targets, Target(reporter=reporters["json"], file=None))
            reporting = Reporting(targets=targets, quiet=quiet, verbose=verbose)
            return function(*arguments, reporting=reporting, **options)

        return decorated(command)  # type: ignore[return-value]

    return decorate
