"""What a terminal can show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalStyle:
    """Width in columns, colours and characters of a terminal; without ``unicode`` all is ASCII."""

    width: int = 100
    color: bool = False
    unicode: bool = True

    @property
    def arrow(self) -> str:
        """Between before and after."""
        return "→" if self.unicode else "->"

    @property
    def dot(self) -> str:
        """Between facts on one line."""
        return "·" if self.unicode else "|"

    @property
    def bar(self) -> str:
        """What bars are made of."""
        return "━" if self.unicode else "#"

    @property
    def rule(self) -> str:
        """What a line across is made of."""
        return "─" if self.unicode else "-"

    @property
    def turn(self) -> str:
        """Before a fact that belongs to the line above."""
        return "└" if self.unicode else "`-"

    @property
    def good(self) -> str:
        """Before what passed."""
        return "✓" if self.unicode else "ok"

    @property
    def bad(self) -> str:
        """Before what failed."""
        return "✗" if self.unicode else "FAIL"
