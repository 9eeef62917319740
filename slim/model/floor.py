"""The oldest systems that native files run on, by what the files themselves say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from slim.model.record import FileRecord
from slim.model.stack import System


class Runtime(StrEnum):
    """Something of the system that a native file wants in some version or a later one."""

    GLIBC = "glibc"
    MUSL = "musl"
    LIBSTDCXX = "libstdc++"
    MACOS = "macos"
    WINDOWS = "windows"

    @property
    def system(self) -> System:
        """The operating system that it is part of."""
        return _SYSTEMS.get(self, System.LINUX)


_SYSTEMS = {Runtime.MACOS: System.MACOS, Runtime.WINDOWS: System.WINDOWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFloor:
    """The oldest version of a runtime with which one native file says that it works.

    ``machine`` is normalised as in :class:`slim.model.stack.Platform`. ``version`` are its numbers,
    the most significant first; none for musl, which files don't ask for by version. ``needs`` says
    what in the file asks for it (``GLIBC_2.34``, ``LC_BUILD_VERSION``), ``symbols`` are the first
    few that are bound to that version of glibc. ``library`` is the name of the system's library
    that has to bring it; empty where it is the system itself.
    """

    runtime: Runtime
    """The runtime."""
    machine: str
    version: tuple[int, ...]
    needs: str
    symbols: tuple[str, ...] = ()
    library: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorAsked:
    """A native file that asks for the newest version of all in its stack.

    ``needs`` and ``symbols`` are those of its :class:`PlatformFloor`.
    """

    record: FileRecord
    """The file."""
    needs: str
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFloor:
    """The oldest version of a runtime with which all native files of a stack say that they work.

    ``asked_by`` are the files that ask for just this version, ``files`` the number of those that
    ask for any.
    """

    runtime: Runtime
    """The runtime."""
    machine: str
    """Normalised machine."""
    version: tuple[int, ...]
    """The numbers of the version, the most significant first."""
    asked_by: tuple[FloorAsked, ...]
    files: int
