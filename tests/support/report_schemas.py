"""The JSON Schemas of reports, as they are shipped with slim."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def schema(name: str) -> dict[str, Any]:
    """Return a JSON Schema by name: ``report-v1``, ``delta-v1``, ..."""
    file = files("slim.reports").joinpath("schema", f"{name}.schema.json")
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded
