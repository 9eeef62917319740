"""Verification as JUnit XML: one test case a check, and one for each thing that failed."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from slim.model.outcome import Check, RunResult
from slim.reports.common.junit import add_failure, add_text, document, xml_text


def render(results: Sequence[RunResult]) -> str:
    """Return the XML document, with a newline at its end."""
    root = ET.Element("testsuites", {"name": "slim"})
    for result in results:
        _suite(root, result)
    for name in ("tests", "failures", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    return document(root)


def _suite(root: ET.Element, result: RunResult) -> None:
    name = f"verify.{result.stack.platform.tag}"
    suite = ET.SubElement(root, "testsuite", {"name": xml_text(name), "errors": "0"})
    for check in result.verification.checks:
        _check(suite, check, name)
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    for total, tag in (("failures", "failure"), ("skipped", "skipped")):
        suite.set(total, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{sum(check.elapsed for check in result.verification.checks):.3f}")
    lines = [f"not tried: {sentence}" for sentence in result.verification.untried]
    lines += result.verification.notes
    for repair in result.verification.repairs:
        files = ", ".join(f"{layer}/{path}" for layer, path in repair.files)
        lines.append(f"taken back ({', '.join(repair.rules)}): {files}")
    if lines:
        add_text(suite, "system-out", *lines)


def _check(suite: ET.Element, check: Check, suite_name: str) -> None:
    """Add the check as a whole, then each failure."""
    case = _case(suite, suite_name, check.name, f"{check.elapsed:.3f}")
    if not check.tried and check.passed:
        ET.SubElement(case, "skipped", message=xml_text(check.note or "nothing to try"))
    else:
        add_text(case, "system-out", f"{check.tried} tried {check.note}".strip())
    for broken in check.broken:
        failed = _case(suite, f"{suite_name}.{check.name}", str(broken.subject), "0")
        before, after = f"before: {broken.before}", f"after: {broken.after}"
        add_failure(failed, check.name, broken.after, before, after)
    if check.failures and not check.broken:
        add_failure(case, check.name, check.failures[0], *check.failures)


def _case(suite: ET.Element, class_name: str, name: str, time: str) -> ET.Element:
    attributes = {"classname": xml_text(class_name), "name": xml_text(name), "time": time}
    return ET.SubElement(suite, "testcase", attributes)
