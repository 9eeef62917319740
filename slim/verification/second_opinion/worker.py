"""The child process that loads LIEF: ``python -m slim.verification.second_opinion.worker``.

It is told a file's format and bytes, original and edited in turn, and answers what differs. See
:mod:`slim.system.worker` for the limits that it works within.
"""

from __future__ import annotations

from collections.abc import Mapping

import lief

from slim.system.worker import Answer, serve
from slim.verification.second_opinion import elf, macho, pe
from slim.verification.second_opinion.facts import Images, Reader, differences

READERS: Mapping[str, Reader] = {
    "elf": elf.read,
    "elf-headers": elf.read_headers,
    "elf-gpu": elf.read_gpu,
    "macho": macho.read,
    "pe": pe.read,
}
"""What reads a file's facts, by the name under which oracles refer to it."""

_SHOWN = 5


class Judge:
    """Answers questions; remembers the facts of the original until the edited file has come."""

    def __init__(self) -> None:
        self._before: Images | None = None

    def answer(self, question: Answer, data: bytes) -> Answer:
        """Answer one question: ``hello``, ``original`` or ``edited``."""
        match question["task"]:
            case "original":
                self._before = _read(str(question["reader"]), data)
                return {"read": self._before is not None}
            case "edited":
                before, self._before = self._before, None
                after = _read(str(question["reader"]), data)
                if before is None or after is None:
                    return {"read": after is not None, "differences": []}
                return {"read": True, "differences": differences(before, after)[:_SHOWN]}
            case _:
                return {"read": True}


def _read(reader: str, data: bytes) -> Images | None:
    # LIEF tells what it can't read by None, and by exceptions of several kinds.
    try:
        return READERS[reader](data)
    except MemoryError:
        raise
    except Exception:
        return None


def main() -> None:
    """Answer until the parent has no more questions."""
    lief.logging.disable()
    serve(Judge().answer)


if __name__ == "__main__":
    main()
