"""Top-level names that an import can find, layer by layer."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from slim.analysis import ReadFile
from slim.analysis.code_paths.scripts import is_script
from slim.analysis.imports.modules import MAX_PTH, ModuleIndex
from slim.analysis.unimportable.finders import quoted_names
from slim.analysis.unimportable.names import (
    STANDARD,
    OwnedNames,
    Signals,
)
from slim.analysis.unimportable.outside import brings_more, script_brings_more
from slim.formats.zip.parse import PYTHON_SUFFIXES
from slim.model.finding import Evidence
from slim.model.record import UNOWNED, EntryType, FileKey, FileRecord, Inventory, Owner
from slim.model.stack import Layer, LayerKind, Stack, StackKind

_DIRECTORY = 4 << 20
"""Bytes at the end of an archive in which its list of files is looked for."""

_OF_ENVIRONMENT = re.compile(
    r"postinstall\.py\Z|share/venv/|(?:bin|Scripts)/(?:[Aa]ctivate|deactivate)|.*(?:\A|/)tests?/"
)
"""What venvstacks and ``venv`` put into a layer, and suites."""
_AT_START = ("sitecustomize.py", "usercustomize.py")
_SCHEMAS = {
    "capnp": ("capnp",),
    "thrift": ("thrift",),
    "proto": ("pb2", "pb2_grpc"),
    "fbs": ("fbs", "generated"),
    "asn": ("asn",),
    "asn1": ("asn1",),
}
"""Suffixes of schemas, and how modules are called that importers make of them.

