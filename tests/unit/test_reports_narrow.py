"""Tables where a terminal is too narrow for them: lists that lose no word and no number."""

from __future__ import annotations

import pytest
from rich.text import Text

from slim.reports.common.canvas import Canvas, number_table, plain_table
from slim.reports.common.style import TerminalStyle


def drawn(width: int, names: tuple[int, ...] = (0,)) -> str:
    table = number_table("layer", ("old archive", "new archive", "update", "", "how"))
    table.add_row("framework-maths", "1.4 kB", "1.3 kB", Text("526 B"), "42%", "patch")
    table.add_row("total", "", "1.3 kB", "-", "", "")
    canvas = Canvas(TerminalStyle(width=width))
    canvas.show(table, names)
    return canvas.text()


def test_a_table_that_has_room_is_a_table() -> None:
    assert drawn(80).splitlines() == [
        "layer            old archive  new archive  update         how",
        "framework-maths       1.4 kB       1.3 kB   526 B  42%  patch",
        "total                              1.3 kB       -",
    ]


def test_a_table_without_room_is_a_list() -> None:
    assert drawn(44).splitlines() == [
        "layer",
        "framework-maths",
        "  old archive 1.4 kB · new archive 1.3 kB",
        "  update 526 B 42% · how patch",
        "total",
        "  new archive 1.3 kB",
    ]


@pytest.mark.parametrize("width", range(40, 70))
def test_at_no_width_is_anything_lost(width: int) -> None:
    text = "".join(drawn(width).split())
    assert "…" not in text
    assert "framework-" in text  # its end may stand on the next line
    for words in ("1.4kB", "1.3kB", "526B", "42%", "patch"):
        assert words in text


def test_names_may_be_in_another_column() -> None:
    table = plain_table()
    for title in ("size", "was", "path"):
        table.add_column(title, overflow="fold")
    table.add_row("7 B", "removed", "framework-maths/lib/python3.13/maths/core.pyi")
    table.columns[0].no_wrap = table.columns[2].no_wrap = True
    canvas = Canvas(TerminalStyle(width=50))
    canvas.show(table, names=(2,))
    assert canvas.text().splitlines() == [
        "path",
        "framework-maths/lib/python3.13/maths/core.pyi",
        "  size 7 B · was removed",
    ]
