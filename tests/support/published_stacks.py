"""Small published stacks on disk, as venvstacks lays them out; standard library alone."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SITE = "lib/python3.13/site-packages"
STDLIB = "lib/python3.13"
MTIME = 1_700_000_000

Content = str | bytes


@dataclass(frozen=True)
class Link:
    """A symbolic link to ``target``."""

    target: str


Files = Mapping[str, Content | Link]
_KINDS = {"runtime": "runtimes", "framework": "frameworks", "application": "applications"}


@dataclass
class LayerSpec:
    """One layer to publish. ``requires`` are install targets, nearest first."""

    kind: str
    files: Files
    requires: tuple[str, ...] = ()
    launch_module: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def raw(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else content


def distribution(
    name: str, files: Files, *, version: str = "1.0", metadata: str = "", more: Files | None = None
) -> Files:
    """Files of an installed wheel: ``files`` in site-packages, and dist-info with a true RECORD."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    found: dict[str, Content | Link] = dict(files)
    found[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{metadata}"
    )
    found[f"{info}/WHEEL"] = "Wheel-Version: 1.0\n"
    for path, content in (more or {}).items():
        found[f"{info}/{path}"] = content
    rows = []
    for path, content in sorted(found.items()):
        if isinstance(content, Link):
            continue
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256(raw(content)).digest()).rstrip(b"=").decode()
        )
        rows.append(f"{path},sha256={digest},{len(raw(content))}")
    found[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    return {f"{SITE}/{path}": content for path, content in found.items()}


def merge(*parts: Files) -> Files:
    found: dict[str, Content | Link] = {}
    for part in parts:
        found.update(part)
    return found


def write_archive(path: Path, root: str, files: Files, *, mode: str = "w:xz") -> None:
    """A layer archive: sorted members below ``root``, uid and gid 0, one time for all."""
    names: set[str] = {root}
    for name in files:
        parts = f"{root}/{name}".split("/")
        names.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    pax = tarfile.PAX_FORMAT
    with tarfile.open(path, mode, format=pax) as archive:  # type: ignore[call-overload]
        for name in sorted(names):
            info = tarfile.TarInfo(name)
            info.mtime, info.uname, info.gname = MTIME, "root", "root"
            content = files.get(name.removeprefix(f"{root}/")) if name != root else None
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            elif isinstance(content, Link):
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, content.target, 0o755
                archive.addfile(info)
            else:
                data = raw(content)
                info.size = len(data)
                info.mode = 0o755 if "/bin/" in name else 0o644
                archive.addfile(info, io.BytesIO(data))


def publish(
    folder: Path,
    layers: Mapping[str, LayerSpec],
    *,
    platform: str = "linux_x86_64",
    tag: str = "",
    suffix: str = ".tar.xz",
) -> Path:
    """Publish a stack into ``folder``, and return its manifest.

    ``tag`` is what ``--tag-outputs`` would put into names. With the suffix ``.tar`` nothing is
    compressed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest: dict[str, Any] = {"layers": {"applications": [], "frameworks": [], "runtimes": []}}
    metadata = folder / "__venvstacks__" / "env_metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    runtime = next((name for name, spec in layers.items() if spec.kind == "runtime"), None)
    for name, spec in layers.items():
        archive = folder / f"{name}{tag}{suffix}"
        write_archive(
            archive,
            name,
            _with_scaffolding(name, spec, spec.extra.get("runtime_layer", runtime)),
            mode="w" if suffix == ".tar" else "w:xz",
        )
        data = archive.read_bytes()
        entry: dict[str, Any] = {
            "archive_build": 1,
            "archive_hashes": {"sha256": hashlib.sha256(data).hexdigest()},
            "archive_name": archive.name,
            "archive_size": len(data),
            "install_target": name,
            "layer_name": name,
            "python_implementation": "cpython@3.13.0",
            "required_layers": list(spec.requires),
            "runtime_layer": runtime,
            "target_platform": platform,
            **spec.extra,
        }
        if spec.launch_module:
            entry["app_launch_module"] = spec.launch_module
        manifest["layers"][_KINDS[spec.kind]].append(entry)
        write_json(metadata / f"{name}{tag}.json", entry)
    path = folder / "__venvstacks__" / f"venvstacks{tag}.json"
    write_json(path, manifest)
    return path


def _with_scaffolding(name: str, spec: LayerSpec, runtime: str | None) -> Files:
    below = [other for other in (*spec.requires, runtime) if other and other != name]
    config = {
        "python": "bin/python",
        "py_version": "3.13.0",
        "base_python": "bin/python" if name == runtime else f"../{runtime}/bin/python",
        "site_dir": SITE,
        "pylib_dirs": [f"../{other}/{SITE}" for other in below],
        "dynlib_dirs": [f"../{other}/share/venv/dynlib" for other in below],
        **({"launch_module": spec.launch_module} if spec.launch_module else {}),
    }
    return merge(
        {
            "postinstall.py": "print('installed')\n",
            "share/venv/metadata/venvstacks_layer.json": json.dumps(config),
        },
        spec.files,
    )


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def small_stack(folder: Path) -> Path:
    """Publish a runtime, a framework and an application, with something to remove in each.

    Returns ``folder``.
    """
    publish(
        folder,
        {
            "cpython3.13": LayerSpec(
                "runtime",
                {
                    "bin/python3.13": "#!/bin/sh\n",
                    "bin/python": Link("python3.13"),
                    f"{STDLIB}/os.py": "x = 1\n",
                    f"{STDLIB}/site.py": "x = 1\n",
                    f"{STDLIB}/test/test_os.py": "import os\n",
                    f"{STDLIB}/idlelib/idle.py": "import os\n",
                    f"{SITE}/README.txt": "site-packages\n",
                },
            ),
            "framework-maths": LayerSpec(
                "framework",
                merge(
                    distribution(
                        "maths",
                        {
                            "maths/__init__.py": "from maths import core\n",
                            "maths/core.py": "import os\n",
                            "maths/tests/__init__.py": "",
                            "maths/tests/test_core.py": "from maths import core\n" * 20,
                            "maths/tests/helpers.py": "import maths\n",
                            "maths/core.pyi": "x: int\n",
                            "maths/stubs/more.pyi": "x: int\n",
                            "maths/include/maths.h": "int maths(void);\n",
                        },
                        metadata="License-File: LICENSE\n\nA long description.\n" + "words " * 200,
                        more={"licenses/LICENSE": "MIT\n"},
                    ),
                    {"bin/python_": Link("../../cpython3.13/bin/python")},
                ),
            ),
            "app-main": LayerSpec(
                "application",
                merge(
                    distribution("plots", {"plots/__init__.py": "import maths.tests.helpers\n"}),
                    {
                        f"{SITE}/main_app.py": "import plots\n",
                        "bin/python_": Link("../../cpython3.13/bin/python"),
                    },
                ),
                requires=("framework-maths",),
                launch_module="main_app",
            ),
        },
    )
    return folder
