"""Where reports for terminals are drawn: rich, told exactly how wide, how colourful and in which characters."""

from __future__ import annotations

import io

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.text import Text

from slim.reports.common.style import TerminalStyle

MIN_WIDTH = 40
_UNBOUNDED = 10_000


class Canvas:
    """Collects what is drawn, and gives it as one string without trailing blanks."""

    def __init__(self, style: TerminalStyle) -> None:
        self.style = style
        self._file = io.StringIO()
        self._console = Console(
            file=self._file,
            width=max(style.width, MIN_WIDTH),
            force_terminal=style.color,
            color_system="standard" if style.color else None,
            no_color=not style.color,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
            _environ={},
        )

    def line(self, text: Text, indent: int = 0) -> None:
        """Draw one paragraph; where it wraps, further lines are indented by two more. Long names are folded."""
        text.overflow = "fold"
        room = self._console.width - indent
        if cell_len(text.plain) <= room or room < MIN_WIDTH // 2:
            self.show(Padding(text, (0, 0, 0, indent), expand=False))
            return
        first, *rest = text.wrap(self._console, room - 2, overflow="fold")
        self.show(Padding(first, (0, 0, 0, indent), expand=False))
        for part in rest:
            self.show(Padding(part, (0, 0, 0, indent + 2), expand=False))

    def show(self, renderable: RenderableType) -> None:
        """Draw a table, a line across, anything rich can draw."""
        self._console.print(renderable)

    def width_of(self, renderable: RenderableType) -> int:
        """Columns that something takes where it need not wrap."""
        return Measurement.get(
            self._console, self._console.options.update_width(_UNBOUNDED), renderable
        ).maximum

    def blank(self) -> None:
        """Leave a line empty."""
        self._console.print()

    def text(self) -> str:
        """All of it, with a newline at its end."""
        lines = [line.rstrip() for line in self._file.getvalue().split("\n")]
        return "\n".join(lines).rstrip("\n") + "\n"
