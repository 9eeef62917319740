"""Paths in a layer, and the Python that is running.

Source: the layouts that venvstacks writes for POSIX systems and for Windows; sysconfig's
installation schemes.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from slim.errors import ConfigError

WINDOWS = os.name == "nt"
METADATA = "share/venv/metadata/venvstacks_layer.json"
POSTINSTALL = "postinstall.py"
DYNLIB = "share/venv/dynlib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Paths relative to a layer's folder, for one version of Python (``short``: ``3.13``)."""

    short: str

    @property
    def python(self) -> str:
        """The command that runs a layer above the runtime."""
        return "Scripts/python.exe" if WINDOWS else "bin/python"

    @property
    def runtime_python(self) -> str:
        """The command that runs the runtime layer."""
        return "python.exe" if WINDOWS else "bin/python"

    @property
    def stdlib(self) -> str:
        """The standard library."""
        return "Lib" if WINDOWS else f"{sys.platlibdir}/python{self.short}"

    @property
    def site(self) -> str:
        """Folder that pip would install into."""
        return "Lib/site-packages" if WINDOWS else f"lib/python{self.short}/site-packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython that is installed on this machine.

    ``executable`` is the real one, whatever venv it was started from; ``version`` is ``3.13.0``.
    """

    executable: Path
    prefix: Path
    version: str

    @classmethod
    def running(cls) -> Interpreter:
        """Return the interpreter that runs this code.

        Raises ConfigError where it isn't a CPython with files on disk.
        """
        # The attribute is CPython's own note of what a venv was made from (site.py, getpath.py).
        base = getattr(sys, "_base_executable", None) or sys.executable
        if sys.implementation.name != "cpython" or not base or not Path(base).is_file():
            raise ConfigError(
                "the sample stack is made from the files of the Python that runs slim, and they "
                "aren't to be found",
                file=base or sys.implementation.name,
                hint="run slim with a CPython from python.org, your distribution, pyenv or uv",
            )
        return cls(
            executable=Path(base).resolve(),
            prefix=Path(sys.base_prefix),
            version=platform.python_version(),
        )

    @property
    def short(self) -> str:
        """Version without its last part: ``3.13``."""
        return ".".join(self.version.split(".")[:2])

    @property
    def layout(self) -> Layout:
        """Paths of a layer for this version."""
        return Layout(short=self.short)

    @property
    def stdlib(self) -> Path:
        """The standard library's folder."""
        return Path(sysconfig.get_path("stdlib"))

    @property
    def platform_tag(self) -> str:
        """The ``target_platform`` of venvstacks: ``linux_x86_64``, ``macosx_arm64``, ..."""
        system, _, rest = sysconfig.get_platform().partition("-")
        if system == "macosx":
            return f"macosx_{platform.machine()}"
        return f"{system}_{rest}".replace("-", "_")
