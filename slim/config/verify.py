"""The ``[verify]`` and ``[trace]`` tables of a configuration, and ``slim.keep.toml``.

The last lists what verification found must stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from slim.config import KEEP_NAME
from slim.config.kinds import glob_problem, read_size
from slim.errors import ConfigError
from slim.model.trace import TraceSettings
from slim.model.verify import Command, Ready, Request, VerifySettings
from slim.system.toml_table import Problems, Table, parse_toml, read_text, show

KEEP_SCHEMA: Final = 1
MAX_SECONDS: Final = 24 * 3600
MIN_MEMORY: Final = 64 << 20
_KEYS: Final = ("timeout", "without", "memory", "devices", "command")
_COMMAND_KEYS: Final = (
    "name",
    "layer",
    "argv",
    "exit_code",
    "same_output",
    "output",
    "files",
    "ignore",
    "environment",
    "timeout",
    "ready",
    "request",
)
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def read_verify(table: Table) -> VerifySettings:
    """Read the ``[verify]`` table; every mistake is noted."""
    inner = table.table("verify")
    if inner is None:
        return VerifySettings()
    inner.allow(_KEYS)
    return VerifySettings(
        commands=_commands(inner, "command", ()),
        timeout=inner.number("timeout", minimum=1, maximum=MAX_SECONDS) or VerifySettings().timeout,
        without=inner.texts("without"),
        memory=_memory(inner),
        devices=inner.texts("devices", check=_device_problem),
    )


def read_trace(table: Table, others: Sequence[Command]) -> TraceSettings:
    """Read the ``[trace]`` table; ``others`` are the commands of ``[verify]``."""
    inner = table.table("trace")
    if inner is None:
        return TraceSettings()
    inner.allow(("command", "runs", "unexercised"))
    return TraceSettings(
        commands=_commands(inner, "trace command", others),
        runs=inner.texts("runs"),
        unexercised=inner.texts("unexercised"),
    )


def _commands(table: Table, called: str, others: Sequence[Command]) -> tuple[Command, ...]:
    """Read the ``command`` tables; one without a name is ``called`` so, with its number."""
    commands: list[Command] = []
    names = {other.name for other in others}
    for number, written in enumerate(table.tables("command"), 1):
        command = _command(written, f"{called} {number}")
        if command is None:
            continue
        if command.name in names:
            written.note(
                "name",
                f"{command.name[:80]!r} is the name of an earlier command",
                "give it another one",
            )
        names.add(command.name)
        commands.append(command)
    return tuple(commands)


def _memory(table: Table) -> int | None:
    size = read_size(table, "memory")
    if size is not None and size < MIN_MEMORY:
        table.note("memory", "must be at least 64 MiB", "an interpreter has to start")
        return None
    return size


def _command(table: Table, name: str) -> Command | None:
    table.allow(_COMMAND_KEYS)
    layer = table.text("layer", required=True)
    argv = _argv(table)
    exit_code = table.number("exit_code", maximum=255)
    ready, requests = _ready(table), tuple(_requests(table))
    if requests and ready is None:
        table.note(
            "request",
            "only a server is asked: say with 'ready' when it is one",
            "ready = { port = 8000 }",
        )
    if layer is None or argv is None:
        return None
    return Command(
        name=table.text("name") or name,
        layer=layer,
        argv=argv,
        exit_code=0 if exit_code is None else exit_code,
        same_output=table.flag("same_output") or False,
        output=table.texts("output", check=_regex_problem),
        files=table.texts("files", check=_file_problem),
        ignore=table.texts("ignore", check=_regex_problem),
        environment=_environment(table),
        timeout=table.number("timeout", minimum=1, maximum=MAX_SECONDS) or 60,
        ready=ready,
        requests=requests,
    )


def _argv(table: Table) -> tuple[str, ...] | None:
    """Read a command line: an array in which words may repeat."""
    value = table.values.get("argv")
    if value is None:
        table.note("argv", "is missing", 'argv = ["python", "-m", "my_app", "--selftest"]')
        return None
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        table.note("argv", f"expected an array of strings, not {show(value)}")
        return None
    if value[0].startswith("/") or ".." in value[0].split("/") or not value[0]:
        table.note("argv[0]", "must be 'python', a command of the layer, or a path in the layer")
        return None
    return tuple(value)


def _ready(table: Table) -> Ready | None:
    inner = table.table("ready")
    if inner is None:
        return None
    inner.allow(("port", "line"))
    port, line = inner.number("port", minimum=1, maximum=65535), inner.text("line")
    if line is not None and (wrong := _regex_problem(line)):
        inner.note("line", wrong)
    if (port is None) == (line is None):
        table.note(
            "ready",
            "expected either a port or a line",
            'ready = { port = 8000 } or { line = "listening" }',
        )
        return None
    return Ready(port=port, line=line)


def _requests(table: Table) -> list[Request]:
    value = table.values.get("request")
    if isinstance(value, dict):
        tables = [Table(value, table.at("request"), table.problems)]
    else:
        tables = table.tables("request")
    found = []
    for inner in tables:
        inner.allow(("url", "status", "body", "same"))
        url, status, body = (
            inner.text("url", required=True),
            inner.number("status", maximum=999),
            inner.text("body"),
        )
        if url is not None and (wrong := _url_problem(url)):
            inner.note("url", wrong, "the server runs without a network, on the loopback alone")
        if body is not None and (wrong := _regex_problem(body)):
            inner.note("body", wrong)
        if url is not None:
            status = 200 if status is None else status
            found.append(
                Request(url=url, status=status, body=body, same=inner.flag("same") or False)
            )
    return found


def _environment(table: Table) -> dict[str, str]:
    inner = table.table("environment")
    found: dict[str, str] = {}
    for name, value in () if inner is None else inner.values.items():
        if not isinstance(value, str) or "\0" in value or not name or "=" in name or "\0" in name:
            table.note(f"environment.{name[:80]}", f"expected a string, not {show(value)}")
        else:
            found[name] = value
    return found


def _regex_problem(text: str) -> str | None:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        return f"not a regular expression: {error}"
    return None


def _file_problem(text: str) -> str | None:
    if text.startswith(("/", "~")) or ".." in text.split("/"):
        return "must be relative to the command's current folder"
    return None


def _device_problem(text: str) -> str | None:
    if not text.startswith("/dev/") or ".." in text.split("/") or text.rstrip("/") == "/dev":
        return "expected a file or folder of /dev, such as /dev/nvidia0"
    return None


def _url_problem(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("http", "https"):
        return "expected an http or https address"
    return (
        None
        if host in _LOOPBACK
        else "expected an address of the loopback, such as http://127.0.0.1:8000/"
    )


def find_keep_file(config: Path | None) -> Path | None:
    """Return the ``slim.keep.toml`` beside a configuration, or None.

    Without a configuration it is that of the current folder. Raises nothing; the file may still be
    unreadable.
    """
    file = (config.parent if config is not None else Path.cwd()) / KEEP_NAME
    return file if file.is_file() else None


def read_keep_file(file: Path) -> Mapping[str, tuple[str, ...]]:
    """Read the globs of files to keep, by layer.

    Raises ConfigError with everything wrong in the file, StorageError where it can't be read.
    """
    problems = Problems(str(file))
    values = parse_toml(read_text(file), problems)
    found: dict[str, tuple[str, ...]] = {}
    if values is not None:
        table = Table(values, "", problems)
        table.allow(("schema", "layer"))
        table.schema(KEEP_SCHEMA)
        layers = table.table("layer")
        for name in () if layers is None else layers.values:
            inner = layers.table(name) if layers is not None else None
            if inner is not None:
                inner.allow(("keep",))
                found[name] = inner.texts("keep", check=glob_problem)
    if problems.found:
        raise ConfigError.from_problems(problems.found)
    return found
