"""A task in a process of its own: ``python -m slim.fleet.child``, JSON in and JSON out.

The first line of standard input is the request (:meth:`slim.fleet.tasks.Task.request`); the answer
is JSON on standard output. The parent keeps the other end of standard input open: when it closes,
which it does however the parent ends, the task is interrupted and tidies up.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NoReturn

from slim import __version__, api
from slim.errors import ConfigError, OutOfMemoryError, RefusedError, SlimError, StorageError
from slim.fleet.known import take_known, with_notes
from slim.fleet.summary import summarise
from slim.fleet.task_errors import error_of
from slim.model.fleet import FleetDelta, TaskError, TaskResult, TaskStatus
from slim.reports.fleet.task_json import error_document, task_document
from slim.system.interrupts import raise_on_signals
from slim.system.json_text import Json
from slim.system.urls import is_url
from slim.system.workspace import remove_tree

SCRATCH: Final = "SLIM_FLEET_SCRATCH"
"""Environment variable with the private folder for temporary files, which goes with the task."""
_GRACE: Final = 20.0
"""Seconds that tidying up may take after the parent has gone."""
_COLLECTIONS: Final = (50_000, 10, 100)  # as the command line has them


def main() -> None:
    """Read the request, work on it, and answer."""
    gc.set_threshold(*_COLLECTIONS)
    with os.fdopen(os.dup(1), "wb") as answers:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        line = sys.stdin.buffer.readline()
        if not line.endswith(b"\n"):
            return  # the parent went before it had asked
        threading.Thread(target=_outlive_nobody, daemon=True).start()
        try:
            with raise_on_signals():
                answer = attempt(json.loads(line))
        except KeyboardInterrupt:
            _leave()
        answers.write(json.dumps(answer).encode())


def _outlive_nobody() -> None:
    """Wait for the end of standard input, and interrupt the process then."""
    with suppress(OSError, ValueError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    _leave()


def _leave() -> NoReturn:
    """End at once, without the temporary files: the parent may not be there to remove them."""
    scratch = os.environ.get(SCRATCH)
    if scratch:
        with suppress(OSError):
            remove_tree(Path(scratch))
    os._exit(128 + signal.SIGTERM)


def attempt(request: Json) -> Json:
    """Return the answer to a request: the task's result, or its error. Never raises an error."""
    started = time.monotonic()
    try:
        result = _result(request)
    except (SlimError, MemoryError, OSError) as error:
        return {"error": error_document(error_of(_typed(error)))}
    except Exception as error:  # a bug, told as one
        return {"error": error_document(error_of(error))}
    if isinstance(result, TaskError):
        return {"error": error_document(result)}
    cpu_seconds, peak_memory = _taken()
    cost = replace(
        result.cost,
        elapsed=time.monotonic() - started,
        cpu_seconds=cpu_seconds,
        peak_memory=peak_memory,
    )
    return {"result": task_document(result, cost)}


def _typed(error: BaseException) -> BaseException:
    if isinstance(error, MemoryError):
        return OutOfMemoryError()
    if isinstance(error, OSError):
        return StorageError.from_os_error(error)
    return error


def _result(request: dict[str, Any]) -> TaskResult | TaskError:
    if request["slim"] != __version__:
        raise ConfigError(
            f"this worker has slim {__version__}, the fleet runs {request['slim']}",
            hint="install the same version everywhere",
        )
    known = take_known(request)
    if known is not None and known.results is not None:
        return summarise(known.results, _deltas(request), status=TaskStatus.DONE)
    config = api.load_config(request["config"], **request["settings"])
    results = api.run(
        request["source"],
        request["output"],
        config=config,
        platforms=request["platforms"],
        dry_run=request["dry_run"],
        force=request["force"],
        verify=request["verify"],
        unverified=request["unverified"],
        previous=request["previous"],
        cache=request["cache"],
    )
    results = with_notes(results, known)
    failures = [
        text
        for result in results
        for check in result.verification.checks
        for text in check.failures
    ]
    if failures:
        more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
        return error_of(
            RefusedError(
                f"verification refused the result: {failures[0]}{more}",
                file=request["source"],
                hint="slim run STACK --verify tells all that failed",
            )
        )
    return summarise(results, _deltas(request), status=TaskStatus.DONE)


def _deltas(request: dict[str, Any]) -> tuple[FleetDelta, ...]:
    return tuple(_delta(request, order) for order in request["deltas"])


def _delta(request: dict[str, Any], order: dict[str, str]) -> FleetDelta:
    made = api.make_delta(
        order["old"],
        request["output"],
        order["output"],
        platforms=request["platforms"],
        force=request["force"] and not is_url(order["output"]),
        cache=request["cache"],
    )
    return FleetDelta(
        since=order["since"],
        download=sum(delta.download for delta in made),
        full=sum(delta.full for delta in made),
    )


def _taken() -> tuple[float, int]:
    """Return seconds of processor time, and bytes of memory; zeros where nothing tells."""
    try:
        import resource
    except ImportError:  # Windows
        return time.process_time(), 0
    own = resource.getrusage(resource.RUSAGE_SELF)
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, kilobytes elsewhere
    return seconds, own.ru_maxrss * unit


if __name__ == "__main__":
    main()
