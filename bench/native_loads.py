"""Whether the dynamic linker still takes every edited ELF file: all of them, before and after.

    python bench/native_loads.py WHEELS        # what bench/native.py fetch has downloaded

Lays out the wheels for Linux twice, edits each ELF file of one copy, and opens every one in a
process of its own. Run it with the Python that the wheels are for (3.13): their extension modules
need its symbols.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import tempfile
from pathlib import Path

from native import SETS, SITE, _starts, install

from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.verification.native.elf import check


def edit_all(folder: Path) -> tuple[int, int, int]:
    """Edit every ELF file in place.

    Return how many there are, the bytes saved, and how many the verifier refuses.
    """
    files = saved = refused = 0
    for path in elf_files(folder):
        data = path.read_bytes()
        planned = plan_edit(data, "unneeded")
        files += 1
        if isinstance(planned, ElfEdit):
            made = planned.data()
            refused += bool(check(data, made))
            saved += len(data) - len(made)
            path.write_bytes(made)
    return files, saved, refused


def elf_files(folder: Path) -> list[Path]:
    """The ELF files in a folder, links aside."""
    plain = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path for path in plain if _starts(path, b"\x7fELF")]


def opened(folder: Path) -> dict[str, str]:
    """What the dynamic linker says of each file: nothing if it takes it."""
    found = {}
    for path in elf_files(folder):
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                ctypes.CDLL(str(path), os.RTLD_NOW)
            except OSError as error:
                os.write(into, str(error).replace(str(folder), "").encode()[:4000])
            os._exit(0)
        os.close(into)
        with os.fdopen(out, "rb") as read:
            said = read.read().decode("utf-8", "replace")
        status = os.waitpid(child, 0)[1]
        found[str(path.relative_to(folder))] = said or (f"ended with {status}" if status else "")
    return found


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path)
    wheels = parser.parse_args().wheels
    one = next(one for one in SETS if one.name == "linux")
    with tempfile.TemporaryDirectory(prefix="native-") as scratch:
        before, after = Path(scratch) / "before", Path(scratch) / "after"
        install(one, wheels, before)
        shutil.copytree(before, after, symlinks=True)
        files, saved, refused = edit_all(after)
        print(f"{files} ELF files, {saved / 1e6:.1f} MB saved, {refused} refused by the verifier")
        old, new = (opened(folder / "framework-native" / SITE) for folder in (before, after))
        fine, changed = (
            sum(not text for text in old.values()),
            sum(old[path] != new[path] for path in old),
        )
        print(f"{fine} can be opened before; {changed} differ after")
        for path in old:
            if old[path] != new[path]:
                print(f"- {path}: {new[path] or 'opens'}; before: {old[path] or 'opens'}")


if __name__ == "__main__":
    main()
