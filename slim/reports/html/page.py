"""The page: one self-contained HTML file to look around a stack in. It loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from slim.model.audit import Audit
from slim.model.footprint import Footprint
from slim.model.outcome import RunResult
from slim.model.size import format_size
from slim.reports.common.stacks import stack_word
from slim.reports.common.templates import page_environment, page_part
from slim.reports.common.text import count, percent, printable
from slim.reports.html.content import Page, audit_page, run_page
from slim.reports.html.data import pack, page_data

__all__ = ["render_audit", "render_run"]

SCRIPTS = (
    "treemap.js",
    "text.js",
    "tree.js",
    "view.js",
    "drawing.js",
    "tables.js",
    "gpu.js",
    "page.js",
)
"""Parts of the script; each builds on those before it."""

_OUTPUT_FOLDERS = ("_artifacts", "_export", "_build", "_deployed", "_slim")
"""Usual names of output folders. They say nothing about what is in them."""


def render_audit(results: Sequence[Audit]) -> str:
    """Return the page of an audit: what is there, and what each profile would make of it."""
    pages = [audit_page(result) for result in results]
    names = [view.name for view in pages[0].views]
    label = results[0].profile.label
    return _render(
        pages,
        mode="audit",
        view=names.index(label) if label in names else 0,
        version=results[0].slim_version,
    )


def render_run(results: Sequence[RunResult]) -> str:
    """Return the page of a run: before and after."""
    pages = [run_page(result) for result in results]
    mode = "dry" if results[0].dry_run else "run"
    return _render(pages, mode=mode, view=0, version=results[0].slim_version)


def _render(pages: Sequence[Page], *, mode: str, view: int, version: str) -> str:
    return (
        page_environment()
        .from_string(_part("page.html.j2"))
        .render(
            title=_title(pages[0].stack.source),
            source=printable(pages[0].stack.source),
            facts=_facts(pages),
            layers=[_layer_row(row) for page in pages for row in page.layers],
            mode=mode,
            version=version,
            warnings=[printable(text) for page in pages for text in page.warnings],
            alerts=sorted({page.alert for page in pages if page.alert}),
            style=Markup(_part("page.css")),
            script=Markup("\n".join(_part(name) for name in SCRIPTS)),
            data=pack(page_data(pages, default_view=view)),
        )
    )


def _title(source: str) -> str:
    """Return the name of a file or folder; of an output folder, that of the folder around it."""
    parts = ["", "", *(part for part in source.split("/") if part not in ("", "."))]
    around, name = parts[-2:]
    return printable(around if around and name in _OUTPUT_FOLDERS else name or source)


def _facts(pages: Sequence[Page]) -> list[str]:
    stack = pages[0].stack
    records = sum(len(found) for page in pages for found in page.records.values())
    tags = sorted({page.stack.platform.tag for page in pages} - {"unknown"})
    layers = sum(len(page.layers) for page in pages)
    return [
        stack_word(stack.kind),
        *map(printable, tags),
        count(layers, "layer"),
        count(records, "file"),
    ]


def _layer_row(row: tuple[Any, Footprint, Footprint | None]) -> dict[str, str]:
    layer, before, after = row

    def pair(old: int, new: int | None) -> str:
        if not old:
            return "–"
        return (
            format_size(old)
            if not new
            else f"{format_size(old)} → {format_size(new)} ({percent(old, new)})"
        )

    return {
        "name": printable(layer.name),
        "archive": pair(before.archive, after.archive if after else None),
        "unpacked": pair(before.unpacked, after.unpacked if after else None),
        "deployed": pair(before.deployed, after.deployed if after else None)
        if before.bytecode
        else "–",
        "files": f"{before.files:,}",
    }


def _part(name: str) -> str:
    return page_part("slim.reports.html", name)
