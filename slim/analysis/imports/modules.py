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
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from slim.analysis import ReadFile
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory
from slim.model.stack import Layer, Stack

SOURCE_SUFFIXES = (".py", ".pyw")
MAX_PTH = 1 << 20
"""A ``.pth`` file of more bytes than this is not read (``site`` expects a few lines)."""
MIN_ALIASES = 10_000
_ALIASES = 4
"""How many further names links may give to modules, for each file of the layer, and at least."""
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
    def top(self) -> str:
        """The first component of the name."""
        return self.name.partition("/")[0]

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
    those of the standard library; ``folders`` are the folders that hold a module; ``unnamed`` are
    modules that so many links lead to that not all their names are known.
    """

    def __init__(self, stack: Stack, inventory: Inventory, read: ReadFile) -> None:
        self._stack = stack
        self._inventory = inventory
        self._read = read
        self._connected: dict[tuple[str, str], bool] = {}
        self.roots: Mapping[str, tuple[str, ...]] = {
            layer.name: self._layer_roots(layer) for layer in stack
        }
        self.modules: dict[FileKey, tuple[Module, ...]] = {}
        self.folders: set[FileKey] = set()
        self.unnamed: set[FileKey] = set()
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

    @cached_property
    def folder_sizes(self) -> Counter[FileKey]:
        """The number of files and links in each folder and below it, caches of bytecode aside."""
        found: Counter[FileKey] = Counter()
        for record in self._inventory:
            if record.type is not EntryType.DIRECTORY:
                found.update(self.folders_around(record.key))
        return found

    @cached_property
    def known(self) -> frozenset[str]:
        """The names of all modules, and of all folders below an import root."""
        names = {module.name for modules in self.modules.values() for module in modules}
        names.update(map(self.folder_name, self.folder_sizes))
        return frozenset(names)

    def folders_around(self, key: FileKey) -> Iterator[FileKey]:
        """The folders that a file lies in, innermost first, up to its import root."""
        layer, path = key
        folder = path.rpartition("/")[0]
        if folder.endswith("__pycache__"):
            return
        while folder and folder not in self.roots[layer]:
            yield layer, folder
            folder = folder.rpartition("/")[0]

    def kind(self, key: FileKey) -> FileKind | None:
        """The kind of a file; None for what isn't in the inventory."""
        record = self._inventory.get(key)
        return None if record is None else record.kind

    def folder_name(self, folder: FileKey) -> str:
        """A folder's name as a package; empty outside of every import root."""
        name = self._module(folder[0], folder[1], "__init__").name
        return "" if name.startswith("/") or name == "__init__" else name

    def known_prefixes(self, name: str) -> Iterator[str]:
        """The longest start of a dotted name that is known, and the packages around it."""
        name = name.replace(".", "/")
        if name.partition("/")[0] not in self.top_folders:
            return
        while "/" in name:
            if name in self.known:
                yield name
            name = name.rpartition("/")[0]

    @cached_property
    def top_folders(self) -> frozenset[str]:
        """The first components of all known names."""
        return frozenset(name.partition("/")[0] for name in self.known)

    def connected(self, layer: str, other: str) -> bool:
        """True if two layers can share a process: those of two runtimes never do."""
        asked = (layer, other)
        if asked not in self._connected:
            self._connected[asked] = self._stack.share_process(layer, other)
        return self._connected[asked]

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
        self._follow_links(layer, records)

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

    def _follow_links(self, layer: str, records: Mapping[str, FileRecord]) -> None:
        """Give all modules below a folder further names, by the links to that folder.

        Links times modules can be any number: beyond a bound, what a link leads to is noted in
        ``unnamed`` instead, once a folder.
        """
        importable = sorted(path for path in records if (layer, path) in self.modules)
        left = MIN_ALIASES + _ALIASES * len(records)
        aliases: dict[str, list[Module]] = {}
        unnamed: set[str] = set()
        for path, record in records.items():
            folder = self._followed_folder(layer, record)
            if folder is None or folder in unnamed:
                continue
            start = bisect_left(importable, folder + "/")
            below = importable[start : bisect_left(importable, folder + "0", lo=start)]
            left -= len(below)
            if left < 0:
                unnamed.add(folder)
                self.unnamed.update((layer, other) for other in below)
                continue
            for other in below:
                alias = path + other[len(folder) :]
                stem = importable_stem(alias)
                if stem is not None:
                    module = self._module(layer, alias.rpartition("/")[0], stem)
                    aliases.setdefault(other, []).append(module)
        for path, named in aliases.items():
            self.modules[layer, path] = tuple(dict.fromkeys((*self.modules[layer, path], *named)))

    def _followed_folder(self, layer: str, record: FileRecord) -> str | None:
        """The folder of its layer that a symbolic link below an import root may lead to."""
        path, target = record.path, record.link_target
        if record.type is not EntryType.SYMLINK or not target:
            return None
        if not any(not root or path.startswith(root + "/") for root in self.roots[layer]):
            return None
        folder = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        return None if folder.startswith("..") or path.startswith(folder + "/") else folder


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
