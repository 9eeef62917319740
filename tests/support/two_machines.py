"""One product for two machines, laid out from real wheels: for this Linux, and for a Mac.

Both stacks have the same layers with the same versions. The one for Linux runs here. The Mac's
runtime has this Python's own standard library, and headers alone for what is native in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from slim.model.progress import Silent
from slim.model.stack import LayerKind
from slim.sample.contents import LayerContents
from slim.sample.layers import SampleLayer, template
from slim.sample.layout import METADATA, Interpreter
from slim.sample.publish import publish_layers
from slim.sample.runtime import is_foreign, runtime_contents
from tests.support.native_headers import macho
from tests.support.platform_wheels import download, members
from tests.support.published_stacks import Content, Files, LayerSpec, Link, merge, publish

MACOS = [f"macosx_{version}_arm64" for version in ("14_0", "13_0", "12_0", "11_0")]
MAC, MAC_KEY = "macosx_arm64", "macos_aarch64"
_ALSO = "macosx_11_0_universal2"
_SYSTEM = "/usr/lib/libSystem.B.dylib"
_UNTRIED = {
    *("test", "tests", "idlelib", "lib2to3", "ensurepip", "turtledemo", "distutils", "msilib"),
    *("tkinter", "curses", "pydoc_data", "wsgiref", "xmlrpc", "include"),
}
"""Parts of the standard library that both runtimes do without, to be small."""

Frameworks = Mapping[str, Sequence[str]]


class TwoMachines:
    """Publishes the stacks ``linux`` and ``mac`` into a folder.

    ``frameworks`` are layers with their packages, without what they require; ``modules`` are the
    application's, by their path in site-packages, and it is launched by the first one's package.
    """

    def __init__(self, folder: Path, frameworks: Frameworks, modules: Mapping[str, str]) -> None:
        self._python = Interpreter.running()
        self._site = self._python.layout.site
        self._modules = modules
        self._frameworks = tuple(frameworks)
        self.runtime = f"cpython{self._python.short}"
        self.linux, self.mac = folder / "linux", folder / "mac"
        wheels = {name: download(folder / name, [], *frameworks[name]) for name in frameworks}
        self._publish_linux(wheels)
        pins = {name: [_pin(wheel) for wheel in found] for name, found in wheels.items()}
        places = [*MACOS, _ALSO]
        self.files: dict[str, Files] = {
            name: _installed(
                download(folder / f"{name}-mac", places, *pins[name], python=self._python.short),
                self._site,
            )
            for name in pins
        }
        self._publish_mac()

    @property
    def _launched(self) -> str:
        return next(iter(self._modules)).partition("/")[0]

    def _publish_linux(self, wheels: Mapping[str, Sequence[Path]]) -> None:
        runtime = LayerContents()
        for member in runtime_contents(self._python).members():
            if member.content is not None and _is_tried(member.path):
                executable = bool(member.mode & 0o100)
                runtime.add_bytes(member.path, bytes(member.content.view()), executable=executable)
            elif member.link_target is not None:
                runtime.add_link(member.path, member.link_target)
        runtime.add_folder(self._site)
        layers = [SampleLayer(name=self.runtime, kind=LayerKind.RUNTIME, contents=runtime)]
        for name, found in wheels.items():
            contents = LayerContents()
            for path, data in _installed(found, self._site).items():
                assert isinstance(data, bytes)
                contents.add_bytes(path, data)
            layers.append(SampleLayer(name=name, kind=LayerKind.FRAMEWORK, contents=contents))
        layers.append(
            SampleLayer(
                name="app-desk",
                kind=LayerKind.APPLICATION,
                contents=LayerContents(),
                requires=self._frameworks,
                launch_module=self._launched,
                modules={path: text.encode() for path, text in self._modules.items()},
            )
        )
        publish_layers(self.linux, layers, self._python, Silent(), format_name="tar")

    def _publish_mac(self) -> None:
        extra = {"python_implementation": f"cpython@{self._python.version}"}
        modules = {f"{self._site}/{path}": text for path, text in self._modules.items()}
        kinds = {self.runtime: "runtime", "app-desk": "application"}
        files = {self.runtime: self._mac_runtime(), **self.files, "app-desk": modules}
        layers = {
            name: LayerSpec(
                kinds.get(name, "framework"),
                merge(found, self._scaffolding(name, found)),
                requires=self._frameworks if name == "app-desk" else (),
                launch_module=self._launched if name == "app-desk" else None,
                extra=extra,
            )
            for name, found in files.items()
        }
        publish(self.mac, layers, platform=MAC, suffix=".tar")

    def _mac_runtime(self) -> Files:
        short, stdlib = self._python.short, self._python.layout.stdlib
        library = f"@executable_path/../lib/libpython{short}.dylib"
        files: dict[str, Content | Link] = {
            f"bin/python{short}": macho(_SYSTEM, library, kind="executable"),
            "bin/python": Link(f"python{short}"),
            f"lib/libpython{short}.dylib": macho(_SYSTEM, name=library),
            f"{self._site}/README.txt": "site-packages\n",
        }
        for file in sorted(self._python.stdlib.rglob("*")):
            place = file.relative_to(self._python.stdlib)
            foreign = any(is_foreign(part) for part in place.parts)
            if foreign or not _is_tried(place.as_posix()) or not file.is_file():
                continue
            if place.parts[0] == "lib-dynload":
                name = file.name.partition(".")[0]
                path = f"{stdlib}/lib-dynload/{name}{self._mac_suffix}"
                files[path] = macho(_SYSTEM, kind="bundle", inits=[f"PyInit_{name}"])
            else:
                files[f"{stdlib}/{place.as_posix()}"] = file.read_bytes()
        return files

    @property
    def _mac_suffix(self) -> str:
        return f".cpython-{self._python.short.replace('.', '')}-darwin.so"

    def _scaffolding(self, name: str, files: Files) -> Files:
        """What venvstacks puts around a layer on a Mac."""
        runtime = name == self.runtime
        below = [] if runtime else [self.runtime]
        if name == "app-desk":
            below = [*self._frameworks, self.runtime]
        config = {
            "python": "bin/python",
            "py_version": self._python.version,
            "base_python": "bin/python" if runtime else f"../{self.runtime}/bin/python",
            "site_dir": self._site,
            "pylib_dirs": [f"../{other}/{self._site}" for other in below],
            "dynlib_dirs": [f"../{other}/share/venv/dynlib" for other in below],
            **({"launch_module": self._launched} if name == "app-desk" else {}),
        }
        found: dict[str, Content | Link] = {
            METADATA: json.dumps(config),
            "postinstall.py": template("postinstall.py"),
        }
        if not runtime:
            folders = [f'"$layers/{other}/share/venv/dynlib"' for other in below]
            script = template("python.sh").decode().replace("@VARIABLE@", "DYLD_LIBRARY_PATH")
            found["bin/python"] = script.replace("@FOLDERS@", " ".join(folders))
            found["bin/python_"] = Link(f"../../{self.runtime}/bin/python")
        for path in files:
            if path.endswith(".dylib") and not runtime:
                found[f"share/venv/dynlib/{path.rpartition('/')[2]}"] = Link(f"../../../{path}")
        return found

    def as_of_a_mac(self, text: str) -> str:
        """A trace that was recorded here, as the same runs would be recorded on a Mac.

        Modules are the same; extension modules and libraries have other names, and some of these
        aren't there: what the other build links statically, or what the Mac brings itself.
        """
        known = {
            _stem(path): path.removeprefix(f"{self._site}/")
            for files in self.files.values()
            for path in files
            if "/.dylibs/" in path
        }
        lines = []
        for line in text.splitlines(keepends=True):
            native = re.fullmatch(r"( +native )linux_\w+ (\S+)( .*\n)", line)
            if native is None:
                lines.append(re.sub(r"^  on linux_\w+", f"  on {MAC_KEY}", line))
                continue
            before, path, runs = native.groups()
            if ".libs/" in path:
                path = known.get(_stem(path), "")
            path = re.sub(r"\.cpython-\d+-[\w-]+\.so$", self._mac_suffix, path)
            path = re.sub(r"(libpython[\d.]+)\.so.*", r"\1.dylib", path)
            if path:
                lines.append(f"{before}{MAC_KEY} {path}{runs}")
        return "".join(lines)


def _is_tried(path: str) -> bool:
    return not any(part in _UNTRIED or part.startswith("config-") for part in path.split("/"))


def _installed(wheels: Sequence[Path], site: str) -> dict[str, Content | Link]:
    return {path: data for wheel in wheels for path, data in members(wheel, site)}


def _pin(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version}"


def _stem(library: str) -> str:
    """The name of a library without what tools that repair wheels or versions added."""
    return re.split(r"[-.]", library.rpartition("/")[2])[0]
