"""Exceeded budgets as SARIF 2.1.0, for code scanning.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from slim.model.budget import BudgetResult, LimitResult, Verdict
from slim.reports.common.growth import cause_lines, exceeded_text
from slim.system.json_text import Json, dumps, prose

RULE_ID = "size-budget"
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_CAUSES = 10


def render(verdict: Verdict) -> str:
    """One run with a result for each exceeded limit. Without any the list is empty, which closes earlier alerts."""
    driver: Json = {
        "name": "slim",
        "version": verdict.slim_version,
        "rules": [
            {
                "id": RULE_ID,
                "name": "SizeBudget",
                "shortDescription": {"text": "A size budget is exceeded."},
                "fullDescription": {
                    "text": "A stack, or a part of it, is larger than its budget allows."
                },
                "help": {
                    "text": "Find out what grew with slim diff, or raise the limit in the [[budget]] table."
                },
                "defaultConfiguration": {"level": "error"},
            }
        ],
    }
    if not driver["version"]:
        del driver["version"]
    results = [_result(result, item) for result, item in verdict.exceeded()]
    return dumps(
        {
            "$schema": _SCHEMA,
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "results": results}],
        }
    )


def _result(result: BudgetResult, item: LimitResult) -> Json:
    causes = cause_lines(item.causes, item.limit.metric, most=_CAUSES)
    text = "\n".join(
        [exceeded_text(result, item), *(f"{'  ' * depth}- {line}" for depth, line in causes)]
    )
    location: Json = {"artifactLocation": {"uri": uri(result.budget.origin)}}
    if result.budget.line:
        location["region"] = {"startLine": result.budget.line}
    return {
        "ruleId": RULE_ID,
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": prose(text)},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"slimBudget/v1": fingerprint(result, item)},
    }


def fingerprint(result: BudgetResult, item: LimitResult) -> str:
    """What makes the same finding of two runs one: budget, subject, platform, metric and kind of limit; not sizes."""
    parts = (
        result.budget.name,
        result.subject,
        result.platform,
        item.limit.metric.value,
        item.limit.kind.value,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def uri(path: str) -> str:
    """A path as a relative (or ``file:``) URI reference (RFC 3986)."""
    quoted = quote(path.replace("\\", "/").encode("utf-8", "surrogateescape"))
    return f"file://{quoted}" if quoted.startswith("/") else quoted
