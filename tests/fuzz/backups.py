"""Fuzz targets: debug files, symbol files, keys of program databases, the index of a backup."""

from __future__ import annotations

import re
from pathlib import Path

from slim.backup.index import parse_index, render_index
from slim.binaries.elf.debugfile import DebugFile, build_id, debug_file
from slim.binaries.elf.layout import read_header
from slim.binaries.macho.debugfile import symbol_files, uuids
from slim.binaries.pe.pdb import pdb_key
from slim.errors import UnsafeInputError
from slim.model.limits import Limits

_SOURCE = Path("fuzz.tar.zst")


def symbols(data: bytes) -> None:
    """The target. No exception, and files that debuggers can tell apart."""
    made, identity = debug_file(data), build_id(data)
    assert identity is None or re.fullmatch(r"(?:[0-9a-f]{2}){2,64}", identity)
    if isinstance(made, DebugFile):
        file = bytes(made.view())
        assert len(file) == made.size
        assert read_header(file) is not None
        assert build_id(file) in (identity, None)
    else:
        assert made.reason
    for one in symbol_files(data):
        assert uuids(one.data) == (one.uuid,)


def database(data: bytes) -> None:
    """The target."""
    key = pdb_key(data)
    assert key is None or re.fullmatch(r"[0-9A-F]{33,40}", key)


def index(data: bytes) -> None:
    """The target. An accepted index is rendered as it was, and its names stay below a folder."""
    try:
        found = parse_index(data, source=_SOURCE, limits=Limits())
    except UnsafeInputError as error:
        assert error.file is not None and error.file.startswith(str(_SOURCE))
        return
    for stack, layer, file in found:
        parts = stack.member_of(layer, file).split("/")
        assert not {"", ".", ".."} & set(parts)
    assert parse_index(render_index(found), source=_SOURCE, limits=Limits()) == found
