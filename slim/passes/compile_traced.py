"""Edits a layer's ``postinstall.py`` so that it compiles only what traced runs imported.

Python compiles the rest when it is imported, as it does where no post-install step ran. One line of
the script changes: the call that compiles the whole library folder.

Source: venvstacks' ``_injected/postinstall.py`` (0.7.0), and the Python documentation of
``compileall``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from slim.errors import UnsafeInputError
from slim.model.plan import COMPILE_EDITOR
from slim.model.recipe import Kept, Recipe
from slim.model.rule import OptionValue

EDITOR: Final = COMPILE_EDITOR
_CALL: Final = re.compile(rb"^    compile_dir\(pylib_path, optimize=0, quiet=True\)(?=\r?\n)", re.M)
_OPENING: Final = b'"""venvstacks layer post-installation script.\n'
_IMPORT: Final = b"from compileall import compile_dir\n"
_NEEDED: Final = (_IMPORT, b"def _run_postinstall(layer_path: Path) -> None:\n")


def compile_traced(view: memoryview, options: Mapping[str, OptionValue]) -> Recipe:
    """Carry out an edit; plans name it by :data:`EDITOR`.

    Option: ``modules``, the sources to compile, relative to the layer's library folder. Raises
    UnsafeInputError where the script isn't venvstacks' own.
    """
    modules = options["modules"]
    assert isinstance(modules, tuple)
    source = bytes(view)
    start, end = call_in(source)
    return Recipe((Kept(0, start), new_line(modules), Kept(end, len(source) - end)))


def call_in(source: bytes) -> tuple[int, int]:
    """Return the offsets of the line that compiles the library folder, without its end.

    Raises UnsafeInputError where the script isn't venvstacks' own.
    """
    text = source.replace(b"\r\n", b"\n")
    found = list(_CALL.finditer(source))
    if not text.startswith(_OPENING) or any(part not in text for part in _NEEDED):
        raise UnsafeInputError("the script isn't venvstacks' own")
    if len(found) != 1 or text.count(b"compile_dir") != 2:
        raise UnsafeInputError("its call that compiles the library folder isn't the one expected")
    return found[0].span()


def new_line(modules: Iterable[str]) -> bytes:
    """Return the line that compiles some sources: their names by folder, sorted."""
    folders: dict[str, list[str]] = {}
    for path in sorted(set(modules)):
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name.removesuffix(".py"))
    listed = ", ".join(f"{folder!a}: {'/'.join(names)!a}" for folder, names in folders.items())
    return (
        '    [__import__("compileall").compile_file(pylib_path / folder / f"{name}.py", optimize=0,'
        f' quiet=True) for folder, names in {{{listed}}}.items() for name in names.split("/")]'
        "  # slim: what traced runs imported; Python compiles the rest when it is imported"
    ).encode("ascii")
