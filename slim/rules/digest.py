"""Digest of rules: two runs with the same one had the same rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from slim.model.rule import Rule


def rules_digest(rules: Iterable[Rule]) -> str:
    """SHA-256, in hexadecimal, of all that decides what the rules do; texts for people don't count.

    The order of the rules doesn't matter, nor where they were read from.
    """
    canonical = [
        {
            "id": rule.id,
            "pass": rule.pass_name,
            "safety": rule.safety.label,
            "globs": sorted(rule.globs),
            "keep": sorted(rule.keep),
            "layers": sorted(rule.layers),
            "package": str(rule.package or ""),
            "platforms": sorted(rule.platforms),
            "options": dict(rule.options),
            "unless": sorted(rule.unless),
            "unit": rule.unit,
            "builtin": rule.builtin,
            **({"despite": sorted(rule.despite)} if rule.despite else {}),
            **({"choose": [rule.choose, *rule.choice_globs]} if rule.choose else {}),
        }
        for rule in sorted(rules, key=lambda rule: rule.id)
    ]
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
