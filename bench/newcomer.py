"""From ``pip install`` to a page about an unknown venv: how long a new user waits.

``python -m bench.newcomer VENV [--wheel FILE]``: makes a fresh virtual environment, installs slim
into it with pip (the wheel, or one built from this checkout), runs the one command ``slim audit
VENV --report html=FILE`` with its defaults, and opens the page in headless Chromium where there is
one. Prints the seconds of each step, the size of what was looked at, and what the page says of it.
The goal is a minute for a venv of 500 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

GOAL = 60


def seconds(command: list[str | Path]) -> float:
    """Run to the end; the seconds it took."""
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def built(folder: Path) -> Path:
    """A wheel of this checkout."""
    checkout = Path(__file__).resolve().parent.parent
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, checkout],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def shown(file: Path) -> str:
    """What somebody who opens the page reads first, or why nobody could."""
    try:
        from tests.support.browser import chromium, visit
    except ImportError:
        return "not opened: selenium and pytest aren't installed"
    with chromium() as page:
        visit(page, file)
        return ", ".join(
            _text(page, place) for place in ("h1", ".facts", "#big-before", "#big-after")
        )


def _text(page: Any, selector: str) -> str:
    return " ".join(str(page.find_element("css selector", selector).text).split())


def main() -> None:
    """Measure it once: a second time would find pip's cache warm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path, help="the venv that nobody knows")
    parser.add_argument(
        "--wheel", type=Path, help="a wheel of slim; built from the checkout where none is given"
    )
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = said.wheel or built(folder / "dist")
        venv.create(folder / "own", with_pip=True)
        scripts = folder / "own" / ("Scripts" if sys.platform == "win32" else "bin")
        install = seconds(
            [scripts / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir", wheel]
        )
        page = folder / "map.html"
        audit = seconds([scripts / "slim", "audit", said.venv, "--report", f"html={page}"])
        files = [path for path in said.venv.rglob("*") if path.is_file() and not path.is_symlink()]
        weight = sum(path.stat().st_size for path in files) / 1e6
        print(
            f"{said.venv}: {len(files):,} files, {weight:.0f} MB; the page has "
            f"{page.stat().st_size / 1e3:.0f} kB"
        )
        print(
            f"pip install {install:.1f} s + slim audit --report html=FILE {audit:.1f} s = "
            f"{install + audit:.1f} s"
        )
        print(f"goal: {GOAL} s. The page says: {shown(page)}")


if __name__ == "__main__":
    main()
