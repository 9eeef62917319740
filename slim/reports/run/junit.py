"""What was verified as JUnit XML: one test case a check, and one for each thing that failed.

Written in the dialect that Jenkins, GitLab and others read: ``testsuites`` > ``testsuite`` >
``testcase`` with ``failure`` or ``skipped`` inside.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from slim.model.outcome import Check, RunResult
from slim.reports.common.text import printable

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(results: Sequence[RunResult]) -> str:
    """The XML document, with a newline at its end."""
    root = ET.Element("testsuites", {"name": "slim"})
    for result in results:
        _suite(root, result)
    for name in ("tests", "failures", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(root: ET.Element, result: RunResult) -> None:
    tag = result.stack.platform.tag
    suite = ET.SubElement(root, "testsuite", {"name": _text(f"verify.{tag}"), "errors": "0"})
    for check in result.verification.checks:
        _check(suite, check, f"verify.{tag}")
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    for name, tag_name in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag_name) is not None for case in cases)))
    suite.set("time", f"{sum(check.elapsed for check in result.verification.checks):.3f}")
    lines = [*result.verification.notes]
    for repair in result.verification.repairs:
        files = ", ".join(f"{layer}/{path}" for layer, path in repair.files)
        lines.append(f"taken back ({', '.join(repair.rules)}): {files}")
    if lines:
        ET.SubElement(suite, "system-out").text = _text("\n".join(lines))


def _check(suite: ET.Element, check: Check, name: str) -> None:
    """The check as a whole, then each failure."""
    attributes = {
        "classname": _text(name),
        "name": _text(check.name),
        "time": f"{check.elapsed:.3f}",
    }
    case = ET.SubElement(suite, "testcase", attributes)
    if not check.tried and check.passed:
        ET.SubElement(case, "skipped", message=_text(check.note or "nothing to try"))
    else:
        ET.SubElement(case, "system-out").text = _text(f"{check.tried} tried {check.note}".strip())
    if check.broken:
        for one in check.broken:
            inner = {
                "classname": _text(f"{name}.{check.name}"),
                "name": _text(str(one.subject)),
                "time": "0",
            }
            failed = ET.SubElement(suite, "testcase", inner)
            failure = ET.SubElement(
                failed, "failure", type=_text(check.name), message=_text(one.after)
            )
            failure.text = _text(f"before: {one.before}\nafter: {one.after}")
    elif check.failures:
        failure = ET.SubElement(
            case, "failure", type=_text(check.name), message=_text(check.failures[0])
        )
        failure.text = _text("\n".join(check.failures))


def _text(value: str) -> str:
    """What XML 1.0 allows; anything else is told as a question mark."""
    return _NOT_XML.sub("?", "\n".join(printable(line) for line in value.split("\n")))
