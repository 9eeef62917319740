"""Recorders that a product carries itself: placing them, and reading what they wrote."""

from __future__ import annotations

from pathlib import Path

from slim.config.settings import Config
from slim.errors import ConfigError, RefusedError, StorageError
from slim.model.progress import Progress
from slim.model.stack import System
from slim.model.trace import INSTALL_RUN, Recorded, RunKind, platform_key
from slim.tracing.facts import RunFacts, StackFacts
from slim.tracing.logs import read_logs
from slim.tracing.look import opened
from slim.tracing.record import place_recorder

_NO_TIMES = (
    "a recorder that a product carries sees what Python code does: what native code reads isn't "
    "known of this run, so with it native files and data won't go"
)


def carry(folder: Path) -> tuple[Path, ...]:
    """Write the recorder and the file that starts it into a folder. Raises StorageError."""
    try:
        return place_recorder(folder)
    except OSError as error:
        raise StorageError.from_os_error(error, file=error.filename or folder) from error


def collect(
    logs: Path,
    stack: Path,
    name: str,
    config: Config,
    platforms: tuple[str, ...],
    progress: Progress,
) -> Recorded:
    """Return the trace of logs, as one run of a stack.

    Raises ConfigError for logs of another platform, of several, or of nothing of the stack;
    RefusedError where lines were lost; and the errors of reading.
    """
    if name == INSTALL_RUN:
        raise ConfigError(
            f"{INSTALL_RUN} is the name of the install step", hint="give the run another name"
        )
    logged = read_logs(logs)
    if not logged.platforms:
        raise ConfigError(
            "holds no log of the recorder", file=logs, hint="SLIM_TRACE named the folder of logs"
        )
    if logged.lost:
        raise RefusedError(
            f"{logged.lost} lines couldn't be written",
            file=logs,
            hint="the disk was full or the file system read-only; record the run again",
        )
    there = {platform_key(platform) for platform in logged.platforms}
    with opened(stack, config, platforms, progress) as loaded:
        fitting = [
            one
            for one in loaded
            if one.stack.platform.system is System.UNKNOWN
            or platform_key(one.stack.platform) in there
        ]
        if len(there) != 1 or len(fitting) != 1:
            here = ", ".join(sorted(one.stack.platform.tag for one in loaded))
            raise ConfigError(
                f"logs of {', '.join(sorted(there))} don't fit this stack, which is for {here}",
                file=logs,
                hint="give the stack that the product was installed from; --platform chooses",
            )
        run = RunFacts(
            name=name,
            kind=RunKind.USE,
            logged=logged,
            accessed=None,
            platform=there.pop(),
        )
        trace = StackFacts(fitting[0]).trace([run])
    if not any(uses.modules for _, _, uses in trace.all_uses()):
        raise ConfigError(
            "tells of no module of this stack",
            file=logs,
            hint="give the stack that the product was installed from",
        )
    return Recorded(trace=trace, source=str(stack), notes=(_NO_TIMES,))
