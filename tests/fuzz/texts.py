"""RECORD and its neighbours, manifests, globs, configurations and Python sources."""

from __future__ import annotations

import functools
from fnmatch import translate
from re import fullmatch
from unittest import mock

import slim.config.load
from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.text_scan import text_hints
from slim.config.load import load_config
from slim.config.settings import Config
from slim.errors import ConfigError, LimitError, UnsafeInputError
from slim.formats.base import BytesContent, Member, Tree
from slim.inventory.distributions import find_distributions, parse_record, render_record
from slim.inventory.manifest import layers_from_manifest, read_json
from slim.model.progress import Silent
from slim.model.record import EntryType
from slim.model.rule import Rule, RulePack, Safety
from slim.model.stack import Layer, LayerKind, Platform
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.plan.protected import protected_paths
from slim.reports.common.style import TerminalStyle
from slim.reports.diff import terminal as diff_terminal
from slim.rules.glob import GlobError, compile_glob
from slim.rules.loader import builtin_packs
from slim.sizes.diff import compare, empty
from slim.sizes.report_file import parse_report
from tests.fuzz.containers import as_file
from tests.support.virtual_stacks import SITE, VirtualStack, make_stack

SPLIT = b"\x1e"
"""Between the texts of one input."""

LINUX, WINDOWS = (
    Layer(
        name="layer",
        layer_name="layer",
        kind=LayerKind.APPLICATION,
        platform=Platform.parse(tag),
        site_dirs=("a/b",),
    )
    for tag in ("linux_x86_64", "win_amd64")
)


# RECORD, METADATA, entry_points.txt


def record(data: bytes) -> None:
    """The target. Rows stay in the layer and come back from being written.

    A layer is read strictly and leniently.
    """
    first = data.partition(SPLIT)[0]
    try:
        rows = parse_record(first.decode("utf-8"), site=SITE, file="RECORD")
    except (UnsafeInputError, UnicodeDecodeError):
        pass
    else:
        assert all(not row.path.startswith(("/", "../")) and row.path != ".." for row in rows)
        assert len({row.path for row in rows}) == len(rows)
        if all("\r" not in f"{row.written}{row.digest}" and row.written for row in rows):
            assert parse_record(render_record(rows), site=SITE, file="RECORD") == rows
    _distributions(data.split(SPLIT))


def _distributions(texts: list[bytes]) -> None:
    info = f"{SITE}/a-1.0.dist-info"
    members = {
        f"{info}/{name}": _file(f"{info}/{name}", text)
        for name, text in zip(
            ("RECORD", "METADATA", "entry_points.txt"), (*texts, b"", b"")[:3], strict=False
        )
    }
    tree = Tree(
        root="layer", format="tar", members={**members, f"{SITE}/a.py": _file(f"{SITE}/a.py", b"")}
    )
    layer = Layer(
        name="l",
        layer_name="l",
        kind=LayerKind.FRAMEWORK,
        platform=LINUX.platform,
        site_dirs=(SITE,),
    )
    find_distributions(layer, tree, lenient=True)
    try:
        found, _ = find_distributions(layer, tree)
    except UnsafeInputError as error:
        assert error.file and error.hint
        return
    for distribution in found.values():
        assert distribution.files <= set(tree.members)
        assert distribution.licences <= set(tree.members)


def _file(path: str, data: bytes) -> Member:
    return Member(
        path=path,
        type=EntryType.FILE,
        mode=0o644,
        mtime=0,
        size=len(data),
        content=BytesContent(data),
    )


# Manifests


def manifest(data: bytes) -> None:
    """The target. Names stay names, layers come in an order that works."""
    path = as_file(data, "fuzz.json")
    try:
        layers = layers_from_manifest(path, read_json(path))
    except (UnsafeInputError, LimitError) as error:
        assert error.file == str(path)
        return
    seen: set[str] = set()
    for layer in layers:
        assert set(layer.requires) <= seen
        seen.add(layer.name)
        for name in (layer.name, layer.archive.name if layer.archive else "x"):
            assert (
                name not in ("", ".", "..")
                and "/" not in name
                and "\\" not in name
                and "\0" not in name
            )


# Reports


