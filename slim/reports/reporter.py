"""One line of a table of reports, the same for every subject.

A subject (a run, an audit, a verdict about budgets, ...) has its table in the ``__init__`` of its
folder. What renders a report is imported when the report is first asked for, so that the command
line can read all tables without loading jinja or rich.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Concatenate, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter(Generic[T]):
    """One kind of report about results of type ``T``.

    ``name`` is what the command line calls it, ``summary`` what it is for, and ``suffix`` the usual
    end of the names of its files. ``render`` turns results into text; a report for terminals also
    takes a :class:`~slim.reports.common.style.TerminalStyle` and how much to tell (``-v`` counted).
    """

    name: str
    summary: str
    suffix: str
    render: Callable[Concatenate[T, ...], str]


def table(*reporters: Reporter[T]) -> Mapping[str, Reporter[T]]:
    """Return the reporters by name, in their order."""
    return {reporter.name: reporter for reporter in reporters}


def late(reference: str) -> Callable[..., str]:
    """Return the function at ``module:name``, whose module is imported at the first call.

    ``module`` is below ``slim.reports``; without a name the function is called ``render``.
    """
    module, _, name = reference.partition(":")

    def render(*arguments: object) -> str:
        function: Callable[..., str] = getattr(
            import_module(f"slim.reports.{module}"), name or "render"
        )
        return function(*arguments)

    return render
