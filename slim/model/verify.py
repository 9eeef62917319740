"""What is tried on a deployed stack, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slim.model.record import FileKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to a server that a command started: ``status`` and ``body`` (a regular expression) are what must come
    back; with ``same`` the body must also be what the original answers."""

    url: str
    status: int = 200
    body: str | None = None
    same: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """When a server is ready: it listens on ``port`` of the loopback, or printed a line in which ``line`` (a regular
    expression) is found."""

    port: int | None = None
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A ``[[verify.command]]``: something that worked in the original and has to work in the slimmed stack.

    ``argv[0]`` is looked up in the layer: ``python`` and other names in its folder of commands,
    anything with a slash relative to the layer. ``output`` are regular expressions that its
    standard output must contain, ``files`` are relative to its current folder and must be written
    with the same content. ``ignore`` are regular expressions whose matches don't count when
    outputs, files and bodies are compared. ``timeout`` in seconds. With ``ready`` it is a server,
    which is asked ``requests`` and shut down.
    """

    name: str
    layer: str
    argv: tuple[str, ...]
    exit_code: int = 0
    same_output: bool = False
    output: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 60
    ready: Ready | None = None
    requests: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """The ``[verify]`` table. ``timeout`` is how many seconds a module may take to import; ``without`` are globs over
    module names that may stop working (``package.extras.*``)."""

    commands: tuple[Command, ...] = ()
    timeout: int = 30
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Subject:
    """One thing that a check tries: a module, a native file, a command. ``layer`` is empty where it concerns none."""

    check: str
    layer: str
    name: str

    def __str__(self) -> str:
        return f"{self.layer}: {self.name}" if self.layer else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Something that worked in the original and doesn't any more. ``before`` and ``after`` tell what was seen.

    ``reproducible`` is False where even the original doesn't do the same twice: no search can find
    a culprit then.
    """

    subject: Subject
    before: str
    after: str
    reproducible: bool = True

    def __str__(self) -> str:
        return f"{self.subject}: {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Removals and rewrites that had to be taken back: the smallest set that makes ``broken`` work again.

    ``tries`` is how many sets were tried.
    """

    broken: tuple[Broken, ...]
    files: tuple[FileKey, ...]
    rules: tuple[str, ...]
    tries: int