def report(data: bytes) -> None:
    """The target: a report of slim as a baseline. What is read can be compared and told."""
    try:
        snapshots = parse_report(data, "fuzz.json")
    except UnsafeInputError as error:
        assert error.file == "fuzz.json" and error.hint
        return
    for snapshot in snapshots:
        growth = compare(empty(snapshot), snapshot, ())
        assert "\x1b" not in diff_terminal.render([growth], TerminalStyle(width=80))


# Globs


def reference(pattern: list[str], path: list[str]) -> bool:
    """Component by component, ``**`` by trying everything."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(path)
        return any(reference(pattern[1:], path[start:]) for start in range(len(path) + 1))
    return (
        bool(path)
        and fullmatch(translate(pattern[0]), path[0]) is not None
        and reference(pattern[1:], path[1:])
    )


_PROTECTED = {
    f"{SITE}/p/__init__.py": "",
    f"{SITE}/p-1.0.dist-info/METADATA": "Name: p\nVersion: 1.0\nLicense-File: TERMS\n",
    f"{SITE}/p-1.0.dist-info/RECORD": "".join(
        f"{path},,\n"
        for path in ("p/__init__.py", "p-1.0.dist-info/METADATA", "p-1.0.dist-info/RECORD")
    ),
    f"{SITE}/p-1.0.dist-info/WHEEL": "",
    f"{SITE}/p-1.0.dist-info/licenses/TERMS": "",
    f"{SITE}/p-1.0.dist-info/entry_points.txt": "",
    "share/venv/metadata/venvstacks_layer.json": "{}",
    "share/doc/LICENSE.txt": "",
    "postinstall.py": "",
    "doc/x.txt": "",
}


@functools.cache
def _stack() -> VirtualStack:
    return make_stack({"app-x": _PROTECTED})


def glob(data: bytes) -> None:
    """The target: a pattern, a line end, a path.

    Bounded, as the reference says, and never over a protected file.
    """
    first, _, second = data.partition(b"\n")
    pattern, path = first.decode("utf-8", "replace"), second[:200].decode("utf-8", "replace")
    try:
        compiled = compile_glob(pattern)
    except GlobError as error:
        assert str(error)
        return
    matched = compiled.matches(path, LINUX)
    compiled.matches(path, WINDOWS)
    for long in ("a/" * 120 + "b", "a" * 240, "/".join(["aa.b"] * 50)):
        compiled.matches(long, LINUX)
    plain = not set(pattern) & set("[]{}$") and not pattern.endswith("/")
    if (
        plain
        and path
        and path.count("/") < 8
        and all(part not in ("", ".", "..") for part in path.split("/"))
    ):
        assert matched == reference(pattern.split("/"), path.split("/"))
    _protects(pattern)


def _protects(pattern: str) -> None:
    made = _stack()
    (layer,) = made.stack.layers
    wanted = compile_glob(pattern).compile(layer)
    if wanted is None or not any(wanted.match(path) for path in _PROTECTED):
        return
    rule = Rule(id="x", pass_name="leftovers", reason="", safety=Safety.SAFE, globs=(pattern,))
    pack = RulePack(name="x", origin="x", description="", rules=(rule,))
    plan = Planner(made.facts, Config(packs=(pack,)), Silent(), proved=False).plan()
    gone = {key[1] for key in plan.actions if plan.removes(key)}
    assert not gone & set(protected_paths(layer, made.inventory))


# Configurations


@functools.cache
def _read_packs() -> tuple[RulePack, ...]:
    return builtin_packs(SCHEMAS)


def config(data: bytes) -> None:
    """The target: a slim.toml. Read, or refused with the places of all that is wrong."""
    path = as_file(data, "slim.toml")
    with mock.patch.object(slim.config.load, "builtin_packs", lambda _: _read_packs()):
        try:
            found = load_config(SCHEMAS, file=path)
        except ConfigError as error:
            assert error.problems or error.file
            assert all(problem.file and problem.message for problem in error.problems)
            return
    for pattern in (*found.keep, *(pattern for rule in found.rules for pattern in rule.globs)):
        compile_glob(pattern)


# Python sources


def source(data: bytes) -> None:
    """The target: nothing that is read for its imports may end the run."""
    found = scan(data)
    text_hints(data)
    text_hints(data, undotted=True)
    assert all(item.line >= 0 for item in found.imports)
