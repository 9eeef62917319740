"""Things that are tried on a deployed stack, and the results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slim.model.record import FileKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to a server that a command started.

    ``status`` and ``body`` (a regular expression) are what must come back; with ``same`` the body
    must also be what the original answers.
    """

    url: str
    """Address on the loopback."""
    status: int = 200
    body: str | None = None
    same: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Sign that a server is ready.

    It listens on ``port`` of the loopback, or printed a line in which ``line`` (a regular
    expression) is found.
    """

    port: int | None = None
    line: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A ``[[verify.command]]``: it worked in the original and has to work in the slimmed stack.

    ``argv[0]`` is looked up in the layer: ``python`` and other names in its folder of commands,
    anything with a slash relative to the layer. ``output`` are regular expressions that its
    standard output must contain, ``files`` are relative to its current folder and must be written
    with the same content. ``ignore`` are regular expressions whose matches don't count when
    outputs, files and bodies are compared. ``timeout`` in seconds. With ``ready`` it is a server,
    which is asked ``requests`` and shut down.
    """

    name: str
    """Name in reports."""
    layer: str
    """Layer that it belongs to."""
    argv: tuple[str, ...]
    """The command line."""
    exit_code: int = 0
    """Exit code that it must have."""
    same_output: bool = False
    """True if its standard output must be what the original printed."""
    output: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it is given, by name."""
    timeout: int = 60
    ready: Ready | None = None
    requests: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """The ``[verify]`` table.

    ``timeout`` is how many seconds a module may take to import; ``without`` are globs over module
    names that may stop working (``package.extras.*``). ``memory`` is how many bytes a program may
    take with all that it starts; None: what the machine has left says. ``devices`` are files of
    /dev that programs may use.
    """

    commands: tuple[Command, ...] = ()
    """The commands to try."""
    timeout: int = 30
    without: tuple[str, ...] = ()
    memory: int | None = None
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Subject:
    """One thing that a check tries: a module, a native file, a command.

    ``layer`` is empty where it concerns none.
    """

    check: str
    """Name of the check."""
    layer: str
    name: str
    """Name of the module, file or command."""

    def __str__(self) -> str:
        return f"{self.layer}: {self.name}" if self.layer else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Something that worked in the original and doesn't any more.

    ``before`` and ``after`` are what was seen. ``reproducible`` is False where even the original
    doesn't do the same twice: no search can find a culprit then.
    """

    subject: Subject
    """The thing."""
    before: str
    after: str
    reproducible: bool = True

    def __str__(self) -> str:
        return f"{self.subject}: {self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Removals and rewrites that had to be taken back.

    They are the smallest set that makes ``broken`` work again. ``tries`` is how many sets were
    tried.
    """

    broken: tuple[Broken, ...]
    files: tuple[FileKey, ...]
    """The files of these actions."""
    rules: tuple[str, ...]
    """Ids of their rules, sorted."""
    tries: int
