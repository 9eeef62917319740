"""Errors of tasks as values, which go from one process to another."""

from __future__ import annotations

from slim.errors import SlimError
from slim.model.fleet import ENDED_BADLY, TaskError


def error_of(error: BaseException) -> TaskError:
    """Return an exception as a value: what the command line would say, and its exit code."""
    if isinstance(error, SlimError):
        problems = getattr(error, "problems", ())
        return TaskError(
            exit_code=error.exit_code,
            label=error.label,
            message="; ".join([error.message, *map(str, problems)]),
            where=error.where,
            hint=error.hint or "",
        )
    return TaskError(
        exit_code=ENDED_BADLY,
        label="bug",
        message=f"{type(error).__name__}: {error}",
        hint="this is a mistake in slim, not yours; please report it",
    )
