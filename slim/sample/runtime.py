"""Runtime layer, from the files of the running interpreter.

It has the parts of an installation of CPython: the executable, libpython where it is
shared, the standard library with its tests, headers, pkg-config files and the manual page. What
others installed into it stays out.
"""

from __future__ import annotations

import io
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from slim.binaries.elf.dynamic import ElfDynamic, read_dynamic
from slim.errors import StorageError
from slim.sample.contents import LayerContents
from slim.sample.layout import DYNLIB, WINDOWS, Interpreter

FOREIGN = frozenset(
    {
        "__pycache__",
        "site-packages",
        "dist-packages",
        # in the standard library, these two would win over the ones that postinstall.py writes for
        # a layer
        "sitecustomize.py",
        "usercustomize.py",
        "EXTERNALLY-MANAGED",
    }
)
"""Names in a standard library's folder that aren't part of CPython."""


def is_foreign(name: str) -> bool:
    """Return whether a file or folder of this name stays out of the runtime layer.

    So does a static libpython: the builds that venvstacks uses have none, and 40 MB that anybody
    would delete would make a poor sample.
    """
    return name in FOREIGN or (name.startswith("libpython") and name.endswith(".a"))


_ORIGIN_LIB = b"$ORIGIN/../lib"


def runtime_contents(interpreter: Interpreter) -> LayerContents:
    """Return the files of a runtime layer.

    Raises StorageError where the installation can't be read.
    """
    contents = LayerContents()
    layout = interpreter.layout
    if not (interpreter.stdlib / "os.py").is_file():
        raise StorageError(
            "not a folder with the standard library",
            file=interpreter.stdlib,
            hint="run slim with a Python whose standard library isn't zipped",
        )
    contents.add_tree(layout.stdlib, interpreter.stdlib, skip=is_foreign)
    if WINDOWS:
        _add_windows_files(contents, interpreter)
    else:
        _add_posix_files(contents, interpreter)
    return contents


def _add_windows_files(contents: LayerContents, interpreter: Interpreter) -> None:
    """Add the executables and DLLs beside each other, as python.org lays them out."""
    for pattern in ("python*.exe", "python*.dll", "vcruntime*.dll"):
        for file in sorted(interpreter.prefix.glob(pattern)):
            contents.add_file(file.name, file)
    for name in ("DLLs", "include", "libs"):
        if (interpreter.prefix / name).is_dir():
            contents.add_tree(name, interpreter.prefix / name, skip=is_foreign)
    contents.add_folder(interpreter.layout.site)


def _add_posix_files(contents: LayerContents, interpreter: Interpreter) -> None:
    short, executable = interpreter.short, interpreter.executable
    name = f"python{short}"
    dynload = Path(sys.base_exec_prefix, sys.platlibdir, name, "lib-dynload")
    if dynload.is_dir() and not (interpreter.stdlib / "lib-dynload").is_dir():
        contents.add_tree(f"{interpreter.layout.stdlib}/lib-dynload", dynload, skip=is_foreign)
    _add_executable(contents, interpreter)
    contents.add_link("bin/python", name)
    contents.add_link("bin/python3", name)
    contents.add_folder(interpreter.layout.site)
    config = executable.with_name(f"{name}-config")
    if config.is_file():
        contents.add_file(f"bin/{name}-config", config)
    headers = Path(sysconfig.get_path("include"))
    if headers.is_dir():
        contents.add_tree(f"include/{headers.name}", headers)
    for target, folder, pattern in (
        ("lib/pkgconfig", sysconfig.get_config_var("LIBPC"), f"python-{short}*.pc"),
        ("share/man/man1", interpreter.prefix / "share/man/man1", f"python{short}.1*"),
    ):
        for file in sorted(Path(folder).glob(pattern)) if folder else ():
            contents.add_file(f"{target}/{file.name}", file)


def _add_executable(contents: LayerContents, interpreter: Interpreter) -> None:
    """Add ``bin/python3.X``, and in ``lib`` the libpython that it needs, if any."""
    path = f"bin/python{interpreter.short}"
    contents.add_file(path, interpreter.executable)
    if sys.platform == "darwin":
        _add_mac_library(contents)
        return
    try:
        data = interpreter.executable.read_bytes()
    except OSError as error:
        raise StorageError.from_os_error(error, file=interpreter.executable) from error
    dynamic = read_dynamic(data)
    if dynamic is None:
        return
    for soname in (name for name in dynamic.needed if name.startswith("libpython")):
        library = _find_library(soname, dynamic, interpreter)
        if library is None:
            continue  # the system's loader knows a place that Python doesn't tell
        contents.add_file(f"lib/{soname}", library)
        relocated = relocated_executable(data, dynamic)
        if relocated is not None:
            contents.add_bytes(path, relocated, executable=True)
        elif not any("$ORIGIN" in entry for entry in (*dynamic.rpath, *dynamic.runpath)):
            # No room for a search path: at least the layers above find it, through their wrapper.
            contents.add_link(f"{DYNLIB}/{soname}", f"../../../lib/{soname}")


def _add_mac_library(contents: LayerContents) -> None:
    """Add a shared libpython.

    The one of a framework build is found by its absolute path only, and isn't added.
    """
    name, folder = sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LIBDIR")
    shared = sysconfig.get_config_var("Py_ENABLE_SHARED") and not sysconfig.get_config_var(
        "PYTHONFRAMEWORK"
    )
    if shared and name and folder and Path(folder, name).is_file():
        contents.add_file(f"lib/{name}", Path(folder, name))


def _find_library(soname: str, dynamic: ElfDynamic, interpreter: Interpreter) -> Path | None:
    def folders() -> Iterator[str]:
        origin = str(interpreter.executable.parent)
        for entry in (*dynamic.runpath, *dynamic.rpath):
            yield entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
        yield str(interpreter.prefix / "lib")
        yield str(sysconfig.get_config_var("LIBDIR") or "")

    return next(
        (file for folder in folders() if folder and (file := Path(folder, soname)).is_file()), None
    )


def relocated_executable(data: bytes, dynamic: ElfDynamic) -> bytes | None:
    """Return an executable with ``$ORIGIN/../lib`` for an absolute library search path, or None.

    None where its search path is relative already, where it has none, or where the new one is
    longer than the old one. Nothing but those bytes of the string table changes, which is what
    chrpath(1) does.
    """
    entries = dynamic.runpath or dynamic.rpath
    old = os.fsencode(":".join(entries))
    if b"$" in old or len(old) < len(_ORIGIN_LIB):
        return None
    elf = ELFFile(io.BytesIO(data))
    for segment in elf.iter_segments("PT_DYNAMIC"):
        if not isinstance(segment, DynamicSegment):
            continue
        _, table = segment.get_table_offset("DT_STRTAB")
        for tag in segment.iter_tags():
            at = (table or 0) + tag.entry.d_val
            if (
                tag.entry.d_tag not in ("DT_RPATH", "DT_RUNPATH")
                or data[at : at + len(old) + 1] != old + b"\0"
            ):
                continue
            patched = data[:at] + _ORIGIN_LIB.ljust(len(old), b"\0") + data[at + len(old) :]
            changed = read_dynamic(patched)
            # A linker may let another string share the end of this one; then it has to stay.
            return patched if changed is not None and changed.needed == dynamic.needed else None
    return None
