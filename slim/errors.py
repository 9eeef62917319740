"""Exceptions that slim raises on purpose: one family.

The exit code belongs to the class. Every error names the file that it is about, the place in the
file where that is known, and what to do next.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

_PERMISSION = "check who may read and write the file and its folder"
_SPACE = "free space there, or choose another place"
_HINT = "see whether the disk and its file system are in order, or choose another place"
_HINTS = {
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "the file system is mounted read-only; choose another place",
    errno.ENOENT: "check the spelling of the path",
    errno.ENOSPC: _SPACE,
    getattr(errno, "EDQUOT", errno.ENOSPC): _SPACE,
    errno.EFBIG: "files may not get that large here; raise the limit (ulimit -f), or choose "
    "another file system",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENAMETOOLONG: "choose a shorter path",
}
"""Hints by error of errno(3), for those that users meet."""


class SlimError(Exception):
    """Something is wrong that the user can act on.

    ``message`` says what is wrong; ``file`` and ``place`` say where (a member of an archive, a key
    path such as ``rule[3].remove[0]``, a line); ``hint`` says what to do about it.
    """

    exit_code: ClassVar[int] = 1
    label: ClassVar[str] = "error"

    def __init__(
        self, message: str, *, file: object = None, place: object = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = None if file is None else str(file)
        self.place = None if place is None else str(place)
        self.hint = hint

    @property
    def where(self) -> str:
        """File and place in one text; empty if neither is known."""
        return ": ".join(part for part in (self.file, self.place) if part)

    def __str__(self) -> str:
        where = self.where
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class RefusedError(SlimError):
    """A budget is exceeded, or verification refused the result: nothing was published."""

    exit_code = 1
    label = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a configuration or rule file."""

    file: str
    place: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = (
            f"{self.file}: {self.place}: {self.message}"
            if self.place
            else f"{self.file}: {self.message}"
        )
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(SlimError):
    """The command line, a configuration file or a rule is wrong.

    ``problems`` are all that is wrong with it, not only the first.
    """

    exit_code = 2
    label = "configuration"

    def __init__(
        self,
        message: str,
        *,
        file: object = None,
        place: object = None,
        hint: str | None = None,
        problems: Iterable[Problem] = (),
    ) -> None:
        super().__init__(message, file=file, place=place, hint=hint)
        self.problems = tuple(problems)

    @classmethod
    def from_problems(cls, problems: Iterable[Problem]) -> ConfigError:
        """Return one error for everything that is wrong."""
        found = tuple(problems)
        count = f"{len(found)} problems" if len(found) != 1 else "1 problem"
        return cls(f"{count} in the configuration", problems=found)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  {problem}" for problem in self.problems)])


class UnsafeInputError(SlimError):
    """The input is malformed, or would do harm when unpacked."""

    exit_code = 3
    label = "unsafe or malformed input"


class LimitError(SlimError):
    """The input exceeds a limit (decompression ratio, window, number of members, total size)."""

    exit_code = 4
    label = "limit"


class OutOfMemoryError(LimitError):
    """The machine, or the container, has no memory left."""

    def __init__(self, what: str = "there is not enough memory") -> None:
        super().__init__(
            what,
            hint="give slim more memory (a container's limit counts), or let it do less at a time: "
            "--memory 1GB for archives, jobs = 1 in slim.toml, one --layer after the other",
        )


class FleetError(SlimError):
    """Some stacks of a fleet failed. The others are done, and stand."""

    exit_code = 8
    label = "fleet"


class OutputError(SlimError):
    """Output can't be written: stdout, or a report's file. What the command did stands."""

    exit_code = 7
    label = "output"


class IntegrityError(SlimError):
    """The input isn't what its manifest says it is (size or hash)."""

    exit_code = 5
    label = "integrity"


class StorageError(SlimError):
    """Reading or writing failed: missing file, full disk, permission."""

    exit_code = 6
    label = "input/output"

    @classmethod
    def from_os_error(
        cls, error: OSError, *, file: object = None, hint: str | None = None
    ) -> SlimError:
        """Wrap an :class:`OSError`, keeping the system's own words.

        Without a ``hint`` the error gets one that fits its number. Where memory has run out, it is
        an :class:`OutOfMemoryError`.
        """
        if error.errno == errno.ENOMEM:
            return OutOfMemoryError()
        file = file or error.filename
        if error.errno == errno.ENOENT and file is None:  # getcwd(3) has no path to tell
            file, hint = "the working folder", hint or "it was deleted; change to one that exists"
            if (error.strerror or "").startswith("No usable temporary"):  # the module tempfile
                file, hint = "the temporary folder", "TMPDIR names one that can be written to"
        fitting = hint or _HINTS.get(error.errno or 0, _HINT)
        return cls(error.strerror or str(error), file=file, hint=fitting)
