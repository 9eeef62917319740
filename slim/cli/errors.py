"""Ends of a command: the message on stderr and the exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from slim.cli.terminal import style_for, tell
from slim.errors import ConfigError, OutOfMemoryError, RefusedError, SlimError, StorageError
from slim.reports.common.text import printable
from slim.system.interrupts import Interrupted, raise_on_signals

if TYPE_CHECKING:
    from slim.model.budget import Verdict
    from slim.model.outcome import RunResult

EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits(3)
EXIT_SIGNAL = 128  # plus the signal's number, as shells count
DEBUG = "SLIM_DEBUG"
_COMPLETION = "_SLIM_COMPLETE"
"""Set where a shell asks click for completions, of which click itself says the exit code."""


def guarded(command: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit code.

    No exception escapes. With ``SLIM_DEBUG=1`` in the environment tracebacks are shown.
    """
    try:
        with raise_on_signals():
            code = command.main(args=arguments, prog_name="slim", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SlimError as error:
        return _failed(error)
    except MemoryError:
        return _failed(OutOfMemoryError())
    except OSError as error:
        return _failed(StorageError.from_os_error(error))
    except click.ClickException as error:
        return _misused(error)
    except (KeyboardInterrupt, click.Abort) as error:
        # click makes an Abort of every KeyboardInterrupt
        cause = error if isinstance(error, Interrupted) else error.__cause__ or error.__context__
        _say("interrupted", "the output is what it was before, or complete")
        return EXIT_SIGNAL + (cause.number if isinstance(cause, Interrupted) else signal.SIGINT)
    except SystemExit:
        if _COMPLETION in os.environ:
            raise
        return 0  # click ends so where a reader of its help went away, having seen enough
    except Exception as error:  # the last line of defence: a bug, and the message says so
        _trace()
        _say("bug", f"{type(error).__name__}: {error}")
        _hint(f"this is a mistake in slim, not yours; please report it with what {DEBUG}=1 shows")
        return EXIT_BUG


def refuse_failures(results: Iterable[RunResult], what: str) -> None:
    """Raise :class:`RefusedError` if a check failed. ``what`` begins its message."""
    failures = [
        text
        for result in results
        for check in result.verification.checks
        for text in check.failures
    ]
    if failures:
        raise RefusedError(f"{what}: {failures[0]}", hint="the report tells all that failed")


def refuse_exceeded(verdict: Verdict, *, hint: str) -> None:
    """Raise :class:`RefusedError` with ``hint`` if a budget is exceeded."""
    from slim.reports.budget.words import exceeded_text  # late: most commands have no budgets

    over = [exceeded_text(result, limit) for result, limit in verdict.exceeded()]
    if over:
        more = f", and {len(over) - 1} more" if len(over) > 1 else ""
        raise RefusedError(f"over budget: {over[0]}{more}", hint=hint)


def _failed(error: SlimError) -> int:
    _trace()
    _say(error.label, f"{error.where}: {error.message}" if error.where else error.message)
    if isinstance(error, ConfigError):
        for problem in error.problems:
            _line(f"  {problem}")
    if error.hint:
        _hint(error.hint)
    return error.exit_code


def _misused(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # its message is the whole help
        tell(error.format_message())
        return EXIT_USAGE
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = error.format_message().rstrip(".")
    _say("usage", message[:1].lower() + message[1:] if message[1:2].islower() else message)
    _hint(f"see {context.command_path if context else 'slim'} --help")
    return EXIT_USAGE


def _trace() -> None:
    if os.environ.get(DEBUG, "") not in ("", "0"):
        import traceback

        tell(traceback.format_exc(), nl=False)


def _say(label: str, text: str) -> None:
    prefix = f"slim: {label}:"
    if style_for(sys.stderr).color:
        prefix = click.style(prefix, fg="red", bold=True)
    _line(text, prefix + " ")


def _hint(text: str) -> None:
    _line(text, "  hint: ")


def _line(text: str, prefix: str = "") -> None:
    """Write lines to stderr, each made printable, because names in them may be hostile."""
    body = "\n".join(printable(line) for line in text.split("\n"))
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    tell(prefix + body.encode(encoding, "backslashreplace").decode(encoding), color=True)
