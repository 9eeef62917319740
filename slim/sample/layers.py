"""Layers of the sample, and the files that venvstacks puts around their packages."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import PurePosixPath

from slim.model.stack import LayerKind
from slim.sample.contents import LayerContents
from slim.sample.layout import DYNLIB, METADATA, POSTINSTALL, WINDOWS, Interpreter

_GITIGNORE = b"# A deployed layer is never committed\n*\n"


@dataclass(frozen=True, kw_only=True)
class SampleLayer:
    """A layer to publish.

    ``requires`` are install targets, nearest first, without the runtime; ``pins`` say which
    distributions are in it (``name==version``), ``modules`` are further modules for site-packages,
    by file name.
    """

    name: str
    kind: LayerKind
    contents: LayerContents
    requires: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    launch_module: str | None = None
    modules: Mapping[str, bytes] = field(default_factory=dict)


def template(name: str) -> bytes:
    """Return one of the files in ``templates``."""
    return resources.files("slim.sample").joinpath("templates", name).read_bytes()


def furnish(layer: SampleLayer, runtime: str, interpreter: Interpreter) -> None:
    """Add the files that venvstacks adds to a layer.

    These are metadata, ``postinstall.py``, and for layers above the runtime a command that starts
    them.
    """
    layout, contents = interpreter.layout, layer.contents
    for name, data in layer.modules.items():
        contents.add_bytes(f"{layout.site}/{name}", data)
    is_runtime = layer.kind is LayerKind.RUNTIME
    below = [] if is_runtime else [*layer.requires, runtime]
    if not is_runtime:
        contents.add_folder(layout.site)
        contents.add_bytes(".gitignore", _GITIGNORE)
        if not WINDOWS:
            _link_libraries(contents, layout.site)
        _add_python(contents, below, interpreter)
    contents.add_bytes(POSTINSTALL, template("postinstall.py"))
    config: dict[str, object] = {
        "base_python": layout.runtime_python
        if is_runtime
        else f"../{runtime}/{layout.runtime_python}",
        "dynlib_dirs": [f"../{name}/{DYNLIB}" for name in below],
        "py_version": interpreter.version,
        "pylib_dirs": [f"../{name}/{layout.site}" for name in below],
        "python": layout.runtime_python if is_runtime else layout.python,
        "site_dir": layout.site,
    }
    if layer.launch_module is not None:
        config["launch_module"] = layer.launch_module
    contents.add_bytes(METADATA, json.dumps(config, indent=2, sort_keys=True).encode() + b"\n")


def _link_libraries(contents: LayerContents, site: str) -> None:
    """Add a link in the layer's library folder for each library that isn't an extension module.

    As venvstacks has it: the name ends in ``.so`` or ``.dylib`` and carries no tag of an extension
    module. A name that stands for two libraries gets no link.
    """
    tags = {
        tuple(f".{part}" for part in suffix.split(".") if part)
        for suffix in EXTENSION_SUFFIXES
        if suffix != ".so"
    }
    found: dict[str, list[str]] = {}
    for path in contents.paths():
        file = PurePosixPath(path)
        if (
            file.is_relative_to(site)
            and file.suffix in (".so", ".dylib")
            and tuple(file.suffixes) not in tags
        ):
            found.setdefault(file.name, []).append(path)
    for name, paths in found.items():
        if len(paths) == 1:
            contents.add_link(f"{DYNLIB}/{name}", f"../../../{paths[0]}")


def _add_python(contents: LayerContents, below: Sequence[str], interpreter: Interpreter) -> None:
    """Add the command that starts the layer.

    On Windows it is the one that ``venv`` uses, elsewhere a script around that of the runtime.
    """
    layout, runtime = interpreter.layout, below[-1]
    if WINDOWS:
        # Which of the two names venv's redirector has depends on the version; see
        # Lib/venv/__init__.py.
        folder = interpreter.stdlib / "venv" / "scripts" / "nt"
        source = next(
            (
                file
                for name in ("venvlauncher.exe", "python.exe")
                if (file := folder / name).is_file()
            ),
            None,
        )
        contents.add_file(layout.python, source or interpreter.executable)
        return
    variable = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
    folders = " ".join(f'"$layers/{name}/{DYNLIB}"' for name in (_OWN, *below))
    script = (
        template("python.sh").decode().replace("@VARIABLE@", variable).replace("@FOLDERS@", folders)
    )
    contents.add_bytes(
        "bin/python", script.replace(f"$layers/{_OWN}", "$layer").encode(), executable=True
    )
    contents.add_link("bin/python_", f"../../{runtime}/{layout.runtime_python}")
    for name in ("python3", f"python{interpreter.short}"):
        contents.add_link(f"bin/{name}", "python")
    contents.add_folder(f"include/python{interpreter.short}")
    if sys.platform == "linux":
        contents.add_link("lib64", "lib")


_OWN = "@OWN@"
