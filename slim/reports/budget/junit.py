"""The verdict of ``slim check`` as JUnit XML: one test case a budget.

Written in the dialect that Jenkins, GitLab and others read: ``testsuites`` > ``testsuite`` >
``testcase`` with ``failure`` or ``skipped`` inside.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from slim.model.budget import BudgetResult, Status, Verdict
from slim.reports.common.growth import cause_lines, exact, exceeded_text, limit_text
from slim.reports.common.text import printable

_CAUSES = 10
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(verdict: Verdict) -> str:
    """The XML document, with a newline at its end."""
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
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _case(suite: ET.Element, result: BudgetResult) -> None:
    attributes = {
        "classname": f"budget.{result.platform}",
        "name": _text(result.title),
        "time": "0",
    }
    if result.budget.origin:
        attributes["file"] = _text(result.budget.origin)
    if result.budget.line:
        attributes["line"] = str(result.budget.line)
    case = ET.SubElement(suite, "testcase", attributes)
    over = [item for item in result.limits if item.status is Status.EXCEEDED]
    if over:
        failure = ET.SubElement(
            case, "failure", type="budget", message=_text(exceeded_text(result, over[0]))
        )
        lines = []
        for item in over:
            lines.append(exceeded_text(result, item))
            lines += [
                f"{'  ' * (depth + 1)}{line}"
                for depth, line in cause_lines(item.causes, item.limit.metric, most=_CAUSES)
            ]
        failure.text = _text("\n".join(lines))
    elif result.status is Status.UNCHECKED:
        notes = dict.fromkeys(item.note for item in result.limits if item.note)
        ET.SubElement(case, "skipped", message=_text("; ".join(notes)))
    told = ET.SubElement(case, "system-out")
    lines = []
    for item in result.limits:
        metric = item.limit.metric
        lines.append(
            f"{metric.value}: {exact(metric, item)}, limit {limit_text(item)}, {item.status.value}"
        )
    told.text = _text("\n".join(lines))


def _text(value: str) -> str:
    """What XML 1.0 allows; anything else is told as an escape."""
    return _NOT_XML.sub("?", "\n".join(printable(line) for line in value.split("\n")))
