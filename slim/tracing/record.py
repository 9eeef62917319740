"""Recording: a copy of a stack is deployed in verify's sandbox, and its commands are run there."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from slim.config.settings import Config
from slim.errors import ConfigError, RefusedError, StorageError
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.model.context import RunContext
from slim.model.progress import Progress, Silent
from slim.model.stack import LayerKind, Stack
from slim.model.trace import INSTALL_RUN, Recorded, RunKind, platform_key
from slim.model.verify import Command
from slim.sources.fetch import fetched
from slim.system.workspace import workspace
from slim.traces.merge import merge
from slim.tracing import recorder, times
from slim.tracing.facts import RunFacts, StackFacts
from slim.tracing.logs import Logged, read_logs
from slim.verification.dynamic import launch
from slim.verification.dynamic.deploy import POSTINSTALL, Deployment, deploy
from slim.verification.dynamic.sandbox import PYTHON, Sandbox
from slim.verification.dynamic.session import obstacle

PTH: Final = f"00_{recorder.NAME}.pth"
"""Name of the file that starts the recorder: among the first, since names are sorted."""
_LOGS: Final = ".slim-trace"
_PROBE_SECONDS: Final = 60.0
_ELSEWHERE: Final = (
    "a trace is recorded where the stack's programs run; `slim trace merge` puts those of several "
    "machines together"
)


@dataclass(frozen=True, kw_only=True)
class TraceRequest:
    """A stack to record. ``platforms`` limits it to some manifests; empty means all.

    ``command`` is what is run; without one, all commands of the configuration are.
    """

    stack: Path
    config: Config
    platforms: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    layer: str | None = None
    """Layer of ``command``; None for the stack's only application."""
    name: str | None = None
    """Name of the run of ``command``; None for its words."""
    timeout: int = 600
    """Seconds that ``command`` may take."""


def record(request: TraceRequest, progress: Progress | None = None) -> Recorded:
    """Record the install step and the commands in a private copy of a stack.

    Of several manifests, those for this machine are recorded. Raises ConfigError where none is, or
    where there is nothing to run; RefusedError where a command fails or nothing was recorded; and
    the errors of reading.
    """
    with fetched(request.stack) as source, workspace() as spool:
        context = request.config.context(spool, progress or Silent())
        results: list[Recorded] = []
        obstacles: list[str] = []
        for located in locate(source, platforms=request.platforms, deployed=True):
            with load(located, context, published_only=True) as loaded:
                why_not = obstacle(loaded.stack, loaded.members)
                if why_not:
                    obstacles.append(why_not)
                else:
                    results.append(_record(request, loaded, context))
    if not results:
        raise ConfigError("; ".join(obstacles), file=request.stack, hint=_ELSEWHERE)
    return Recorded(
        trace=merge(result.trace for result in results),
        source=str(request.stack),
        notes=tuple(dict.fromkeys((*(n for result in results for n in result.notes), *obstacles))),
    )


def _record(request: TraceRequest, loaded: LoadedStack, context: RunContext) -> Recorded:
    commands = _commands(request, loaded.stack)
    settings = request.config.verify
    with workspace(Path(tempfile.gettempdir())) as work:
        sandbox = Sandbox(work, memory=settings.memory, devices=settings.devices)
        recording = _Recording(work / "new", loaded, context)
        context.progress.stage("Deploying", total=len(loaded.stack.layers), unit="layers")
        deployment = deploy(
            work / "new",
            loaded.stack,
            loaded.members,
            sandbox,
            context.progress,
            workers=min(2, context.workers),
            prepare=recording.prepare,
        )
        for layer, text in deployment.failures.items():
            raise RefusedError(
                f"the install step failed: {layer}/{POSTINSTALL}: {text}",
                file=request.stack,
                hint="a stack that can't be installed can't be recorded",
            )
        runs = [recording.finish(INSTALL_RUN, RunKind.INSTALL)]
        context.progress.stage("Recording", total=len(commands), unit="runs")
        for command in commands:
            recording.reset()
            _run(deployment, command)
            runs.append(recording.finish(command.name, RunKind.USE))
            context.progress.advance()
        context.progress.stage("Reading what was recorded")
        trace = StackFacts(loaded).trace(runs)
        notes = tuple(note for note in (recording.note, sandbox.isolation.missing) if note)
    return Recorded(trace=trace, source=str(request.stack), notes=notes)


def _run(deployment: Deployment, command: Command) -> None:
    """Run a command. Raises RefusedError where it doesn't do what its configuration demands."""
    problems = list(launch.wrong(command, launch.observe(deployment, command)))
    if problems:
        raise RefusedError(
            f"{command.name}: {problems[0]}",
            hint="a run that fails tells half of what the product uses; try the command with the "
            "deployed stack first",
        )


