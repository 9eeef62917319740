"""Owners by names, of files that no RECORD lists.

Such are bytecode, second copies of a distribution and the files of frozen applications.

A run goes by RECORD alone, because it deletes. An audit may go by names too: the folder ``yaml``
beside the metadata of PyYAML, whose ``top_level.txt`` says ``yaml``, is PyYAML's.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from slim.formats.base import Tree
from slim.inventory.distributions import find_distributions
from slim.model.record import Distribution, FileRecord, Inventory, Owner, OwnerKind
from slim.model.stack import Layer, LayerKind, Stack

_MAX_TOP_LEVEL = 1 << 16
# Where PyInstaller, cx_Freeze and others put the interpreter's own files, beside the application's.
_RUNTIME = re.compile(
    r"(?:.*/)?(?:libpython3[^/]*\.(?:so|dylib)[^/]*|python3\d*\.dll|python3\d*\.zip"
    r"|base_library\.zip|lib-dynload/.*)\Z"
)
_VERSION = re.compile(r"python3\.?(\d+)(?=[./t]|\Z)")


@dataclass(frozen=True, kw_only=True)
class _Claims:
    """Owners by RECORD, by the folder that a path lies below, and by the module that it is."""

    files: Mapping[str, Owner]
    folders: Mapping[str, Owner]
    modules: Mapping[str, Owner]
    runtime: Owner | None = None

    def owner(self, path: str) -> Owner | None:
        owner = self.files.get(path) or self.files.get(source_of(path) or "")
        if owner is not None:
            return owner
        folder, _, name = path.rpartition("/")
        owner = self.modules.get(f"{folder}/{name.partition('.')[0]}".lstrip("/"))
        while owner is None and folder:
            owner = self.folders.get(folder)
            folder = folder.rpartition("/")[0]
        if owner is None and self.runtime is not None and _RUNTIME.match(path):
            return self.runtime
        return owner


def refine_owners(stack: Stack, trees: Mapping[str, Tree], inventory: Inventory) -> Inventory:
    """The same inventory, in which files that nobody owned have the owner that their names tell.

    Distributions that a layer holds twice stay one in ``distributions``; the files of both copies
    are theirs.
    """
    records: dict[str, Mapping[str, FileRecord]] = {}
    distributions: dict[str, Mapping[str, Distribution]] = {}
    for layer in stack:
        tree = trees[layer.name]
        claims = _claims(layer, tree, inventory.distributions.get(layer.name, {}))
        refined: dict[str, FileRecord] = {}
        gained: dict[str, set[str]] = {}
        for path, record in inventory.records[layer.name].items():
            owner = None if record.owner.kind is OwnerKind.DISTRIBUTION else claims.owner(path)
            if owner is not None:
                gained.setdefault(owner.name, set()).add(path)
            refined[path] = record if owner is None else replace(record, owner=owner)
        records[layer.name] = refined
        distributions[layer.name] = {
            name: replace(distribution, files=distribution.files | gained[name])
            if name in gained
            else distribution
            for name, distribution in inventory.distributions.get(layer.name, {}).items()
        }
    return replace(inventory, records=records, distributions=distributions)


def source_of(path: str) -> str | None:
    """Path of the source that bytecode in ``__pycache__`` was compiled from (PEP 3147), or None."""
    folder, _, name = path.rpartition("/")
    parent, _, cache = folder.rpartition("/")
    if (cache or folder) != "__pycache__" or not name.endswith(".pyc"):
        return None
    return posixpath.join(parent, f"{name.partition('.')[0]}.py")


def _claims(layer: Layer, tree: Tree, known: Mapping[str, Distribution]) -> _Claims:
    files: dict[str, Owner] = {}
    folders: dict[str, Owner] = {}
    modules: dict[str, Owner] = {}
    for distribution in (*known.values(), *_second_copies(layer, tree, known)):
        site = posixpath.dirname(distribution.info_dir)
        folders.setdefault(distribution.info_dir, distribution.owner)
        for path in sorted(distribution.files):
            files.setdefault(path, distribution.owner)
        if any(not path.startswith(f"{distribution.info_dir}/") for path in distribution.files):
            continue  # its RECORD says what is its own
        for name in _top_level(distribution, tree):
            place = posixpath.join(site, name)
            folders.setdefault(place, distribution.owner)
            modules.setdefault(place, distribution.owner)
    return _Claims(
        files=files, folders=folders, modules=modules, runtime=_frozen_runtime(layer, tree)
    )


def _frozen_runtime(layer: Layer, tree: Tree) -> Owner | None:
    """The interpreter in a frozen application, whose standard library isn't there as files."""
    if layer.kind is not LayerKind.PLAIN or layer.stdlib_dir:
        return None
    own = sorted(path for path in tree.members if _RUNTIME.match(path))
    minors = (match[1] for path in own if (match := _VERSION.search(path)))
    return Owner(
        kind=OwnerKind.RUNTIME,
        name="cpython",
        version=f"3.{minor}" if (minor := next(minors, "")) else "",
    )


def _second_copies(
    layer: Layer, tree: Tree, known: Mapping[str, Distribution]
) -> Iterator[Distribution]:
    infos = {distribution.info_dir for distribution in known.values()}
    present = {
        posixpath.dirname(path) for path in tree.members if path.endswith(".dist-info/METADATA")
    }
    others = {posixpath.dirname(info) for info in present - infos} & set(layer.site_dirs)
    for site in sorted(others):
        distributions, _ = find_distributions(replace(layer, site_dirs=(site,)), tree, lenient=True)
        yield from (
            distribution
            for distribution in distributions.values()
            if distribution.info_dir not in infos
        )


def _top_level(distribution: Distribution, tree: Tree) -> Iterable[str]:
    member = tree.members.get(f"{distribution.info_dir}/top_level.txt")
    names: list[str] = []
    if member is not None and member.content is not None and member.size <= _MAX_TOP_LEVEL:
        names = bytes(member.content.view()).decode("utf-8", "replace").split()
    plain = distribution.name.replace("-", "_")
    return dict.fromkeys(
        [*(name for name in names if "/" not in name and name not in (".", "..")), plain]
    )
