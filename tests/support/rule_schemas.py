"""Pass schemas and builders for tests about rules, independent of the real passes."""

from __future__ import annotations

from typing import Any

from slim.model.record import EntryType, FileKind, FileRecord, Owner, OwnerKind
from slim.model.rule import OptionSchema, PassSchema, Rule, Safety, Verb
from slim.model.stack import Layer, LayerKind, Platform

SCHEMAS = {
    schema.name: schema
    for schema in (
        PassSchema(name="tests", summary="test suites", verb=Verb.REMOVE),
        PassSchema(name="leftovers", summary="leftovers", verb=Verb.REMOVE),
        PassSchema(
            name="description", summary="descriptions", verb=Verb.REWRITE, needs_globs=False
        ),
        PassSchema(
            name="debug-symbols",
            summary="symbols",
            verb=Verb.REWRITE,
            needs_globs=False,
            options={
                "level": OptionSchema(
                    type=str,
                    default="unneeded",
                    help="how much",
                    choices=("none", "debug", "unneeded"),
                )
            },
        ),
        PassSchema(
            name="dylibs",
            summary="libraries",
            verb=Verb.REMOVE,
            needs_globs=False,
            options={
                "evidence": OptionSchema(
                    type=str, default="none", help="how sure", choices=("none", "weak")
                ),
                "roots": OptionSchema(type=bool, default=False, help="mark plug-ins"),
                "depth": OptionSchema(type=int, default=1, help="a number"),
                "names": OptionSchema(type=tuple, default=(), help="a list"),
            },
        ),
    )
}

SITE = "lib/python3.13/site-packages"
RUNTIME = Owner(kind=OwnerKind.RUNTIME, name="cpython", version="3.13.0")


def distribution(name: str, version: str = "1.0") -> Owner:
    return Owner(kind=OwnerKind.DISTRIBUTION, name=name, version=version)


def make_layer(
    kind: LayerKind = LayerKind.APPLICATION, tag: str = "linux_x86_64", **changes: Any
) -> Layer:
    values: dict[str, Any] = {
        "name": "layer",
        "layer_name": "layer",
        "kind": kind,
        "platform": Platform.parse(tag),
        "site_dirs": (SITE,),
        "stdlib_dir": "lib/python3.13",
    }
    return Layer(**values | changes)


def make_record(path: str, owner: Owner = RUNTIME, type: EntryType = EntryType.FILE) -> FileRecord:
    return FileRecord(
        layer="layer", path=path, type=type, kind=FileKind.DATA, owner=owner, size=1, mode=0o644
    )


def make_rule(id: str = "r", **changes: Any) -> Rule:
    values: dict[str, Any] = {
        "pass_name": "tests",
        "reason": "because",
        "safety": Safety.STANDARD,
        "globs": ("**",),
    }
    return Rule(id=id, **values | changes)
