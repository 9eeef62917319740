"""The tree that the page draws: layer > owner > folder > file, packed into a few columns.

Folders that hold nothing but one folder are joined with it (``lib/python3.13/site-packages``), as a
person reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from slim.model.record import FileRecord

KINDS = {"stack": "s", "layer": "l", "owner": "o", "folder": "d", "file": "f"}
"""Letters that the page's script knows kinds of nodes by."""


@dataclass(slots=True)
class Node:
    """A node with its children by name; ``size`` are the bytes below. Only files have a record."""

    name: str
    kind: str
    record: FileRecord | None = None
    size: int = 0
    files: int = 0
    children: dict[str, Node] = field(default_factory=dict)

    def child(self, name: str, kind: str) -> Node:
        """Return the child of that name, and make it if there is none."""
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
    """Join chains of single folders and sum up, from the leaves to the root.

    Iterative, because paths may be deep.
    """
    order: list[Node] = []
    stack = [node]
    while stack:
        parent = stack.pop()
        order.append(parent)
        for child in parent.children.values():
            _join(child)
        stack.extend(parent.children.values())
    for parent in reversed(order):
        if parent.children:
            parent.size = sum(child.size for child in parent.children.values())
            parent.files = sum(child.files for child in parent.children.values())


def _join(node: Node) -> None:
    while node.kind == "folder" and len(node.children) == 1:
        (only,) = node.children.values()
        if only.kind != "folder":
            return
        node.name = f"{node.name}/{only.name}"
        node.children = only.children


def walk(root: Node) -> Iterator[tuple[int, Node]]:
    """Return every node with its depth, parents first, the largest child first."""
    stack = [(0, root)]
    while stack:
        depth, node = stack.pop()
        yield depth, node
        children = sorted(
            node.children.values(), key=lambda child: (child.size, child.files, child.name)
        )
        stack.extend((depth + 1, child) for child in children)
