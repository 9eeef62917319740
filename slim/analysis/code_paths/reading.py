"""Listings in one file's code: a reading that is remembered, and made by other processes."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from typing import Any, Final

from slim.analysis.code_paths.listing import Listing
from slim.analysis.code_paths.listings import listings_of, may_list, sources_at
from slim.analysis.code_paths.module import CodeModule
from slim.analysis.list_words import finds_places
from slim.analysis.remembering import Form
from slim.model.stack import Platform, System
from slim.system.syntax import parsed, walk


def listings_variant(platform: Platform, *, sources: bool) -> str:
    """Return what listings depend on besides the file.

    ``platform`` is that of its layer; ``sources`` says that modules count which are read as files.
    """
    return json.dumps([sources, platform.tag, platform.system, platform.machine])


def listings_in(content: bytes, variant: str) -> tuple[Listing, ...] | None:
    """The listings in Python code; None where it can't be parsed."""
    sources, tag, system, machine = json.loads(variant)
    try:
        tree = parsed(content)
    except SyntaxError:
        return None
    found: list[Listing] = []
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        if sources or any(isinstance(node, ast.Call) and may_list(node) for node in walk(tree)):
            platform = Platform(tag=tag, system=System(system), machine=machine)
            module = CodeModule(tree, platform, follows=True)
            found.extend(listings_of(module, set()))
            if sources:
                found.extend(sources_at(module))
    return tuple(found)


def place_in(content: bytes, name: str, platform: Platform) -> str:
    """The place that a variable or function of a module tells; empty for none."""
    imports = re.compile(rb"\bimport\b[^;#]{0,400}\b" + name.encode() + rb"\b")
    if name.encode() in content and (finds_places(content) or imports.search(content)):
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            return CodeModule(parsed(content), platform, follows=True).place(name)
    return ""


def _packed(listings: tuple[Listing, ...] | None) -> object:
    return listings and [
        [each.folder, each.wanted, each.recursive, each.line, each.text] for each in listings
    ]


def _unpacked(stored: Any) -> tuple[Listing, ...] | None:
    if stored is None:
        return None
    return tuple(
        Listing(folder, tuple(wanted), recursive, line, text)
        for folder, wanted, recursive, line, text in stored
    )


LISTINGS: Final[Form[tuple[Listing, ...] | None]] = Form("listings", _packed, _unpacked)
