"""The loader of Windows, as Wine has it: which libraries come into a process with one.

Wine finds imports, delayed ones excepted, by the same rules and in the same order as Windows. Its
own libraries of the system and of Microsoft's C and C++ run times stand for those that Windows has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import lief

from tests.support.platform_wheels import Zig

SOURCE = Path(__file__).resolve().parents[2] / "fixtures/windows/load.c"
TARGET = "x86_64-windows-gnu"
BARE = ("-nostdlib", "-O1", "-fno-sanitize=undefined", "-fno-builtin", "-fno-stack-protector")
MINUTE = 60
ATTEMPTS = 4


def find_wine() -> str | None:
    """Wine's 64-bit program; Debian's package wine64 has it off the path."""
    found = [shutil.which("wine64"), shutil.which("wine64-stable"), "/usr/lib/wine/wine64"]
    return next((path for path in found if path and Path(path).is_file()), None)


@dataclass(frozen=True)
class Loaded:
    """The loader's answer for one library: files that came with it, or the number of its error."""

    files: frozenset[Path] = frozenset()
    error: int = 0


class Wine:
    """Wine with a folder of its own in the place of drive C, without a display."""

    def __init__(self, folder: Path) -> None:
        program = find_wine()
        assert program is not None
        self._program = program
        hidden = {"mscoree": "", "mshtml": "", "winemenubuilder.exe": ""}
        self._environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name not in ("DISPLAY", "WAYLAND_DISPLAY")
            },
            "WINEPREFIX": str(folder),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": ";".join(f"{name}={how}" for name, how in hidden.items()),
        }
        self.run("wineboot", "--init")

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            [self._program, *map(str, command)],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * MINUTE,
            check=False,
        )

    def stop(self) -> None:
        """End what runs in the background."""
        self.run("wineboot", "--kill")

    def load(self, program: Path, library: Path, folders: Iterable[Path] = ()) -> Loaded:
        """Load a library into a process of ``program``, with folders added to the search.

        ``program`` is built from :data:`SOURCE`. A process that ends without an answer says
        nothing about the library: Wine's own now and then die while they start, about one in a
        thousand with two at a time. It is asked again; one that never answers is a failure.
        """
        names = {"LOAD_FILE": _windows(library), "LOAD_FOLDERS": "|".join(map(_windows, folders))}
        for _ in range(ATTEMPTS):
            done = self.run(program, **names)
            if not done.returncode:
                return Loaded(files=frozenset(map(_unix, done.stdout.splitlines())))
            number = done.stdout.removeprefix("error ").strip()
            if number.isdigit():
                return Loaded(error=int(number))
        raise AssertionError(f"{library}: no answer from {program}: {done}")


def _windows(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


def _unix(path: str) -> Path:
    return Path(path.removeprefix("Z:").replace("\\", "/"))


def runtime(zig: Zig, folder: Path, libraries: Iterable[Path]) -> dict[str, bytes]:
    """A stand-in for Python's own files.

    A program that only loads, and libraries with every name that some import.

    Nothing is ever called by those names: only what a library does when it is loaded is done.
    """
    folder.mkdir(parents=True)
    program = folder / "python.exe"
    zig.build(TARGET, program, *BARE, "-lkernel32", "-Wl,--entry=start", SOURCE)
    found = {"python.exe": program.read_bytes()}
    wanted: dict[str, set[str]] = {"python3.dll": set(), "python313.dll": set()}
    for library in libraries:
        parsed = lief.PE.parse(str(library))
        assert parsed is not None, library
        for one in parsed.imports:
            if str(one.name).lower() in wanted:
                wanted[str(one.name).lower()] |= {str(entry.name) for entry in one.entries}
    for name, symbols in wanted.items():
        source, built = folder / f"{name}.c", folder / name
        lines = [
            f"__declspec(dllexport) char {symbol}[64];\n"
            for symbol in sorted(symbols) or ["nothing"]
        ]
        source.write_text("".join(lines) + "int start(void) { return 1; }\n", "utf-8")
        zig.build(TARGET, built, "-shared", *BARE, "-Wl,--entry=start", source)
        found[name] = built.read_bytes()
    return found