Sources: the documentation of pycapnp, thriftpy2 and gRPC (``grpc.protos``).
"""


class Presence:
    """The top-level names that a module of a layer can import.

    ``signals`` are files that change the import system; ``callers`` are files that may call them,
    and ``calls`` the names that they call their functions with, by file and function;
    ``provided`` are names that something outside of the stack brings along, by layer; ``bridged``
    are owners whose code imports what is no Python, of which nothing tells the names.
    """

    def __init__(
        self,
        stack: Stack,
        inventory: Inventory,
        index: ModuleIndex,
        read: ReadFile,
        *,
        signals: Mapping[FileKey, Signals],
        provided: Mapping[str, frozenset[str]],
        callers: Iterable[FileKey],
        calls: Mapping[FileKey, Mapping[str, frozenset[str]]],
        bridged: frozenset[tuple[str, Owner]],
    ) -> None:
        self._stack = stack
        self._inventory = inventory
        self._index = index
        self._read = read
        self._signals = signals
        self._provided = provided
        self._callers = callers
        self._calls = calls
        self._bridged = bridged
        self._brought: dict[str, Evidence | None] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._folders: dict[tuple[str, Owner], OwnedNames] = {}
        self._answers: dict[tuple[str, str, Owner], bool] = {}
        self._owned: dict[tuple[str, Owner], frozenset[str]] = {}
        self._packages = frozenset(
            (layer, path.rpartition("/")[0])
            for layer, path in index.modules
            if path.rpartition("/")[2].startswith("__init__.")
        )

    @cached_property
    def _seen(self) -> Mapping[str, frozenset[str]]:
        """The layers that a layer is seen with, itself among them, by name."""
        together = [frozenset((layer.name, *layer.requires)) for layer in self._stack]
        return {
            layer.name: frozenset().union(*(group for group in together if layer.name in group))
            for layer in self._stack
        }

    def seen_with(self, layer: str) -> frozenset[str]:
        """Return the layers that a layer is seen with, itself among them."""
        return self._seen[layer]

    @cached_property
    def unknown(self) -> Mapping[str, Evidence]:
        """Evidence that nobody can tell what is missing in a layer, by its name."""
        found = {}
        for layer in self._stack:
            evidence = (
                self._whole(layer.name)
                or self._outside(layer.name)
                or self._extended(layer.name)
                or self._lazy(layer.name)
            )
            if evidence is not None:
                found[layer.name] = evidence
        return found

    def has(self, name: str, key: FileKey) -> bool:
        """Return whether a file may find a top-level name."""
        owner = self._inventory.records[key[0]][key[1]].owner
        asked = (name, key[0], owner)
        if asked not in self._answers:
            self._answers[asked] = self._may_have(name, key)
        return self._answers[asked]

    def _may_have(self, name: str, key: FileKey) -> bool:
        return (
            name.startswith("_")
            or name in STANDARD
            or name in self._names_of(key[0])
            or name in self._names_of_owner(key)
            or (key[0], self._inventory.records[key[0]][key[1]].owner) in self._bridged
            or self._is_packed(name, key[0])
        )

    # Names

    def _names_of(self, layer: str) -> frozenset[str]:
        if layer not in self._names:
            names: set[str] = set(self._provided.get(layer, ()))
            for other in self._seen[layer]:
                names |= self._names_in(other) | self._provided.get(other, frozenset())
            for key, signals in self._signals.items():
                if key[0] in self._seen[layer]:
                    names |= signals.modules
                    if signals.path:
                        names |= self._names_added_by(key)
            helpers = frozenset(
                name
                for key, signals in self._signals.items()
                if key[0] in self._seen[layer]
                for name in signals.helpers
            )
            for key in self._callers if helpers else ():
                calls = self._calls.get(key) if key[0] in self._seen[layer] else None
                for helper in helpers.intersection(calls or ()):
                    names |= self._calls[key][helper]
            self._names[layer] = frozenset(names)
        return self._names[layer]

    def _names_added_by(self, key: FileKey) -> frozenset[str]:
        adding = self._inventory.records[key[0]][key[1]]
        owned = (key[0], adding.owner)
        if owned not in self._folders:
            self._folders[owned] = OwnedNames(self._inventory.by_owner[owned], self._packages)
        return self._folders[owned].added_by(adding.path)

    def _names_in(self, layer: str) -> set[str]:
        """Return the names in the folders of a layer that Python searches, of files and folders."""
        names: set[str] = set()
        roots = [f"{root}/" if root else "" for root in self._index.roots[layer]]
        for path in self._inventory.records[layer]:
            names.update(_made_of(path))
            for root in roots:
                if path.startswith(root):
                    names.add(path[len(root) :].partition("/")[0].partition(".")[0])
        for root in self._index.roots[layer]:
            for record in self._index.pth_files(layer, root):
                names.update(quoted_names(bytes(self._read(record))))
        return names

    def _names_of_owner(self, key: FileKey) -> frozenset[str]:
        """Return the names in the folders of a file's owner: scripts import their neighbours."""
        owned = (key[0], self._inventory.records[key[0]][key[1]].owner)
        if owned not in self._owned:
            self._owned[owned] = frozenset(
                part.partition(".")[0]
                for record in self._inventory.by_owner[owned]
                for part in record.path.split("/")
            )
        return self._owned[owned]

    def _is_packed(self, name: str, layer: str) -> bool:
        """Return whether an archive that Python could import from holds such a module."""
        wanted = (f"{name}/".encode(), f"{name}.py".encode())
        return any(
            word in listing
            for other in self._seen[layer]
            for listing in self._listings.get(other, ())
            for word in wanted
        )

    @cached_property
    def _listings(self) -> Mapping[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for record in self._inventory:
            if record.path.endswith(PYTHON_SUFFIXES) and record.size:
                view = self._read(record)
                found.setdefault(record.layer, []).append(bytes(view[-_DIRECTORY:]))
        return found

    # What isn't seen

    def _whole(self, name: str) -> Evidence | None:
        """Return what shows that a layer isn't seen with all that it is used with."""
        layer = self._stack.layer(name)
        if self._stack.kind is StackKind.ARCHIVE:
            text = "a lone archive: the layers that it is used with may have what isn't here"
        elif layer.kind is LayerKind.PLAIN:
            text = "a folder of unknown origin may be used with others, which may have more"
        elif not any(
            other.kind is LayerKind.APPLICATION and name in (other.name, *other.requires)
            for other in self._stack
        ):
            text = (
                "no application here loads this layer, and one elsewhere may have what isn't here"
            )
        else:
            missing = sorted(
                required
                for other in self._stack
                if other.name in self._seen[name]
                for required in other.requires
                if required not in self._inventory.records
            )
            if not missing:
                return None
            text = f"it is used with {missing[0]}, which isn't here"
        return Evidence(kind="unseen", text=text)

    def _outside(self, name: str) -> Evidence | None:
        """Return the ``.pth`` file that adds a folder outside of the stack, if there is one."""
        for layer in sorted(self._seen[name]):
            for root in self._index.roots[layer]:
                for record in self._index.pth_files(layer, root):
                    if self._leads_out(record, root):
                        text = "adds a folder outside of the stack, which may have what isn't here"
                        return Evidence(kind="unseen", text=text, file=record.deployed_path)
        return None

    def _leads_out(self, record: FileRecord, root: str) -> bool:
        if record.size > MAX_PTH:
            return True
        for line in bytes(self._read(record)).decode("utf-8", "replace").splitlines():
            text = line.strip().replace("\\", "/")
            if not text or text.startswith(("#", "import ", "import\t")):
                continue
            folder = posixpath.normpath(posixpath.join(record.layer, root, text))
            first = folder.partition("/")[0]
            if first not in self._inventory.records or ":" in text[:3]:
                return True
        return False

    def _extended(self, name: str) -> Evidence | None:
        """Return what an application does itself so that more can be imported than is here."""
        for layer in self._stack:
            if layer.kind is LayerKind.APPLICATION and layer.name in self._seen[name]:
                if layer.name not in self._brought:
                    self._brought[layer.name] = self._brought_by(layer)
                if self._brought[layer.name] is not None:
                    return self._brought[layer.name]
        return None

    def _code_of(self, layer: Layer) -> Iterator[FileRecord]:
        """An application's own files: those of no distribution, and of that which it starts.

        With them what Python runs at each start, in any of the layers.
        """
        start = (layer.launch_module or "").replace(".", "/")
        for other in sorted(self._seen[layer.name]):
            for root in self._index.roots[other]:
                for name in _AT_START:
                    path = f"{root}/{name}".lstrip("/")
                    if (record := self._inventory.get((other, path))) is not None:
                        yield record
        owners = {UNOWNED}
        for key, modules in self._index.modules.items() if start else ():
            if key[0] == layer.name and any(module.name == start for module in modules):
                owners.add(self._inventory.records[key[0]][key[1]].owner)
        for owner in sorted(owners, key=str):
            yield from self._inventory.by_owner.get((layer.name, owner), ())

    def _brought_by(self, layer: Layer) -> Evidence | None:
        layers = self._inventory.records.keys()
        for record in self._code_of(layer):
            if record.type is not EntryType.FILE or _OF_ENVIRONMENT.match(record.path):
                continue
            text, line = "", 0
            if record.path.endswith(".py"):
                signals = self._signals.get(record.key)
                if signals is not None and (signals.finder or signals.computed):
                    text = "adds a finder" if signals.finder else "adds modules of any name"
                else:
                    source = bytes(self._read(record))
                    text, line = brings_more(source, record.deployed_path, layers, layer.platform)
            elif record.native is None and is_script(record, self._read):
                source = bytes(self._read(record))
                text, line = script_brings_more(record.path, source, record.deployed_path, layers)
            if text:
                text = f"{text}, so that more may be imported than is here"
                return Evidence(
                    kind="unseen", text=text, file=record.deployed_path, line=line or None
                )
        return None

    def _lazy(self, name: str) -> Evidence | None:
        for key, signals in self._signals.items():
            if signals.lazy and key[0] in self._seen[name]:
                text = "replaces the import statement, so a missing name may not be an error"
                return Evidence(kind="unseen", text=text, file="/".join(key))
        return None


def _made_of(path: str) -> Iterator[str]:
    """Yield the names under which importers of schemas find a file: ``a.capnp`` is ``a_capnp``."""
    stem, dot, suffix = posixpath.basename(path).rpartition(".")
    for ending in _SCHEMAS.get(suffix, ()) if dot and stem else ():
        yield f"{stem}_{ending}".replace("-", "_")
