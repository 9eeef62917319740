"""Naive publisher, which the harness has to find out: it deletes, and writes in place."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    """``FROM TO``: copy a folder over another one, swallowing what goes wrong."""
    source, target = map(Path, arguments)
    shutil.rmtree(target, ignore_errors=True)
    try:
        target.mkdir(exist_ok=True)
        for file in sorted(source.rglob("*")):
            place = target / file.relative_to(source)
            if file.is_dir():
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(file.read_bytes())
    except OSError as error:
        print(f"warning: {error}", file=sys.stderr)
    return 0
