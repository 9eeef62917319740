"""Small stacks out of text, with no disk involved.

A stack is a mapping of layers, each a mapping of paths to contents. A path may start with ``$site``
(the layer's site-packages), ``$stdlib`` (the runtime's standard library) or ``$bin``. The layer's
kind follows from its name (``cpython...``, ``framework-...``, ``app-...``, else plain), and a layer
requires every layer before it that isn't an application.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass

from slim.analysis.facts import Facts
from slim.model.record import (
    UNOWNED,
    Distribution,
    EntryPoint,
    EntryType,
    FileKind,
    FileRecord,
    Inventory,
    NativeFormat,
    Owner,
    OwnerKind,
)
from slim.model.stack import Layer, LayerKind, Platform, Stack, StackKind

SITE = "lib/python3.13/site-packages"
STDLIB = "lib/python3.13"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link as a layer's content."""

    target: str


@dataclass(frozen=True, slots=True)
class HardLink:
    """A hard link to an earlier path of the same layer."""

    target: str


Contents = str | bytes | Link | HardLink


@dataclass(frozen=True)
class VirtualStack:
    """A stack, its inventory, and the function that reads its files. Unpacks as those three."""

    stack: Stack
    inventory: Inventory
    read: Callable[[FileRecord], memoryview]

    def __iter__(self) -> Iterator[object]:
        return iter((self.stack, self.inventory, self.read))

    @property
    def facts(self) -> Facts:
        """Facts about it, none of them looked for yet."""
        return Facts(stack=self.stack, inventory=self.inventory, read=self.read)

    def key(self, deployed_path: str) -> tuple[str, str]:
        """Return the key of a file by its deployed path (shortcuts allowed).

        Raises :class:`KeyError` where there is none.
        """
        layer, _, path = deployed_path.partition("/")
        return self.inventory.records[layer][expand(path)].key

    def keys_below(self, deployed_path: str) -> frozenset[tuple[str, str]]:
        """The keys of every file at or below a deployed path (shortcuts allowed)."""
        layer, _, path = deployed_path.partition("/")
        path = expand(path)
        return frozenset(
            record.key
            for record in self.inventory.records[layer].values()
            if record.path == path or record.path.startswith(path + "/")
        )


def expand(path: str) -> str:
    """Replace ``$site``, ``$stdlib`` and ``$bin`` at the start of a path."""
    for shortcut, folder in (("$site", SITE), ("$stdlib", STDLIB), ("$bin", "bin")):
        if path == shortcut or path.startswith(shortcut + "/"):
            return folder + path[len(shortcut) :]
    return path


def make_stack(
    layers: Mapping[str, Mapping[str, Contents]],
    *,
    launch: Mapping[str, str] | None = None,
    requires: Mapping[str, tuple[str, ...]] | None = None,
    platform: str = "linux_x86_64",
    python_version: str | None = "3.13.0",
) -> VirtualStack:
    """Build a stack. ``launch`` names the launch module of a layer, ``requires`` what it is on.

    A layer that ``requires`` doesn't mention is on all layers before it but for applications.

    A ``*.dist-info/METADATA`` makes a distribution. Its files are those of RECORD, or, where there
    is no RECORD, the ``.dist-info`` folder and everything at or below its own name (``-`` as
    ``_``).
    """
    target = Platform.parse(platform)
    records: dict[str, dict[str, FileRecord]] = {}
    distributions: dict[str, dict[str, Distribution]] = {}
    contents: dict[tuple[str, str], bytes] = {}
    built: list[Layer] = []
    for name, files in layers.items():
        expanded = {expand(path): content for path, content in files.items()}
        kind = _layer_kind(name)
        distributions[name] = _distributions(name, expanded)
        owners = {path: dist.owner for dist in distributions[name].values() for path in dist.files}
        default = (
            Owner(kind=OwnerKind.RUNTIME, name="cpython") if kind is LayerKind.RUNTIME else UNOWNED
        )
        records[name] = {}
        for path in sorted(expanded):
            record, data = _record(name, path, expanded[path], owners.get(path, default))
            records[name][path] = record
            if record.type is EntryType.FILE:
                contents[record.key] = data
        built.append(
            Layer(
                name=name,
                layer_name=name,
                kind=kind,
                platform=target,
                requires=(requires or {}).get(
                    name,
                    tuple(
                        layer.name
                        for layer in reversed(built)
                        if layer.kind is not LayerKind.APPLICATION
                    ),
                ),
                python_version=python_version,
                site_dirs=(SITE,),
                stdlib_dir=STDLIB if kind is LayerKind.RUNTIME else None,
                launch_module=(launch or {}).get(name),
                dynlib_dirs=(f"{name}/share/venv/dynlib",),
            )
        )
    stack = Stack(kind=StackKind.FOLDER, source="virtual", platform=target, layers=tuple(built))
    inventory = Inventory(records=records, distributions=distributions)
    return VirtualStack(stack, inventory, lambda record: memoryview(contents.get(record.key, b"")))


def _layer_kind(name: str) -> LayerKind:
    if name.startswith("cpython"):
        return LayerKind.RUNTIME
    if name.startswith("framework-"):
        return LayerKind.FRAMEWORK
    return LayerKind.APPLICATION if name.startswith("app-") else LayerKind.PLAIN


