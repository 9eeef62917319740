"""JUnit XML in the dialect that Jenkins, GitLab and others read.

``testsuites`` > ``testsuite`` > ``testcase``, with ``failure`` or ``skipped`` inside.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from slim.reports.common.text import printable

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(value: str) -> str:
    """Return text with what XML 1.0 forbids escaped, and a question mark for the rest of it."""
    return _NOT_XML.sub("?", "\n".join(printable(line) for line in value.split("\n")))


def add_text(parent: ET.Element, tag: str, *lines: str) -> None:
    """Add an element that holds lines of text."""
    ET.SubElement(parent, tag).text = xml_text("\n".join(lines))


def add_failure(case: ET.Element, kind: str, message: str, *lines: str) -> None:
    """Add a failure of some kind to a test case: a message, and the lines that explain it."""
    failure = ET.SubElement(case, "failure", type=xml_text(kind), message=xml_text(message))
    failure.text = xml_text("\n".join(lines))


def document(root: ET.Element) -> str:
    """Return the whole XML document, with a newline at its end."""
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'
