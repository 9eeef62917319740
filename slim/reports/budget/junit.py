"""The verdict of ``slim check`` as JUnit XML: one test case a budget."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from slim.model.budget import BudgetResult, LimitResult, Status, Verdict
from slim.reports.budget.words import actual_text, exceeded_text, limit_text
from slim.reports.common.growth import cause_lines
from slim.reports.common.junit import add_failure, add_text, document, xml_text

_CAUSES = 10


def render(verdict: Verdict) -> str:
    """Return the XML document, with a newline at its end."""
    cases = verdict.results
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.status is Status.EXCEEDED for case in cases)),
        "skipped": str(sum(case.status is Status.UNCHECKED for case in cases)),
    }
    root = ET.Element("testsuites", {"name": "slim check", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": "slim check", "errors": "0", **counts})
    for case in cases:
        _case(suite, case)
    return document(root)


def _case(suite: ET.Element, result: BudgetResult) -> None:
    attributes = {
        "classname": f"budget.{result.platform}",
        "name": xml_text(result.title),
        "time": "0",
    }
    if result.budget.origin:
        attributes["file"] = xml_text(result.budget.origin)
    if result.budget.line:
        attributes["line"] = str(result.budget.line)
    case = ET.SubElement(suite, "testcase", attributes)
    exceeded = [limit for limit in result.limits if limit.status is Status.EXCEEDED]
    if exceeded:
        lines = [line for limit in exceeded for line in _explained(result, limit)]
        add_failure(case, "budget", exceeded_text(result, exceeded[0]), *lines)
    elif result.status is Status.UNCHECKED:
        notes = dict.fromkeys(limit.note for limit in result.limits if limit.note)
        ET.SubElement(case, "skipped", message=xml_text("; ".join(notes)))
    add_text(case, "system-out", *map(_limit, result.limits))


def _explained(result: BudgetResult, limit: LimitResult) -> list[str]:
    causes = cause_lines(limit.causes, limit.limit.metric, most=_CAUSES)
    lines = [f"{'  ' * (depth + 1)}{line}" for depth, line in causes]
    return [exceeded_text(result, limit), *lines]


def _limit(limit: LimitResult) -> str:
    name = limit.limit.metric.value
    return f"{name}: {actual_text(limit)}, limit {limit_text(limit)}, {limit.status.value}"
