"""Oracle of edited METADATA files: the same headers as before, and nothing that wasn't there.

Source: PyPA "Core metadata specifications" (headers in the format of RFC 822, the description as
the body), read with the standard library's parser, as ``importlib.metadata`` does.
"""

from __future__ import annotations

from email.message import Message
from email.parser import BytesHeaderParser


def check(original: memoryview, edited: memoryview) -> list[str]:
    """Compare an edited METADATA file with its original; return what is wrong, a sentence each.

    Checked are that each header is there with its value, in its place, that what is left of the
    body is the begin of the body, and that the file is smaller. Raises nothing.
    """
    before, after = _parse(original), _parse(edited)
    problems = []
    if before.items() != after.items():
        problems.append("the headers have changed")
    if not str(before.get_payload()).startswith(str(after.get_payload())):
        problems.append("the description has changed, not only been cut")
    if len(edited) >= len(original):
        problems.append(f"the file isn't smaller: {len(edited)} bytes, {len(original)} before")
    return problems


def _parse(data: memoryview) -> Message:
    return BytesHeaderParser().parsebytes(bytes(data))
