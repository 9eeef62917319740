"""Check ``launch``: the configuration's commands do what they did in the original."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from slim.errors import ConfigError
from slim.model.stack import LayerKind, Stack
from slim.model.verify import Command, Subject
from slim.verification.dynamic.deploy import Deployment
from slim.verification.dynamic.sandbox import PYTHON, WORKERS

NAME: Final = "launch"
_STOP_SECONDS: Final = 30.0
"""Beyond a command's own timeout: to shut a server down and to collect what it wrote."""
_TERM: Final = (-15, 143)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """Outcome of a command.

    ``code`` is None where it had to be killed; ``files`` hold contents, None where there is no such
    file; ``answers`` are (status, body, error) for each request; ``ended`` tells how a server came
    to its end; ``left`` counts processes that were left behind; ``stopped`` is what it took too
    much of.
    """

    code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    ready: bool | None = None
    ended: str = ""
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    answers: tuple[tuple[int, bytes, str], ...] = ()
    left: int = 0
    stopped: str = ""


def check_layers(commands: Sequence[Command], stack: Stack) -> None:
    """Raise ConfigError for a command whose layer isn't in the stack."""
    names = {layer.name for layer in stack} | {layer.layer_name for layer in stack}
    for command in commands:
        if command.layer not in names:
            raise ConfigError(
                f"the command {command.name!r} runs in layer {command.layer!r}, "
                "which isn't in this stack",
                place="verify.command",
                hint=f"there is {', '.join(layer.name for layer in stack)}",
            )


def layer_of(command: Command, stack: Stack) -> str:
    """Return the install target of a command's layer, which may also be told by its layer name."""
    return next(layer.name for layer in stack if command.layer in (layer.name, layer.layer_name))


def subjects(commands: Sequence[Command], stack: Stack) -> list[Subject]:
    """List a subject for every command."""
    return [
        Subject(check=NAME, layer=layer_of(command, stack), name=command.name)
        for command in commands
    ]


def untried(commands: Sequence[Command], stack: Stack) -> Iterator[str]:
    """Tell which layers no command starts, or rests on, one sentence each."""
    started = {layer_of(command, stack) for command in commands}
    for layer in stack:
        if layer.kind is LayerKind.APPLICATION and layer.name not in started:
            yield f"{layer.name} wasn't started: no [[verify.command]] is for it"
    applications = {layer.name for layer in stack if layer.kind is LayerKind.APPLICATION}
    used = {need for name in applications for need in stack.layer(name).requires}
    for layer in stack:
        if layer.kind is LayerKind.FRAMEWORK and layer.name not in used | started:
            yield f"no application uses {layer.name}: its modules were imported, and nothing more"


def observe(deployment: Deployment, command: Command) -> Launched:
    """Run a command, or a server with its requests."""
    layer = layer_of(command, deployment.stack)
    first, *rest = command.argv
    job = {
        "argv": [str(_program(deployment, layer, first)), *rest],
        "environment": dict(command.environment),
        "timeout": command.timeout,
        "files": list(command.files),
        "ready": None
        if command.ready is None
        else {"port": command.ready.port, "line": command.ready.line},
        "requests": [{"url": request.url} for request in command.requests],
    }
    done = deployment.sandbox.run(
        [PYTHON, "-I", "-S", str(WORKERS / "launcher.py")],
        timeout=command.timeout + _STOP_SECONDS,
        writable=(deployment.root,),
        data=json.dumps(job).encode(),
    )
    try:
        value: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return Launched(code=None, stderr=done.stderr, stopped=done.stopped)
    return Launched(
        code=value["code"],
        stdout=_plain(base64.b64decode(value["stdout"]), deployment),
        stderr=_plain(base64.b64decode(value["stderr"]), deployment),
        ready=value["ready"],
        ended=value["ended"],
        files={
            name: None if data is None else _plain(base64.b64decode(data), deployment)
            for name, data in value["files"].items()
        },
        answers=tuple(
            (int(status), _plain(base64.b64decode(body), deployment), str(error))
            for status, body, error in value["answers"]
        ),
        left=int(value["left"]),
    )


