"""Exceeded budgets as SARIF 2.1.0, for code scanning.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from slim.model.budget import BudgetResult, LimitResult, Verdict
from slim.reports.budget.words import exceeded_text
from slim.reports.common.growth import bulleted, cause_lines
from slim.system.json_text import Json, dumps, prose

RULE_ID = "size-budget"
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_RULE: Json = {
    "id": RULE_ID,
    "name": "SizeBudget",
    "shortDescription": {"text": "A size budget is exceeded."},
    "fullDescription": {"text": "A stack, or a part of it, is larger than its budget allows."},
    "help": {
        "text": "Find out what grew with slim diff, or raise the limit in the [[budget]] table."
    },
    "defaultConfiguration": {"level": "error"},
}
_CAUSES = 10


def render(verdict: Verdict) -> str:
    """Return one run with a result for each exceeded limit; none at all closes earlier alerts."""
    driver: Json = {"name": "slim", "version": verdict.slim_version, "rules": [_RULE]}
    if not driver["version"]:
        del driver["version"]
    results = [_result(result, limit) for result, limit in verdict.exceeded()]
    run = {"tool": {"driver": driver}, "results": results}
    return dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _result(result: BudgetResult, limit: LimitResult) -> Json:
    causes = bulleted(cause_lines(limit.causes, limit.limit.metric, most=_CAUSES))
    location: Json = {"artifactLocation": {"uri": uri(result.budget.origin)}}
    if result.budget.line:
        location["region"] = {"startLine": result.budget.line}
    return {
        "ruleId": RULE_ID,
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": prose("\n".join([exceeded_text(result, limit), *causes]))},
        "locations": [{"physicalLocation": location}],
        "partialFingerprints": {"slimBudget/v1": fingerprint(result, limit)},
    }


def fingerprint(result: BudgetResult, limit: LimitResult) -> str:
    """Return what the same finding of two checks has in common, whatever the sizes are.

    That is 32 hexadecimal digits of a SHA-256 of budget, subject, platform, metric and kind of
    limit.
    """
    parts = (
        result.budget.name,
        result.subject,
        result.platform,
        limit.limit.metric.value,
        limit.limit.kind.value,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def uri(path: str) -> str:
    """Return a path as a relative (or ``file:``) URI reference (RFC 3986)."""
    quoted = quote(path.replace("\\", "/").encode("utf-8", "surrogateescape"))
    return f"file://{quoted}" if quoted.startswith("/") else quoted
