"""The terminal: what it can show, and writing to it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

import click

from slim.errors import OutputError, StorageError
from slim.reports.common.style import TerminalStyle

_SIGNS = "→·━─└✓✗"
_WIDTH = 100
_NARROWEST, _WIDEST = 20, 400


def style_for(stream: TextIO | None) -> TerminalStyle:
    """Return the style in which a stream can be drawn on.

    Colours only on a terminal, and never where ``NO_COLOR`` is set (no-color.org) or the terminal
    is dumb; ``FORCE_COLOR`` asks for them anyway. ``COLUMNS`` beats the terminal's own width.
    """
    if stream is None:  # it was closed when Python started
        return TerminalStyle(width=_WIDTH, color=False, unicode=False)
    terminal = stream.isatty()
    environ = os.environ
    capable = terminal and environ.get("TERM") != "dumb"
    color = (capable or bool(environ.get("FORCE_COLOR"))) and not environ.get("NO_COLOR")
    width = _WIDTH
    if terminal or environ.get("COLUMNS"):
        import shutil

        width = shutil.get_terminal_size((_WIDTH, 24)).columns
        width = min(max(width, _NARROWEST), _WIDEST)  # COLUMNS may say anything
    return TerminalStyle(width=width, color=color, unicode=_encodes(stream, _SIGNS))


_DONE = "what the command was asked to do is done; only this output is missing"


def _encodes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def tell(text: str, *, nl: bool = True, color: bool | None = None) -> None:
    """Write to stderr. What can't be written there is lost, and keeps nothing from being done."""
    try:
        click.echo(text, err=True, nl=nl, color=color)
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            _close_off(sys.stderr)


def _close_off(stream: TextIO) -> None:
    """Lead a stream that fails nowhere, or Python complains when it flushes it at exit."""
    hole = os.open(os.devnull, os.O_WRONLY)
    os.dup2(hole, stream.fileno())
    os.close(hole)


def emit(text: str) -> None:
    """Write to stdout. Raise OutputError where that fails.

    A character that the encoding lacks is escaped. A reader that went away is no error, because
    what the command was asked to do is done.
    """
    if sys.stdout is None:
        raise OutputError("it is closed", file="stdout", hint=_DONE)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False, color=True)
        sys.stdout.flush()
    except BrokenPipeError:
        _close_off(sys.stdout)
    except OSError as error:
        raise OutputError(
            StorageError.from_os_error(error).message, file="stdout", hint=_DONE
        ) from error