def _program(deployment: Deployment, layer: str, name: str) -> Path:
    if name == "python":
        return deployment.python(layer)
    if "/" in name:
        return deployment.root / layer / name
    folder = deployment.python(layer).parent
    return folder / name


def _plain(data: bytes, deployment: Deployment) -> bytes:
    """Return output without the places that differ from one deployment to the other."""
    data = data.replace(str(deployment.root).encode(), b"STACK")
    return re.sub(re.escape(str(deployment.sandbox.work).encode()) + rb"/run-\d+", b"WORK", data)


def wrong(command: Command, seen: Launched) -> Iterator[str]:
    """Tell what a command didn't do that its configuration demands."""
    if seen.stopped:
        yield f"it was stopped: {seen.stopped}"
        return
    if command.ready is not None:
        yield from _wrong_server(command, seen)
    elif seen.code is None:
        yield f"didn't end within {command.timeout} seconds"
    elif seen.code != command.exit_code:
        errors = seen.stderr.decode("utf-8", "replace").strip().splitlines()
        ended = f"exit code {seen.code}" if seen.code >= 0 else f"signal {-seen.code}"
        wanted = f" instead of {command.exit_code}" if seen.code >= 0 else ""
        yield f"{ended}{wanted}: {errors[-1] if errors else 'no error output'}"
    text = seen.stdout.decode("utf-8", "replace")
    for pattern in command.output:
        if not re.search(pattern, text, re.MULTILINE):
            yield f"its output has nothing that matches {pattern!r}"
    for name in command.files:
        if seen.files.get(name) is None:
            yield f"it didn't write {name}"


def _wrong_server(command: Command, seen: Launched) -> Iterator[str]:
    if not seen.ready:
        errors = seen.stderr.decode("utf-8", "replace").strip().splitlines()
        ended = (
            f"ended with {seen.code}"
            if seen.ended == "by itself"
            else f"wasn't ready in {command.timeout} seconds"
        )
        yield f"the server {ended}: {errors[-1] if errors else 'no error output'}"
        return
    for request, (status, body, error) in zip(command.requests, seen.answers, strict=False):
        if error:
            yield f"{request.url}: {error}"
        elif status != request.status:
            yield f"{request.url}: status {status} instead of {request.status}"
        elif request.body is not None and not re.search(
            request.body, body.decode("utf-8", "replace"), re.MULTILINE
        ):
            yield f"{request.url}: the answer has nothing that matches {request.body!r}"
    if seen.ended == "by itself":
        yield f"the server ended by itself with {seen.code}"
    elif seen.code is None:
        yield f"the server was {seen.ended}"
    elif seen.code not in (command.exit_code, *_TERM):
        yield f"the server ended with {seen.code} when asked to stop"


def different(command: Command, before: Launched, after: Launched) -> Iterator[str]:
    """Tell where two runs of a command differ though they must not."""
    if command.same_output and (text := _difference(command, before.stdout, after.stdout)):
        yield f"it prints something else: {text}"
    for name in command.files:
        one, other = before.files.get(name), after.files.get(name)
        if one is not None and other is not None and (text := _difference(command, one, other)):
            yield f"{name} has other content: {text}"
    for request, one_answer, other_answer in zip(
        command.requests, before.answers, after.answers, strict=False
    ):
        if request.same and (text := _difference(command, one_answer[1], other_answer[1])):
            yield f"{request.url}: another answer: {text}"


def _difference(command: Command, before: bytes, after: bytes) -> str:
    """Tell of the first line that differs; empty where none does."""
    one, other = (_ignoring(command, data) for data in (before, after))
    if one == other:
        return ""
    lines, others = one.splitlines(), other.splitlines()
    for index in range(max(len(lines), len(others))):
        old = lines[index] if index < len(lines) else "(nothing)"
        new = others[index] if index < len(others) else "(nothing)"
        if old != new:
            return f"line {index + 1} was {old[:200]!r}, now {new[:200]!r}"
    return "line endings differ"


def _ignoring(command: Command, data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    for pattern in command.ignore:
        text = re.sub(pattern, "", text, flags=re.MULTILINE)
    return text