def _commands(request: TraceRequest, stack: Stack) -> Sequence[Command]:
    """Return what is run. Raises ConfigError where there is nothing, or a layer isn't there."""
    if request.command:
        commands: tuple[Command, ...] = (_given(request, stack),)
    else:
        commands = (*request.config.verify.commands, *request.config.trace.commands)
    if not commands:
        raise ConfigError(
            "there is nothing to run",
            hint="write [[verify.command]] or [[trace.command]] tables, or give a command after --:"
            " slim trace STACK -o slim.trace -- python -m my_app --selftest",
        )
    for command in commands:
        if command.name == INSTALL_RUN:
            raise ConfigError(
                f"{INSTALL_RUN} is the name of the install step", hint="give the command another"
            )
    launch.check_layers(commands, stack)
    return commands


def _given(request: TraceRequest, stack: Stack) -> Command:
    layer = request.layer
    if layer is None:
        applications = [one.name for one in stack if one.kind is LayerKind.APPLICATION]
        candidates = applications or [one.name for one in stack]
        if len(candidates) != 1:
            raise ConfigError(
                f"the command may belong to {', '.join(candidates)}",
                hint=f"--layer says which, such as --layer {candidates[0]}",
            )
        layer = candidates[0]
    return Command(
        name=request.name or " ".join(request.command)[:100],
        layer=layer,
        argv=request.command,
        timeout=request.timeout,
    )


class _Recording:
    """The recorder and the access times of one deployment below ``root``."""

    def __init__(self, root: Path, loaded: LoadedStack, context: RunContext) -> None:
        self._root, self._loaded = root, loaded
        self._logs = root / _LOGS
        self._times = False
        self.note = ""

    def prepare(self, deployment: Deployment) -> None:
        """Place the recorder into each layer, and find out whether access times are kept.

        Raises StorageError.
        """
        with self._storage():
            self._logs.mkdir()
            for folder in self._sites():
                place_recorder(folder, self._logs, self._root)
            self._times = times.keeps_times(
                self._root,
                lambda file: deployment.sandbox.run(
                    [PYTHON, "-I", "-S", "-c", f"open({str(file)!r}, 'rb').read()"],
                    timeout=_PROBE_SECONDS,
                    writable=(self._root,),
                ),
            )
        if not self._times:
            self.note = (
                "this file system keeps no access times, so what native code read isn't known: "
                "native files and data won't go; TMPDIR says where stacks are deployed"
            )
        self.reset()

    def _sites(self) -> Iterator[Path]:
        """Yield a folder of each layer in which its Python looks for ``.pth`` files."""
        for layer in self._loaded.stack:
            sites = layer.site_dirs[:1]
            if not sites and layer.stdlib_dir is not None:
                sites = (f"{layer.stdlib_dir}/site-packages",)
            yield from (self._root / layer.name / site for site in sites)

    def reset(self) -> None:
        """Begin a run. Raises StorageError."""
        if self._times:
            with self._storage():
                times.set_times(self._root)

    @contextlib.contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError.from_os_error(error, file=error.filename or self._root) from error

    def finish(self, name: str, kind: RunKind) -> RunFacts:
        """Return the facts of the run that has ended, and forget them here.

        Raises RefusedError where there can't be a trace of it, and StorageError.
        """
        with self._storage():
            accessed = frozenset(times.accessed(self._root)) if self._times else None
            logged = read_logs(self._logs)
            for file in self._logs.glob("*.log"):
                file.unlink()
        _check(name, kind, logged)
        return RunFacts(
            name=name,
            kind=kind,
            logged=logged,
            accessed=accessed,
            platform=platform_key(self._loaded.stack.platform),
        )


def place_recorder(
    folder: Path, logs: Path | None = None, root: Path | None = None
) -> tuple[Path, ...]:
    """Write the recorder and the file that starts it into a folder of installed packages.

    Without ``logs`` and ``root`` it waits for ``SLIM_TRACE``. Returns both files. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module, start = folder / f"{recorder.NAME}.py", folder / PTH
    shutil.copyfile(recorder.__file__, module)
    given = "" if logs is None else f"{str(logs)!a}, {str(root)!a}"
    text = f"import {recorder.NAME}; {recorder.NAME}.start({given})\n"
    start.write_text(text, encoding="ascii")
    return module, start


def _check(name: str, kind: RunKind, logged: Logged) -> None:
    """Raise RefusedError for a run of which something wasn't recorded."""
    if logged.lost:
        raise RefusedError(
            f"{name}: {logged.lost} lines of the recorder couldn't be written",
            hint="free space where stacks are deployed; TMPDIR says where",
        )
    if not logged.processes and kind is RunKind.USE:
        raise RefusedError(
            f"{name}: nothing was recorded",
            hint="no Python of the stack read its .pth files: is it started with -S, or is the "
            "program none of Python?",
        )
