"""Tables of removed modules, which a layer's guard reads; the payload's ``_tables`` has the form.

A module's packages are imported before it. So only modules have a row whose package can still be
imported: one row stands for a package that went whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from slim import __version__
from slim.analysis.imports.modules import Module, ModuleIndex, dotted, parents
from slim.model.plan import Plan, Remove
from slim.model.record import EntryType, FileKey, Inventory

FIRST_LINE = "slim guard 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedModule:
    """Row of a table: ``name`` has dots; ``place`` is its root's number and what follows.

    After the number comes ``.`` for ``NAME.py``, ``/`` for a package, else ``/`` and the rest of
    the path below the root.
    """

    name: str
    rule: str
    """Id of the rule that took it."""
    place: str


class RemovedModules:
    """Modules that a plan takes from a stack, by layer."""

    def __init__(self, index: ModuleIndex, inventory: Inventory, plan: Plan) -> None:
        self._index = index
        self._plan = plan
        self._left = frozenset(self._importable(inventory))

    def rows(self, layer: str) -> tuple[RemovedModule, ...]:
        """Return the modules that a layer loses and whose packages stay, sorted."""
        found: dict[str, RemovedModule] = {}
        for key, module, rule in self._removed(layer):
            if self._has_package(module):
                row = self._row(key, module, rule)
                found.setdefault(row.name, row)
        for name, root, rule in self._lost_folders(layer):
            place = f"{self._number(layer, root)}/"
            found.setdefault(dotted(name), RemovedModule(name=dotted(name), rule=rule, place=place))
        return tuple(found[name] for name in sorted(found) if _is_plain(name))

    def hollow(self, layer: str) -> tuple[str, ...]:
        """Return the folders (relative to the layer) of packages that lost ``__init__``, sorted.

        Only those in which something is left: Python would import them as empty packages.
        """
        folders = {
            key[1].rpartition("/")[0]
            for key, module, _ in self._removed(layer)
            if module.package and module.name in self._left
        }
        return tuple(sorted(folder for folder in folders if _is_plain(folder)))

    def _importable(self, inventory: Inventory) -> Iterator[str]:
        """Yield the names of all modules and folders that stay, in any layer."""
        seen: set[FileKey] = set()
        for record in inventory:
            if record.type is EntryType.DIRECTORY or self._plan.removes(record.key):
                continue
            for module in self._index.modules.get(record.key, ()):
                yield module.name
            for folder in self._index.folders_around(record.key):
                if folder in seen:
                    break
                seen.add(folder)
                yield self._index.folder_name(folder)

    def _removed(self, layer: str) -> Iterator[tuple[FileKey, Module, str]]:
        for action in self._plan.for_layer(layer):
            if isinstance(action, Remove):
                for module in self._index.modules.get(action.record.key, ()):
                    if module.rooted and module.name not in self._names_left(module):
                        yield action.record.key, module, action.rule

    def _names_left(self, module: Module) -> frozenset[str]:
        """The names that stay, for a module; none for a package: its folder isn't the package."""
        return frozenset() if module.package else self._left

    def _has_package(self, module: Module) -> bool:
        return all(package in self._left for package in parents(module.name))

    def _lost_folders(self, layer: str) -> Iterator[tuple[str, str, str]]:
        """Yield folders without ``__init__`` that nothing is left of, with root and rule."""
        packages = {module.name for _, module, _ in self._removed(layer) if module.package}
        for key, module, rule in self._removed(layer):
            for package in parents(module.name):
                outer = package.rpartition("/")[0]
                if (
                    package not in self._left
                    and package not in packages
                    and (not outer or outer in self._left)
                ):
                    yield package, self._root(key), rule

    def _row(self, key: FileKey, module: Module, rule: str) -> RemovedModule:
        root = self._root(key)
        inner = key[1][len(root) + 1 :] if root else key[1]
        number = self._number(key[0], root)
        place = f"{number}/{inner}"
        if inner == f"{module.name}.py":
            place = f"{number}."
        elif inner == f"{module.name}/__init__.py":
            place = f"{number}/"
        return RemovedModule(name=dotted(module.name), rule=rule, place=place)

    def _root(self, key: FileKey) -> str:
        return next(
            root for root in self._index.roots[key[0]] if not root or key[1].startswith(f"{root}/")
        )

    def _number(self, layer: str, root: str) -> int:
        return self._index.roots[layer].index(root)


def _is_plain(name: str) -> bool:
    """True for a name that a line of a table can hold."""
    return name.isprintable()


def render_table(
    layer: str,
    site: str,
    roots: Iterable[str],
    rows: Iterable[RemovedModule],
    more: Mapping[str, str],
) -> bytes:
    """Render the table of a layer whose site folder (relative to it) is ``site``.

    ``more`` are further lines of the header, by their words.
    """
    rows = tuple(rows)
    rules = sorted({row.rule for row in rows})
    number = {rule: position for position, rule in enumerate(rules)}
    lines = [
        FIRST_LINE,
        f"slim {__version__}",
        f"layer {layer}",
        f"site {site}",
        *(f"root {root}" for root in roots),
        *(f"rule {rule}" for rule in rules),
        *(f"{word} {value}" for word, value in more.items()),
        "",
        *(f"{row.name}\t{number[row.rule]}\t{row.place}" for row in rows),
    ]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")
