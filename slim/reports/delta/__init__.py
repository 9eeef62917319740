"""What ``slim delta`` tells: of a delta that was made, and of one that was applied."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from rich.table import Table
from rich.text import Text

from slim.model.delta import DeltaAction, DeltaApplied, DeltaMade, LayerMade, archive_size
from slim.reports.common import markdown_table as markup
from slim.reports.common.canvas import Canvas, TerminalStyle
from slim.reports.common.text import duration, printable, size
from slim.system.json_text import Json, dumps, named

MADE_ID = "urn:slim:delta-report:v1"
APPLIED_ID = "urn:slim:delta-apply:v1"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaReporter:
    """One line of the tables of reports. ``render`` takes one result a platform."""

    name: str
    summary: str
    render: Callable[[Sequence[DeltaMade]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedReporter:
    """The same for what was applied."""

    name: str
    summary: str
    render: Callable[[Sequence[DeltaApplied]], str]


# Made


def share(part: int, whole: int) -> str:
    """How much of a download is left: ``1.9%``, ``<0.1%``, empty where there is nothing to compare with."""
    if whole <= 0:
        return ""
    if part == 0:
        return "0%"
    value = 100 * part / whole
    return "<0.1%" if value < 0.1 else f"{value:.1f}%" if value < 10 else f"{value:.0f}%"


def render_terminal(
    results: Sequence[DeltaMade], style: TerminalStyle | None = None, verbose: int = 0
) -> str:
    """Each layer with its old and new archive and what an update downloads. ``verbose`` tells what was tried."""
    canvas = Canvas(style or TerminalStyle())
    arrow = canvas.style.arrow
    for index, result in enumerate(results):
        if index:
            canvas.blank()
        canvas.line(
            Text(f"{printable(result.old_source)} {arrow} {printable(result.new_source)}", "bold")
        )
        canvas.line(Text(printable(result.platform), "dim"))
        canvas.blank()
        table = _columns("layer", ("old archive", "new archive", "update", "", "how", ""))
        for layer in result.layers:
            table.add_row(*_cells(layer), _how(layer), duration(layer.elapsed))
        elapsed = sum(layer.elapsed for layer in result.layers)
        total = ("total", "", size(result.full) if result.full else "", size(result.download))
        table.add_row(*total, share(result.download, result.full), "", duration(elapsed))
        canvas.show(table)
        for layer in result.layers if verbose else ():
            for told in _tried(layer):
                canvas.line(Text(f"{printable(layer.delta.name)}: {told}", "dim"))
    return canvas.text()


def _columns(first: str, others: Sequence[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="")
    table.add_column(first, overflow="fold", header_style="bold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True, header_style="dim")
    return table


def _cells(layer: LayerMade) -> tuple[str, str, str, str, str]:
    delta = layer.delta
    before, after = archive_size(delta.old), archive_size(delta.new)
    return (
        printable(delta.name),
        size(before) if before else "",
        size(after) if after else "",
        size(delta.download) if delta.action is not DeltaAction.REMOVED else "",
        share(delta.download, after),
    )


def _how(layer: LayerMade) -> str:
    delta = layer.delta
    return f"patch, {delta.method}" if delta.action is DeltaAction.PATCH else delta.action.value


def _tried(layer: LayerMade) -> list[str]:
    return [
        *(f"{method}: {size(value)}" for method, value in layer.tried.items()),
        *(f"{method} not tried: {why}" for method, why in layer.skipped.items()),
    ]


def render_markdown(results: Sequence[DeltaMade]) -> str:
    """The same as Markdown."""
    lines = ["# slim delta", ""]
    for result in results:
        lines += [f"## {markup.cell(result.old_source)} → {markup.cell(result.new_source)}", ""]
        lines += [f"{markup.cell(result.platform)}", ""]
        rows = [[*map(markup.cell, _cells(layer)), _how(layer)] for layer in result.layers]
        left = share(result.download, result.full)
        rows.append(
            ["total", "", size(result.full) if result.full else "", size(result.download), left, ""]
        )
        lines += markup.table(
            ["Layer", "Old archive", "New archive", "Update", "", "How"], rows, "lrrrrl"
        )
    return "\n".join(lines).rstrip("\n") + "\n"


def render_json(results: Sequence[DeltaMade]) -> str:
    """Everything. ``schema/delta-report-v1.schema.json`` describes it."""
    return dumps(
        {
            "schema": MADE_ID,
            "schema_version": SCHEMA_VERSION,
            "slim": {"version": results[0].slim_version},
            "deltas": [_made_document(result) for result in results],
        }
    )


def _made_document(result: DeltaMade) -> Json:
    run: Json = {"elapsed": round(sum(layer.elapsed for layer in result.layers), 3)}
    run |= {
        **named("old", result.old_source),
        **named("new", result.new_source),
        **named("output", result.output),
    }
    return {
        "platform": result.platform,
        "download": result.download,
        "archives": result.full,
        "layers": [_layer_document(layer) for layer in result.layers],
        "run": run,
    }


def _layer_document(layer: LayerMade) -> Json:
    delta = layer.delta
    return {
        **named("layer", delta.name),
        "action": delta.action.value,
        "method": delta.method,
        "download": delta.download,
        "file": None if delta.file is None else delta.file.name,
        "archive_before": archive_size(delta.old),
        "archive_after": archive_size(delta.new),
        "tree_sha256_before": None if delta.old is None else delta.old.tree_sha256,
        "tree_sha256_after": None if delta.new is None else delta.new.tree_sha256,
        "tried": dict(layer.tried),
        "not_tried": dict(layer.skipped),
    }


# Applied


def applied_terminal(
    results: Sequence[DeltaApplied], style: TerminalStyle | None = None, verbose: int = 0
) -> str:
    """Each layer that was restored, and whether its archive has the published bytes. ``verbose`` tells what each
    was written as, too."""
    canvas = Canvas(style or TerminalStyle())
    for index, result in enumerate(results):
        if index:
            canvas.blank()
        canvas.line(Text(printable(result.output), "bold"))
        canvas.line(Text(printable(result.platform), "dim"))
        canvas.blank()
        table = _columns(
            "layer", ("size", "from", "restored as", "", *(["written as"] if verbose else []))
        )
        for layer in result.layers:
            words = _identity_words(layer.identical)
            cells = (
                printable(layer.name),
                size(layer.size),
                layer.action.value,
                words,
                duration(layer.elapsed),
            )
            table.add_row(*cells, *([printable(layer.place)] if verbose else []))
        canvas.show(table)
    return canvas.text()


def _identity_words(identical: bool | None) -> str:
    if identical is None:
        return "the same tree"
    return "the published bytes" if identical else "the same tree, packed anew"


def applied_json(results: Sequence[DeltaApplied]) -> str:
    """Everything. ``schema/delta-apply-v1.schema.json`` describes it."""
    return dumps(
        {
            "schema": APPLIED_ID,
            "schema_version": SCHEMA_VERSION,
            "slim": {"version": results[0].slim_version},
            "stacks": [_applied_document(result) for result in results],
        }
    )


def _applied_document(result: DeltaApplied) -> Json:
    run: Json = {"elapsed": round(sum(layer.elapsed for layer in result.layers), 3)}
    return {
        "platform": result.platform,
        "layers": [
            {
                **named("layer", layer.name),
                "action": layer.action.value,
                "place": layer.place,
                "size": layer.size,
                "identical": layer.identical,
            }
            for layer in result.layers
        ],
        "run": {**run, **named("output", result.output)},
    }


def schema(name: str) -> Json:
    """A JSON Schema of these reports (``delta-report-v1``, ``delta-apply-v1``) or of ``slim-delta.json``
    (``delta-v1``), as shipped with slim."""
    text = (
        files("slim.reports").joinpath("schema", f"{name}.schema.json").read_text(encoding="utf-8")
    )
    loaded: Json = json.loads(text)
    return loaded


DELTA_REPORTERS: Mapping[str, DeltaReporter] = {
    reporter.name: reporter
    for reporter in (
        DeltaReporter(name="json", summary="everything, with a JSON Schema", render=render_json),
        DeltaReporter(name="markdown", summary="a summary for CI pages", render=render_markdown),
        DeltaReporter(
            name="terminal",
            summary="what the command prints, as plain text",
            render=render_terminal,
        ),
    )
}
"""What ``slim delta --report`` knows."""

APPLIED_REPORTERS: Mapping[str, AppliedReporter] = {
    reporter.name: reporter
    for reporter in (
        AppliedReporter(name="json", summary="everything, with a JSON Schema", render=applied_json),
        AppliedReporter(
            name="terminal",
            summary="what the command prints, as plain text",
            render=applied_terminal,
        ),
    )
}
"""What ``slim delta apply --report`` knows."""
