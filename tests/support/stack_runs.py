"""``slim run`` in this process, with its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slim.cli import main


def run(source: Path, output: Path, *more: str) -> dict[str, Any]:
    """Slim a stack, without any configuration file, and return the run's part of the report."""
    report = output.parent / f"{output.name}.json"
    arguments = ["run", str(source), "-o", str(output), "--no-config", "-q"]
    assert main([*arguments, "--report", f"json={report}", *more]) == 0
    loaded: dict[str, Any] = json.loads(report.read_text("utf-8"))["runs"][0]
    return loaded
