"""From the trees of a stack to its inventory: every file with owner, category, sizes and digest."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from slim.binaries import identify, may_be_native
from slim.formats.assemble import Warnings
from slim.formats.base import Content, Member, Tree
from slim.formats.names import display
from slim.inventory.bytecode import estimate
from slim.inventory.classify import classify
from slim.inventory.describe import metadata_sites
from slim.inventory.distributions import find_distributions
from slim.inventory.manifest import POSTINSTALL
from slim.inventory.recorded import with_differing
from slim.model.context import RunContext
from slim.model.record import (
    UNOWNED,
    Distribution,
    EntryType,
    FileKind,
    FileRecord,
    Inventory,
    NativeFormat,
    Owner,
    OwnerKind,
)
from slim.model.stack import Layer, LayerKind, Stack
from slim.system.mapped import contains

_BATCH = 64
_NATIVE_NAMES = (".so", ".dylib", ".dll", ".pyd", ".exe")


def scan(
    stack: Stack,
    trees: Mapping[str, Tree],
    context: RunContext,
    warnings: Iterable[str] = (),
    *,
    lenient: bool = False,
) -> Inventory:
    """Look at every file of every layer once. ``warnings`` of reading become the first of it.

    Raises UnsafeInputError for a RECORD that can't be right, unless ``lenient`` (for looking only).
    """
    total = sum(len(tree.members) for tree in trees.values())
    context.progress.stage("Scanning files", total=total)
    records: dict[str, dict[str, FileRecord]] = {}
    distributions: dict[str, dict[str, Distribution]] = {}
    remarks = list(warnings)
    for layer in stack:
        tree = trees[layer.name]
        installed, warned = find_distributions(layer, tree, lenient=lenient)
        remarks.extend(warned)
        found = _scan_layer(layer, tree, installed, context)
        records[layer.name] = found
        distributions[layer.name], warned = with_differing(installed, tree, found, lenient=lenient)
        remarks.extend(warned)
        remarks.extend(f"{layer.name}: {text}" for text in _misnamed(records[layer.name]))
        remarks.extend(_elsewhere(layer, tree))
        tree.forget()
    return Inventory(records=records, distributions=distributions, warnings=tuple(remarks))


def _elsewhere(layer: Layer, tree: Tree) -> Iterator[str]:
    """Remarks on distributions of a plain folder that lie in no site-packages folder.

    ``pip install --target`` makes such folders, and so does naming the site-packages folder itself.
    """
    if layer.kind is not LayerKind.PLAIN:
        return
    for site in sorted(metadata_sites(tree) - set(layer.site_dirs)):
        if any(site.startswith(f"{known}/") for known in layer.site_dirs):
            continue
        place = posixpath.join(layer.name, site).rstrip("/")
        yield (
            f"{place}: distributions are installed here, but no folder inside of what was given is "
            "called site-packages or dist-packages, so no rule about distributions applies to "
            "them; give the folder of the whole environment, or lay them out as "
            "lib/python3.X/site-packages"
        )


def _scan_layer(
    layer: Layer,
    tree: Tree,
    distributions: Mapping[str, Distribution],
    context: RunContext,
) -> dict[str, FileRecord]:
    owners = _owners(distributions)
    licences = {path for distribution in distributions.values() for path in distribution.licences}
    fallback = _fallback_owner(layer)
    sites = tuple(f"{site}/" for site in layer.site_dirs)

    def records_at(paths: Sequence[str]) -> list[FileRecord]:
        found = []
        for path in paths:
            owner = owners.get(path)
            if owner is None:
                owner = (
                    fallback
                    if fallback and not path.startswith(sites) and not _scaffolding(path)
                    else UNOWNED
                )
            found.append(
                record_of(layer, path, tree.members[path], owner, tree, is_licence=path in licences)
            )
        return found

    paths = sorted(
        path
        for path, member in tree.members.items()
        if path and member.type is not EntryType.DIRECTORY
    )
    batches = [paths[at : at + _BATCH] for at in range(0, len(paths), _BATCH)]
    found: dict[str, FileRecord] = {}
    with ThreadPoolExecutor(max_workers=max(1, context.workers)) as pool:
        for records in pool.map(records_at, batches):
            found.update((record.path, record) for record in records)
            context.progress.advance(len(records))
    return found


def _misnamed(records: Mapping[str, FileRecord]) -> list[str]:
    """Warnings about files called like libraries and programs that aren't any.

    They are empty, cut, or the text of a linker script.
    """
    misnamed = Warnings()
    for path, record in records.items():
        if record.type is EntryType.FILE and record.native is None and path.endswith(_NATIVE_NAMES):
            misnamed.add("named like a native file, and isn't one", display(path))
    return misnamed.lines()


def _owners(distributions: Mapping[str, Distribution]) -> dict[str, Owner]:
    """Owners by path, as the RECORDs list them."""
    owners: dict[str, Owner] = {}
    for distribution in distributions.values():
        owner = distribution.owner
        for path in distribution.files:
            owners.setdefault(path, owner)
    return owners


def _fallback_owner(layer: Layer) -> Owner | None:
    if layer.kind is LayerKind.RUNTIME or (layer.kind is LayerKind.PLAIN and layer.stdlib_dir):
        return Owner(kind=OwnerKind.RUNTIME, name="cpython", version=layer.python_version or "")
    return None


def _scaffolding(path: str) -> bool:
    """True for files that venvstacks adds to every layer: no distribution's, only the layer's."""
    return path.startswith("share/venv/") or path == POSTINSTALL


def record_of(
    layer: Layer,
    path: str,
    member: Member,
    owner: Owner,
    tree: Tree,
    *,
    is_licence: bool = False,
) -> FileRecord:
    """Record of one file or link of a layer, whose tree says what is compiled and from what."""
    if member.type is not EntryType.FILE or member.content is None:
        return FileRecord(
            layer=layer.name,
            path=path,
            type=member.type,
            kind=FileKind.LINK,
            owner=owner,
            size=0,
            mode=member.mode,
            link_target=member.link_target,
        )
    view, sha256 = _viewed(path, member.content)
    native = identify(view)
    kind = classify(
        path,
        native=native,
        exports_module=_exports_module(path, view, native),
        is_licence=is_licence,
    )
    return FileRecord(
        layer=layer.name,
        path=path,
        type=member.type,
        kind=kind,
        owner=owner,
        size=member.size,
        mode=member.mode,
        sha256=sha256,
        native=native,
        bytecode_size=_bytecode(layer, path, view, tree),
        compiled_from=_compiled_from(layer, path, tree),
    )


def _viewed(path: str, content: Content) -> tuple[memoryview, str]:
    """The bytes of a file that its category follows from, and the SHA-256 of all of them.

    Of a large file that is neither machine code nor a source, the beginning is enough, and saves
    the memory for the rest.
    """
    state = hashlib.sha256()
    pieces = iter(content.chunks())
    first = next(pieces, b"")
    state.update(first)
    for piece in pieces:
        state.update(piece)
    view = memoryview(first)
    if len(first) < content.size and (may_be_native(view) or path.endswith(".py")):
        view = content.view()
    return view, state.hexdigest()


def _exports_module(path: str, view: memoryview, native: NativeFormat | None) -> bool:
    """True if a native file is an extension module: it defines ``PyInit_NAME`` (PEP 489)."""
    name = posixpath.basename(path)
    stem, dot, rest = name.partition(".")
    if (
        native in (None, NativeFormat.ARCHIVE)
        or not dot
        or not rest.endswith(("so", "pyd", "dylib"))
    ):
        return False
    if rest not in ("so", "pyd", "abi3.so"):
        return "cpython-" in rest or rest.startswith("cp3")
    return not stem.startswith("lib") and contains(
        view, f"PyInit_{stem}\0".encode("utf-8", "surrogateescape")
    )


def _bytecode(layer: Layer, path: str, view: memoryview, tree: Tree) -> int:
    """Bytes that ``postinstall.py`` will compile from a source.

    None where its current bytecode is there already.
    """
    if (
        not path.endswith(".py")
        or not _compiles(path, tree)
        or _cache_of(layer, path) in tree.members
    ):
        return 0
    return estimate(bytes(view))


def _compiled_from(layer: Layer, path: str, tree: Tree) -> str:
    """Path of the source of a ``.pyc`` that ``postinstall.py`` would write again, or empty."""
    folder, name = posixpath.split(path)
    suffix = f".{layer.cache_tag}.pyc"
    if (
        posixpath.basename(folder) != "__pycache__"
        or not name.endswith(suffix)
        or not _compiles(path, tree)
    ):
        return ""
    source = posixpath.join(posixpath.dirname(folder), f"{name.removesuffix(suffix)}.py")
    return source if source in tree.members else ""


def _compiles(path: str, tree: Tree) -> bool:
    """True for what ``postinstall.py`` compiles: all below ``lib`` (``Lib`` on Windows)."""
    return path.lower().startswith("lib/") and POSTINSTALL in tree.members


def _cache_of(layer: Layer, path: str) -> str:
    """Path at which the layer's CPython keeps the bytecode of a source (PEP 3147)."""
    folder, name = posixpath.split(path)
    return f"{folder}/__pycache__/{name[:-3]}.{layer.cache_tag}.pyc"
