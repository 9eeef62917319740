"""The reports of ``slim fleet``. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from slim.reports.reporter import Reporter, late, table

if TYPE_CHECKING:
    from slim.model.fleet import FleetResult

FLEET_REPORTERS: Mapping[str, Reporter[FleetResult]] = table(
    Reporter(
        name="html",
        summary="a page with a picture, in one file",
        suffix=".html",
        render=late("fleet.page"),
    ),
    Reporter(
        name="json",
        summary="everything, with a JSON Schema; a baseline for later",
        suffix=".json",
        render=late("fleet.json_v1"),
    ),
    Reporter(
        name="markdown",
        summary="a summary for CI pages",
        suffix=".md",
        render=late("fleet.markdown"),
    ),
    Reporter(
        name="terminal",
        summary="what the command prints, as plain text",
        suffix=".txt",
        render=late("fleet.terminal"),
    ),
)
"""Reports that ``slim fleet run --report NAME=FILE`` can write."""
