"""Deploys a published stack as an installer does, and runs what is in it, without slim."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

MINUTE = 60


def manifest(published: Path) -> dict[str, Any]:
    """The one manifest of a published folder."""
    (path,) = (published / "__venvstacks__").glob("*.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def entries(published: Path) -> list[dict[str, Any]]:
    """The layers' entries, the runtime first, an application last."""
    layers = manifest(published)["layers"]
    return [*layers["runtimes"], *layers["frameworks"], *layers["applications"]]


def clean_environment() -> dict[str, str]:
    """The environment without what would let one Python see another's modules or libraries."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def output_of(*command: str | Path, cwd: Path | None = None, timeout: int = 10 * MINUTE) -> str:
    """Run a command to its end and return what it printed.

    Raises AssertionError with its last words where it fails.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, (
        f"{command} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
    )
    return done.stdout


def unpack(published: Path, target: Path) -> Path:
    """All layers side by side, with the system's own tar."""
    target.mkdir(parents=True)
    for entry in entries(published):
        output_of("tar", "-xf", (published / entry["archive_name"]).resolve(), cwd=target)
    return target


def deploy(published: Path, target: Path) -> Path:
    """Unpack, and run every layer's ``postinstall.py`` with the runtime's Python.

    Returns ``target``.
    """
    unpack(published, target)
    for entry in entries(published):
        layer = target / entry["install_target"]
        output_of(target / entry["runtime_layer"] / "bin" / "python3", layer / "postinstall.py")
    return target


def launch(deployed: Path, layer: str, module: str, *args: str) -> str:
    """Run ``LAYER/bin/python -m MODULE`` and return what it prints."""
    return output_of(deployed / layer / "bin" / "python", "-m", module, *args, cwd=deployed)


def python(deployed: Path, layer: str, code: str) -> Any:
    """Run ``code`` in a deployed layer and return the JSON that it printed last."""
    return json.loads(
        output_of(deployed / layer / "bin" / "python", "-c", code, cwd=deployed).splitlines()[-1]
    )


def archived_size(published: Path) -> int:
    """Bytes of all archives."""
    return sum((published / entry["archive_name"]).stat().st_size for entry in entries(published))


def tree_size(folder: Path) -> int:
    """Bytes that the folder takes on the disk by du(1): whole blocks, hard links once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            total += status.st_blocks * 512
    return total
