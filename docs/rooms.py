"""Draws docs/images/rooms.svg: the rooms by floor, from the import contract in pyproject.toml.

python docs/rooms.py
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "rooms.svg"
FLOOR, BOX, GAP, WIDTH, MARGIN = 46, 34, 12, 760, 20
_STYLE = """
  .room { fill: #e8f0f6; stroke: #3b6e8f; }
  .name { fill: #14313f; font: 14px ui-monospace, monospace; text-anchor: middle; }
  .flow { stroke: #8aa4b2; fill: none; marker-end: url(#tip); }
  @media (prefers-color-scheme: dark) {
    .room { fill: #17303d; stroke: #6fa8c7; }
    .name { fill: #e3eff5; }
  }
"""


def floors() -> list[list[str]]:
    """Return the rooms of each floor, the top floor first, as the import contract has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip().removeprefix("slim.") for name in row.split("|")] for row in layers]


def draw(rows: list[list[str]]) -> str:
    """Return the picture as SVG: a floor a row, and one arrow down beside them."""
    height = len(rows) * FLOOR + 2 * MARGIN
    title = "The rooms of slim: each uses only what lies below it"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="6" refY="3" orient="auto">'
        '<path d="M0 0 L6 3 L0 6 z" fill="#8aa4b2"/></marker></defs>',
        f'<path class="flow" d="M{MARGIN} {MARGIN} V{height - MARGIN}"/>',
    ]
    left = 2 * MARGIN
    for number, row in enumerate(rows):
        width = (WIDTH - left - MARGIN - GAP * (len(row) - 1)) / len(row)
        for place, name in enumerate(row):
            x = left + place * (width + GAP)
            y = MARGIN + number * FLOOR
            parts.append(
                f'<rect class="room" x="{x:.1f}" y="{y}" width="{width:.1f}" '
                f'height="{BOX}" rx="5"/>'
            )
            parts.append(
                f'<text class="name" x="{x + width / 2:.1f}" y="{y + BOX / 2 + 5:.0f}">'
                f"{escape(name)}</text>"
            )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(floors()), encoding="utf-8", newline="\n")
