"""The scripts that run in a stack's own Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from slim.verification.dynamic.sandbox import WORKERS


def test_the_folder_of_the_scripts_is_not_searched_for_modules(tmp_path: Path) -> None:
    """It isn't on the path of the application either: its modules mustn't be found there."""
    names = ["jail", "describer", "linker", "json"]
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"modules": names, "root": str(tmp_path)}))
    done = subprocess.run(
        [sys.executable, "-B", str(WORKERS / "importer.py"), str(job)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    imported = {names[event[1]]: event[2] for event in events if event[0] == "end"}
    assert imported == {"jail": False, "describer": False, "linker": False, "json": True}
