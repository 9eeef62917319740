"""The tree that the page draws: layer > owner > folder > file, packed into a few columns.

Folders that hold nothing but one folder are joined with it (``lib/python3.13/site-packages``), as a
person reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from slim.model.record import FileRecord
from slim.reports.common.text import printable

KINDS = {"stack": "s", "layer": "l", "owner": "o", "folder": "d", "file": "f"}
"""What a node is, as the page's script knows it."""


@dataclass(slots=True)
class Node:
    """A node with its children by name. ``record`` is there for files only; ``size`` is the bytes below."""

    name: str
    kind: str
    record: FileRecord | None = None
    size: int = 0
    files: int = 0
    children: dict[str, Node] = field(default_factory=dict)

    def child(self, name: str, kind: str) -> Node:
        """The child of that name, made where there is none."""
        key = f"{kind}:{name}"
        found = self.children.get(key)
        if found is None:
            found = self.children[key] = Node(name=name, kind=kind)
        return found


def grow(layers: Iterable[tuple[str, Iterable[FileRecord]]], root: Node) -> Node:
    """Put every file below ``root``."""
    for layer_name, records in layers:
        layer = root.child(layer_name, "layer")
        for record in records:
            owner = layer.child(record.owner.label, "owner")
            place = owner
            *folders, name = record.path.split("/")
            for folder in folders:
                place = place.child(folder, "folder")
            file = place.child(name, "file")
            file.record, file.size, file.files = record, record.size, 1
    return root


def finish(node: Node) -> None:
    """Join chains of single folders and sum up, from the leaves to the root. Iterative: paths may be deep."""
    order: list[Node] = []
    stack = [node]
    while stack:
        one = stack.pop()
        order.append(one)
        for child in one.children.values():
            _join(child)
        stack.extend(one.children.values())
    for one in reversed(order):
        if one.children:
            one.size = sum(child.size for child in one.children.values())
            one.files = sum(child.files for child in one.children.values())


def _join(node: Node) -> None:
    while node.kind == "folder" and len(node.children) == 1:
        (only,) = node.children.values()
        if only.kind != "folder":
            return
        node.name = f"{node.name}/{only.name}"
        node.children = only.children


def walk(root: Node) -> Iterator[tuple[int, Node]]:
    """Every node with its depth, parents first, the largest child first."""
    stack = [(0, root)]
    while stack:
        depth, node = stack.pop()
        yield depth, node
        children = sorted(
            node.children.values(), key=lambda child: (child.size, child.files, child.name)
        )
        stack.extend((depth + 1, child) for child in children)


def shown(name: str) -> str:
    """A name that is safe to show."""
    return printable(name)
