"""Finishes a layer after it was unpacked: run it once, with the runtime layer's Python.

Writes ``pyvenv.cfg`` and ``sitecustomize.py``, which hold absolute paths and so can't be shipped,
and compiles the library.
"""

from __future__ import annotations

import compileall
import json
import os
import sys
from pathlib import Path


def main(layer: Path) -> int:
    """Set up the layer in this folder; 0 if every module compiled."""
    config = json.loads(
        (layer / "share/venv/metadata/venvstacks_layer.json").read_text(encoding="utf-8")
    )

    def deployed(relative: str) -> Path:
        # Links stay links: bin/python is one in every layer.
        return Path(os.path.abspath(layer / relative))  # noqa: PTH100

    if config["python"] != config["base_python"]:
        base = deployed(config["base_python"])
        settings = {
            "home": base.parent,
            "include-system-site-packages": "false",
            "version": config["py_version"],
            "executable": base,
        }
        lines = [f"{key} = {value}\n" for key, value in settings.items()]
        (layer / "pyvenv.cfg").write_text("".join(lines), encoding="utf-8")
        code = ["import os", "import site", ""]
        code += [f"site.addsitedir({str(deployed(folder))!r})" for folder in config["pylib_dirs"]]
        if sys.platform == "win32":
            folders = [deployed(folder) for folder in config["dynlib_dirs"]]
            code += [
                f"os.add_dll_directory({str(folder)!r})" for folder in folders if folder.is_dir()
            ]
        module = deployed(config["site_dir"]) / "sitecustomize.py"
        module.write_text("\n".join(code) + "\n", encoding="utf-8")
    # Test suites contain files that must not compile, so a failure is no reason to give up.
    compileall.compile_dir(
        layer / ("Lib" if sys.platform == "win32" else "lib"), quiet=2, optimize=0
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
