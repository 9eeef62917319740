"""Describes what ``importlib.metadata`` finds, and whether RECORD is true.

Runs in the stack's own Python (3.9 or newer). ``argv``: the layer's own site-packages folder. One
JSON object goes to standard output: ``distributions`` (all that the layer's Python sees: version,
entry points, requirements by normalised name), ``record`` (rows of the RECORDs below that folder
which aren't true), ``rows`` (how many there are), ``environment`` (the variables of environment
markers), ``pip`` (whether it can be imported).

Sources: PyPA "Recording installed projects", "Dependency specifiers"; PEP 503.
"""

from __future__ import annotations

import os
import sys

# The script's own folder isn't one that the application would search.
_OWN = os.path.realpath(os.path.dirname(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry or os.curdir) != _OWN]

import base64  # noqa: E402
import csv  # noqa: E402
import hashlib  # noqa: E402
import importlib.metadata  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import re  # noqa: E402
from typing import Any  # noqa: E402

ALGORITHMS = ("sha256", "sha384", "sha512")
"""Those that "Binary distribution format" allows. Others aren't compared."""


def describe() -> dict[str, Any]:
    """Describe every distribution on the path."""
    found: dict[str, Any] = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", str(distribution.metadata["Name"])).lower()
        if name in found:
            continue  # the first one on the path counts
        points = sorted(
            "%s: %s = %s" % (point.group, point.name, point.value)
            for point in distribution.entry_points
        )
        found[name] = {
            "version": distribution.version,
            "entry_points": points,
            "requires": sorted(distribution.requires or ()),
        }
    return found


def check_records(site: str) -> tuple[list[str], int]:
    """List rows of RECORD that aren't true, and count all rows."""
    wrong: list[str] = []
    rows = 0
    for name in sorted(os.listdir(site)) if os.path.isdir(site) else ():
        record = os.path.join(site, name, "RECORD")
        if not name.endswith(".dist-info") or not os.path.isfile(record):
            continue
        with open(record, newline="", encoding="utf-8", errors="surrogateescape") as file:
            for row in csv.reader(file):
                if not row:
                    continue
                rows += 1
                problem = check_row(site, row)
                if problem:
                    wrong.append("%s: %s: %s" % (name, row[0], problem))
    return wrong, rows


def check_row(site: str, row: list[str]) -> str:
    """Return what is wrong with a row, or nothing."""
    path = os.path.normpath(os.path.join(site, row[0]))
    if not os.path.lexists(path):
        return "isn't there"
    kind, _, expected = (row[1] if len(row) > 1 else "").partition("=")
    if kind not in ALGORITHMS or not expected:
        return ""
    state = hashlib.new(kind)
    try:
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                state.update(chunk)
    except OSError as error:
        return "can't be read: %s" % error.strerror
    actual = base64.urlsafe_b64encode(state.digest()).rstrip(b"=").decode()
    return "" if actual == expected else "has another hash"


def environment() -> dict[str, str]:
    """Return the variables of environment markers."""
    version = platform.python_version()
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": version,
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def main() -> None:
    """Write the description."""
    wrong, rows = check_records(sys.argv[1])
    value = {
        "distributions": describe(),
        "record": wrong,
        "rows": rows,
        "environment": environment(),
        "pip": importlib.util.find_spec("pip") is not None,
    }
    json.dump(value, sys.stdout)


main()
