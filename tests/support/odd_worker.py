"""A child that has accidents, as a library in C++ has them: what it does, the data say."""

from __future__ import annotations

import os
import signal
import sys
import time

from slim.system.worker import Answer, serve


def answer(question: Answer, data: bytes) -> Answer:
    """Do what the first word of the data says; otherwise find no difference."""
    match data.partition(b" ")[0]:
        case b"crash":
            os.abort()
        case b"killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"exit":
            os._exit(3)
        case b"hang":
            time.sleep(1000)
        case b"spin":
            while True:
                pass
        case b"eat":
            eaten = []
            while True:
                eaten.append(bytearray(64 << 20))
        case b"print":
            print("what a library says on its own account", flush=True)
        case b"nonsense":
            return {"read": True, "differences": "none"}
        case b"unreadable":
            return {"read": False}
        case b"differs":
            return {"read": True, "differences": ["the imports differ: x"]}
        case b"deaf":
            sys.exit()
    return {"read": True, "differences": []}


if __name__ == "__main__":
    serve(answer)
