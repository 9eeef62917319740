"""Width, colours and characters of a terminal."""

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
        """Sign between before and after."""
        return "→" if self.unicode else "->"

    @property
    def dot(self) -> str:
        """Sign between facts on one line."""
        return "·" if self.unicode else "|"

    @property
    def bar(self) -> str:
        """Character that bars are made of."""
        return "━" if self.unicode else "#"

    @property
    def rule(self) -> str:
        """Character that a line across is made of."""
        return "─" if self.unicode else "-"

    @property
    def turn(self) -> str:
        """Sign before a fact that belongs to the line above."""
        return "└" if self.unicode else "`-"

    @property
    def good(self) -> str:
        """Sign before a check that passed."""
        return "✓" if self.unicode else "ok"

    @property
    def bad(self) -> str:
        """Sign before a check that failed."""
        return "✗" if self.unicode else "FAIL"
