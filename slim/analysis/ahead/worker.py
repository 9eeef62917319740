"""The child process that makes readings: ``python -m slim.analysis.ahead.worker``.

It is told forms and variants, gets the files' bytes one behind the other, and answers each reading
as JSON. See :mod:`slim.system.worker` for the limits that it works within.
"""

from __future__ import annotations

import json
from typing import Any, Final

from slim.analysis.ahead.makers import MAKERS
from slim.system.worker import Answer, serve

_LONGEST: Final = 3 << 20
"""Characters of all readings of an answer; those beyond are left out."""


def answer(question: Answer, data: bytes) -> Answer:
    """Make the readings of a question, whose ``files`` say form, variant and size of each."""
    readings: list[str] = []
    begin, left = 0, _LONGEST
    files: Any = question["files"]
    for form, variant, size in files:
        maker = MAKERS[form]
        reading = maker.make(data[begin : begin + size], variant)
        text = json.dumps(maker.form.pack(reading), separators=(",", ":"))
        readings.append(text if len(text) <= left else "")
        left -= len(readings[-1])
        begin += size
    return {"readings": readings}


if __name__ == "__main__":
    serve(answer)
