"""Requests of native files to their loaders, as readings that are remembered."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from slim.analysis.remembering import Form
from slim.binaries.base import Dynamic
from slim.binaries.elf.dynamic import ElfDynamic
from slim.binaries.macho.dynamic import MachoDynamic
from slim.binaries.pe.dynamic import PeDynamic

_KNOWN: Final[dict[str, type[ElfDynamic | MachoDynamic | PeDynamic]]] = {
    known.__name__: known for known in (ElfDynamic, MachoDynamic, PeDynamic)
}
_SETS: Final = frozenset({"python_inits", "weak", "delayed"})


def _pack(dynamic: Dynamic | None) -> object:
    if dynamic is None:
        return None
    if not isinstance(dynamic, ElfDynamic | MachoDynamic | PeDynamic):
        raise TypeError(type(dynamic).__name__)
    values = {field.name: getattr(dynamic, field.name) for field in fields(dynamic)}
    values |= {name: sorted(values[name]) for name in _SETS & values.keys()}
    return [type(dynamic).__name__, values]


def _unpack(stored: Any) -> Dynamic | None:
    if stored is None:
        return None
    name, values = stored
    return _KNOWN[name](**{key: _value(key, value) for key, value in values.items()})


def _value(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return frozenset(value) if name in _SETS else tuple(value)
    return value


DYNAMIC: Final[Form[Dynamic | None]] = Form("dynamic", _pack, _unpack)
