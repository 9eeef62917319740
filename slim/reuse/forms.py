"""Results of runs as JSON, and back: whatever :mod:`slim.model` consists of.

Every object is one row of a table, so what many refer to is written once. Only classes of
:mod:`slim.model` and a few of ``packaging`` are made again, by their own constructors.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import pkgutil
import zlib
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any, Final

import slim.model
from slim.errors import UnsafeInputError

_TEXTS: Final = {
    "Requirement": "packaging.requirements",
    "SpecifierSet": "packaging.specifiers",
    "Version": "packaging.version",
}
"""Classes that are made of their text, with their modules."""
_MAX_FORM: Final = 1 << 30
"""Bytes of the largest result, uncompressed."""


def pack(value: object) -> bytes:
    """Return a value as compressed JSON. Raises TypeError for what it can't be."""
    packer = _Packer()
    root = packer.form(value)
    text = json.dumps([packer.rows, root], separators=(",", ":"), ensure_ascii=True)
    return zlib.compress(text.encode("ascii"), 3)


def unpack(data: bytes) -> Any:
    """Return the value in what :func:`pack` wrote. Raises UnsafeInputError for anything else."""
    try:
        inflater = zlib.decompressobj()
        text = inflater.decompress(data, _MAX_FORM)
        if not inflater.eof:
            raise ValueError("it is cut, or too large")
        rows, root = json.loads(text)
        return _Unpacker(rows).value(root)
    except (
        zlib.error,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise UnsafeInputError(f"it holds no result: {error}") from None


class _Packer:
    def __init__(self) -> None:
        self.rows: list[object] = []
        self._known: dict[int, int] = {}
        self._alive: list[object] = []

    def form(self, value: object) -> object:
        if value is None or type(value) in (bool, int, float, str):
            return value
        at = self._known.get(id(value))
        if at is None:
            row = self._row(value)
            at = len(self.rows)
            self.rows.append(row)
            self._known[id(value)] = at
            self._alive.append(value)  # or another object may get its id
        return [at]

    def _row(self, value: object) -> object:
        kind = type(value)
        if isinstance(value, Enum):
            return ["enum", _name(kind), value.name]
        if isinstance(value, str):
            return ["str", _name(kind), str(value)]
        if dataclasses.is_dataclass(value):
            fields = [f.name for f in dataclasses.fields(value) if f.init]
            return ["data", _name(kind), [self.form(getattr(value, name)) for name in fields]]
        if isinstance(value, tuple):
            named = _name(kind) if kind is not tuple else ""
            return ["tuple", named, [self.form(item) for item in value]]
        if isinstance(value, list):
            return ["list", [self.form(item) for item in value]]
        if isinstance(value, frozenset | set):
            forms = [self.form(item) for item in sorted(value, key=repr)]
            return ["frozenset" if isinstance(value, frozenset) else "set", forms]
        if isinstance(value, Mapping):
            return ["map", [[self.form(key), self.form(item)] for key, item in value.items()]]
        if isinstance(value, bytes):
            return ["bytes", value.hex()]
        if _TEXTS.get(kind.__name__) == kind.__module__:
            return ["text", kind.__name__, str(value)]
        if isinstance(value, PurePath):
            return ["path", str(value)]
        raise TypeError(f"{kind.__name__} has no form")


class _Unpacker:
    def __init__(self, rows: list[Any]) -> None:
        self._values: list[Any] = []
        for row in rows:  # a row refers to earlier ones only
            self._values.append(self._made(*row))

    def value(self, form: Any) -> Any:
        return self._values[form[0]] if type(form) is list else form

    def _made(self, sort: str, *parts: Any) -> Any:
        match sort, parts:
            case "enum", (name, member):
                return _class(name)[member]
            case "str", (name, text):
                return _class(name)(text)
            case "data", (name, forms):
                kind = _class(name)
                return kind(**dict(zip(_fields(kind), map(self.value, forms), strict=True)))
            case "tuple", (name, forms):
                values = map(self.value, forms)
                return _class(name)(*values) if name else tuple(values)
            case "list", (forms,):
                return [self.value(form) for form in forms]
            case "frozenset", (forms,):
                return frozenset(map(self.value, forms))
            case "set", (forms,):
                return set(map(self.value, forms))
            case "map", (pairs,):
                return {self.value(key): self.value(item) for key, item in pairs}
            case "bytes", (text,):
                return bytes.fromhex(text)
            case "text", (name, text):
                return getattr(importlib.import_module(_TEXTS[name]), name)(text)
            case "path", (text,):
                from pathlib import Path

                return Path(text)
        raise ValueError(f"a row of the sort {sort!r}")


@cache
def _class(name: str) -> Any:
    """Return the class of :mod:`slim.model` with a name. LookupError for one that isn't there."""
    module, _, qualname = name.partition(".")
    if module not in _modules():
        raise LookupError(name)
    full = f"slim.model.{module}"
    found = getattr(importlib.import_module(full), qualname, None)
    if not isinstance(found, type) or found.__module__ != full:
        raise LookupError(name)
    return found


@cache
def _modules() -> frozenset[str]:
    return frozenset(found.name for found in pkgutil.iter_modules(slim.model.__path__))


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.init)


def _name(kind: type) -> str:
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__qualname__}"
