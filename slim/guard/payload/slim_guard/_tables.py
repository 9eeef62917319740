"""Tables of removed modules: a text file for each run that took modules from a layer.

``removed-1.txt``, ``removed-2.txt`` ... lie beside this file in each layer. A table has a header of
``word value`` lines, an empty line, and a line for each module, in order::

    maths.tests <tab> 0 <tab> 0/

That is its name, its rule (by number, from the header), and its place: the number of a root, and
``.`` for ``NAME.py``, ``/`` for a package, or else the rest of the path after the root and ``/``.
"""

import os
import sys

FIRST_LINE = b"slim guard 1\n"


class Table:
    """Table of one run in one layer, parsed no further than it has to be."""

    def __init__(self, site: str, text: bytes) -> None:
        self._site = site
        self._text = text
        self._header: "dict[str, list[str]] | None" = None

    def find(self, name: str) -> "tuple[str, str] | None":
        """Return the rule that took a module, and the glob that keeps it; None for any other."""
        if not name.isprintable():  # no line has it
            return None
        key = b"\n%s\t" % name.encode("utf-8", "surrogatepass")
        start = self._text.find(key)
        if start < 0:
            return None
        start += len(key)
        end = self._text.find(b"\n", start)
        rule, place = self._text[start:end].decode("utf-8", "surrogateescape").split("\t")
        return self.header["rule"][int(rule)], self._glob(name, place)

    def modules(self) -> "list[str]":
        """Return the names of all modules."""
        rows = self._text.partition(b"\n\n")[2].decode("utf-8", "surrogateescape")
        return [row.partition("\t")[0] for row in rows.splitlines()]

    @property
    def header(self) -> "dict[str, list[str]]":
        """The values of the header, by word."""
        if self._header is None:
            self._header = {}
            head = self._text.partition(b"\n\n")[0].decode("utf-8", "surrogateescape")
            for line in head.splitlines():
                word, _, value = line.partition(" ")
                self._header.setdefault(word, []).append(value)
        return self._header

    @property
    def layer(self) -> str:
        """Name of the layer."""
        return self.header["layer"][0]

    @property
    def folder(self) -> str:
        """The layer's folder."""
        inner = self.header["site"][0]
        up = [os.pardir] * len([part for part in inner.split("/") if part])
        return os.path.normpath(os.path.join(os.path.abspath(self._site), *up))

    def _glob(self, name: str, place: str) -> str:
        number = place.rstrip("./") if place[-1:] in "./" and place[:-1].isdigit() else ""
        if not number:
            number, _, rest = place.partition("/")
            return self._below(number, rest)
        path = name.replace(".", "/")
        return self._below(number, path + (".py" if place.endswith(".") else "/**"))

    def _below(self, root: str, path: str) -> str:
        return "/".join(part for part in (self.header["root"][int(root)], path) if part)


_known: "dict[str, list[Table]]" = {}


def tables() -> "list[Table]":
    """Return the tables of all layers that Python searches, each read once."""
    for place in sys.path:
        if isinstance(place, str) and place not in _known:
            _known[place] = _read(place)
    return [table for found in list(_known.values()) for table in found]


def _read(place: str) -> "list[Table]":
    found: "list[Table]" = []
    while True:
        name = os.path.join(place, "slim_guard", "removed-%d.txt" % (len(found) + 1))
        try:
            with open(name, "rb", buffering=0) as file:
                text = file.read()
        except (OSError, ValueError):
            return found
        if not text.startswith(FIRST_LINE):
            return found
        found.append(Table(place, text))