def _record(layer: str, path: str, content: Contents, owner: Owner) -> tuple[FileRecord, bytes]:
    if isinstance(content, Link | HardLink):
        entry = EntryType.SYMLINK if isinstance(content, Link) else EntryType.HARDLINK
        link = FileRecord(
            layer=layer,
            path=path,
            type=entry,
            kind=FileKind.LINK,
            owner=owner,
            size=0,
            mode=0o777,
            link_target=content.target,
        )
        return link, b""
    data = content.encode() if isinstance(content, str) else content
    kind, native = _kind(path, data)
    record = FileRecord(
        layer=layer,
        path=path,
        type=EntryType.FILE,
        kind=kind,
        owner=owner,
        size=len(data),
        mode=0o755 if path.startswith(("bin/", "Scripts/")) else 0o644,
        sha256=hashlib.sha256(data).hexdigest(),
        native=native,
    )
    return record, data


_KINDS = {
    "py": FileKind.PYTHON,
    "pyc": FileKind.BYTECODE,
    "pyi": FileKind.STUBS,
    "pyd": FileKind.EXTENSION,
    "dylib": FileKind.LIBRARY,
    "dll": FileKind.LIBRARY,
    "exe": FileKind.EXECUTABLE,
    "h": FileKind.HEADERS,
    "hpp": FileKind.HEADERS,
    "a": FileKind.STATIC,
    "lib": FileKind.STATIC,
    "c": FileKind.SOURCES,
    "cpp": FileKind.SOURCES,
    "pyx": FileKind.SOURCES,
    "md": FileKind.DOCS,
    "rst": FileKind.DOCS,
    "mo": FileKind.LOCALE,
}
_NATIVE = {
    "dylib": NativeFormat.MACHO,
    "dll": NativeFormat.PE,
    "pyd": NativeFormat.PE,
    "exe": NativeFormat.PE,
}


def _kind(path: str, data: bytes) -> tuple[FileKind, NativeFormat | None]:
    """A rough guess by suffix; the real scan looks at contents."""
    kind, native = _guess(path, data)
    magic = next((known for start, known in _MAGICS.items() if data.startswith(start)), None)
    return (
        kind if kind is not FileKind.DATA or magic is None else FileKind.EXECUTABLE
    ), magic or native


_MAGICS = {
    b"\xcf\xfa\xed\xfe": NativeFormat.MACHO,
    b"\xca\xfe\xba\xbe": NativeFormat.MACHO,
    b"MZ": NativeFormat.PE,
}


def _guess(path: str, data: bytes) -> tuple[FileKind, NativeFormat | None]:
    name = path.rpartition("/")[2]
    suffix = name.rpartition(".")[2].lower()
    if ".dist-info/" in path:
        return (FileKind.LICENCE if name.upper().startswith("LICEN") else FileKind.METADATA), None
    if name.endswith(".so") and not name.startswith("lib"):
        return FileKind.EXTENSION, NativeFormat.ELF
    if name.endswith(".so") or ".so." in name:
        return FileKind.LIBRARY, NativeFormat.ELF
    if suffix == "a":
        return FileKind.STATIC, NativeFormat.ARCHIVE
    if data.startswith(b"\x7fELF"):
        return FileKind.EXECUTABLE, NativeFormat.ELF
    return _KINDS.get(suffix, FileKind.DATA), _NATIVE.get(suffix)


def _distributions(layer: str, files: Mapping[str, Contents]) -> dict[str, Distribution]:
    found: dict[str, Distribution] = {}
    for path, content in files.items():
        if not path.endswith(".dist-info/METADATA"):
            continue
        info_dir = path.rpartition("/")[0]
        folder, _, stem = info_dir.rpartition("/")
        raw_name, _, version = stem.removesuffix(".dist-info").partition("-")
        headers = _text(content).partition("\n\n")[0].splitlines()
        distribution = Distribution(
            layer=layer,
            name=raw_name.lower().replace("_", "-"),
            version=version,
            info_dir=info_dir,
            files=_owned(files, folder, info_dir, raw_name),
            licences=frozenset(p for p in files if p.startswith(info_dir + "/LICEN")),
            requires=tuple(
                h.partition(":")[2].strip() for h in headers if h.startswith("Requires-Dist:")
            ),
            entry_points=_entry_points(_text(files.get(f"{info_dir}/entry_points.txt", ""))),
        )
        found[distribution.name] = distribution
    return dict(sorted(found.items()))


def _owned(
    files: Mapping[str, Contents], folder: str, info_dir: str, raw_name: str
) -> frozenset[str]:
    record = files.get(f"{info_dir}/RECORD")
    if record is not None:
        rows = (line.partition(",")[0] for line in _text(record).splitlines() if line.strip())
        return frozenset(path for path in (_join(folder, row) for row in rows) if path in files)
    package = f"{folder}/{raw_name}"
    return frozenset(
        path
        for path in files
        if path.startswith((f"{info_dir}/", f"{package}/")) or path == f"{package}.py"
    )


def _join(folder: str, row: str) -> str:
    parts = folder.split("/")
    if row.startswith("$"):
        return expand(row)
    for part in row.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def _entry_points(text: str) -> tuple[EntryPoint, ...]:
    parser = ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return tuple(
        EntryPoint(group=group, name=name, value=value)
        for group in parser.sections()
        for name, value in parser.items(group)
    )


def _text(content: Contents) -> str:
    if isinstance(content, bytes):
        return content.decode()
    return content if isinstance(content, str) else ""
