"""Modules of a stack: the names under which each file can be imported.

A name's components are joined with ``/`` here (``numpy/tests/test_x``), so that folders whose names
hold dots don't look like packages. Files outside every import root get a name that starts with
``/`` and their layer: nothing imports them absolutely, but their relative imports resolve.

Sources: the Python documentation of ``site`` (``.pth`` files), ``sys.path`` and
``importlib.machinery`` (suffixes).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.model.stack import Layer, Stack

SOURCE_SUFFIXES = (".py", ".pyw")
MAX_PTH = 1 << 20
"""A ``.pth`` file of more bytes than this is not read (``site`` expects a few lines)."""
_EXTENSION = re.compile(r"([^\W\d]\w*)(?:\.[\w-]+)*\.(?:so|pyd)\Z")
_SITE = re.compile(r"(?:\A|.*/)(?:site|dist)-packages(?=/)")


@dataclass(frozen=True, slots=True)
class Module:
    """A name that a file can be imported under.

    ``package`` says that the file is the package's ``__init__``.
    """

    name: str
    package: bool

    @property
    def container(self) -> str:
        """The package that relative imports start from."""
        return self.name if self.package else self.name.rpartition("/")[0]

    @property
    def rooted(self) -> bool:
        """True if an absolute import can reach it."""
        return not self.name.startswith("/")


def dotted(name: str) -> str:
    """A module's name as Python writes it."""
    return name.replace("/", ".")


def as_bytes(name: str) -> bytes:
    """A name as it stands in files; what of it isn't UTF-8 is kept as it was (PEP 383)."""
    return name.encode("utf-8", "surrogateescape")


def parents(name: str) -> Iterator[str]:
    """The packages that a module lies in, innermost first."""
    while True:
        name = name.rpartition("/")[0]
        if not name or (name.count("/") == 1 and name.startswith("/")):
            return
        yield name


class ModuleIndex:
    """Every importable file of a stack by key and by name.

    ``modules`` maps each importable file (sources, extension modules, bytecode without a source) to
    its names; ``top_level`` are the first components that absolute imports resolve to, ``standard``
    those of the standard library; ``folders`` are the folders that hold a module.
    """

    def __init__(self, stack: Stack, inventory: Inventory, read: ReadFile) -> None:
        self._stack = stack
        self._inventory = inventory
        self._read = read
        self.roots: Mapping[str, tuple[str, ...]] = {
            layer.name: self._layer_roots(layer) for layer in stack
        }
        self.modules: dict[FileKey, tuple[Module, ...]] = {}
        self.folders: set[FileKey] = set()
        for layer in stack:
            self._index(layer.name)
        self.top_level = frozenset(
            module.name.partition("/")[0]
            for names in self.modules.values()
            for module in names
            if module.rooted
        )
        self.standard = frozenset(self._standard_library())

    def _standard_library(self) -> Iterator[str]:
        """The top-level names of the standard library."""
        for layer in self._stack:
            if layer.stdlib_dir is not None:
                prefixes = tuple(f"{root}/" for root in self._standard_roots(layer))
                sites = tuple(f"{site.strip('/')}/" for site in layer.site_dirs)
                for path in self._inventory.records.get(layer.name, {}):
                    if path.startswith(prefixes) and not path.startswith(sites):
                        for module in self.modules.get((layer.name, path), ()):
                            yield module.name.partition("/")[0]

    def is_root(self, folder: FileKey) -> bool:
        """True if Python searches a folder.

        What lies there has nothing to do with its neighbours.
        """
        return folder[1] in self.roots.get(folder[0], ())

    def _layer_roots(self, layer: Layer) -> tuple[str, ...]:
        """The folders of a layer that Python searches, the deepest first."""
        records = self._inventory.records.get(layer.name, {})
        roots = {root.strip("/") for root in layer.site_dirs}
        roots.update(self._standard_roots(layer))
        if not roots:  # a tree of unknown origin
            roots = {match[0] for path in records if (match := _SITE.match(path))} or {""}
        roots |= {extra for root in sorted(roots) for extra in self._pth_roots(layer.name, root)}
        return tuple(sorted(roots, key=lambda root: (-len(root), root)))

    @staticmethod
    def _standard_roots(layer: Layer) -> tuple[str, ...]:
        if layer.stdlib_dir is None:
            return ()
        stdlib = layer.stdlib_dir.strip("/")
        return (stdlib, f"{stdlib}/lib-dynload", posixpath.join(posixpath.dirname(stdlib), "DLLs"))

    def _pth_roots(self, layer: str, root: str) -> Iterator[str]:
        for record in self.pth_files(layer, root):
            for line in bytes(self._read(record)).decode("utf-8", "replace").splitlines():
                text = line.strip()
                if (
                    text
                    and not text.startswith(("#", "import ", "import\t", "/"))
                    and "\0" not in text
                ):
                    folder = posixpath.normpath(posixpath.join(root, text.replace("\\", "/")))
                    if not folder.startswith("..") and folder != ".":
                        yield folder

    def pth_files(self, layer: str, root: str) -> Iterator[FileRecord]:
        """The ``.pth`` files of an import root."""
        for path, record in self._inventory.records.get(layer, {}).items():
            folder, _, name = path.rpartition("/")
            if folder == root and name.endswith(".pth") and record.size <= MAX_PTH:
                yield record

    def _index(self, layer: str) -> None:
        records = self._inventory.records.get(layer, {})
        for path, record in records.items():
            stem = None if record.type is EntryType.DIRECTORY else importable_stem(path)
            if stem is None:
                continue
            self.folders.add((layer, path.rpartition("/")[0]))
            self.modules[record.key] = (self._module(layer, path.rpartition("/")[0], stem),)
        for path, record in records.items():
            if record.type is EntryType.SYMLINK and record.link_target:
                self._follow(layer, path, record.link_target)

    def _module(self, layer: str, folder: str, stem: str) -> Module:
        package = stem == "__init__"
        for root in self.roots[layer]:
            if folder == root or folder.startswith(root + "/") or not root:
                inner = folder[len(root) :].strip("/")
                name = "/".join(part for part in (inner, "" if package else stem) if part)
                return Module(name or "__init__", package and bool(name))
        return Module(
            "/" + "/".join(part for part in (layer, folder, "" if package else stem) if part),
            package,
        )

    def _follow(self, layer: str, path: str, target: str) -> None:
        """Give all modules below a folder a second name, by a link to that folder."""
        if not any(not root or path.startswith(root + "/") for root in self.roots[layer]):
            return
        folder = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if folder.startswith("..") or path.startswith(folder + "/"):
            return
        for other in self._inventory.records[layer]:
            if other.startswith(folder + "/") and (layer, other) in self.modules:
                alias = path + other[len(folder) :]
                stem = importable_stem(alias)
                if stem is not None:
                    module = self._module(layer, alias.rpartition("/")[0], stem)
                    self.modules[layer, other] = tuple(
                        dict.fromkeys((*self.modules[layer, other], module))
                    )


def importable_stem(path: str) -> str | None:
    """The module's own name, for a file that can be imported; None for any other.

    Such as ``_ufunc`` for ``_ufunc.cpython-313-darwin.so``. Bytecode counts where it lies beside
    its source's place (PEP 3147 calls that sourceless), not in ``__pycache__``.
    """
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not dot or not stem:
        return None
    if "." + suffix in SOURCE_SUFFIXES:
        return stem
    if suffix == "pyc":
        return None if folder.endswith("__pycache__") else stem
    match = _EXTENSION.match(name)
    return match[1] if match else None
