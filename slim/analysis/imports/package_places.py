"""Packages at whose place a file looks: ``pkg.__file__``, ``files("pkg")``, ``inspect.getfile``."""

from __future__ import annotations

import re

_PLACE = re.compile(
    rb"(?<!\w)(?<!\w\.)(\w++)(?:\.\w++)*\.__(?:file|path|spec|loader)__"
    rb"|\b(?:files|getfile|getsourcefile|getabsfile|find_spec|get_data|resource_\w+|distribution)"
    rb"\(\s*[\"']?(\w+)"
    rb"|\bsys\.modules\[\s*[\"'](\w+)"
)
_WORDS = (b".__", b"files(", b"getfile(", b"getsourcefile(", b"getabsfile(", b"find_spec(")
_MORE_WORDS = (b"get_data(", b"resource_", b"distribution(", b"sys.modules[")
_ALIAS = re.compile(rb"\bimport[ \t]+(\w+)[\w.]*[ \t]+as[ \t]+(\w+)")
_FROM = re.compile(rb"\bfrom[ \t]+(\w+)[\w.]*[ \t]+import[ \t]+([\w, \t]+)")


def places_of_packages(source: bytes, imported: frozenset[str]) -> frozenset[str]:
    """Return the top-level packages whose folder a file asks for.

    ``imported`` are those that it imports or names; others aren't found.
    """
    if not any(map(source.__contains__, (*_WORDS, *_MORE_WORDS))):
        return frozenset()
    asked = {next(filter(None, match.groups())) for match in _PLACE.finditer(source)}
    found = {name.decode("utf-8", "replace") for name in asked}
    for top, name in _ALIAS.findall(source):
        if name in asked:
            found.add(top.decode("utf-8", "replace"))
    for top, names in _FROM.findall(source):
        if not asked.isdisjoint(names.replace(b",", b" ").split()):
            found.add(top.decode("utf-8", "replace"))
    return imported.intersection(found)
