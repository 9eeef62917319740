"""Descriptions of a stack: RECORD, manifest, a layer's metadata, sources read for their imports."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

from slim.errors import IntegrityError, LimitError, StorageError, UnsafeInputError
from tests.corpus.scene import SITE, Scene, change_entry, put_archive
from tests.corpus.trials import Expected, Trial, compared, everywhere, refusal
from tests.support.raw_archives import entry, folder, pax, record, tar

INFO = f"{SITE}/lib-1.0.dist-info"
LAYER_METADATA = "share/venv/metadata/venvstacks_layer.json"
_FINE = Expected(0)
_RECORD = "lib/__init__.py,,\nlib-1.0.dist-info/METADATA,,\nlib-1.0.dist-info/RECORD,,\n"


def metadata_trials() -> Iterator[Trial]:
    """All of them."""
    for name, rows, says in RECORDS:
        # Frozen applications keep rows that lead out of what is left of their environment; an audit
        # leaves those out.
        seen = () if name == "leads out" else (says, "its rows don't count")
        refused = refusal(UnsafeInputError, says, f"app/{INFO}/RECORD")
        yield _of_files(
            f"RECORD, {name}",
            {f"{INFO}/RECORD": rows},
            {**compared(refused), "audit": Expected(0, seen)},
        )
    yield from _fine_records()
    yield from _signed_records()
    for name, change, expected in MANIFESTS:
        yield Trial(group="metadata", name=f"manifest, {name}", prepare=change, expected=expected)
    for name, files, expected in LAYERS:
        yield _of_files(name, files, expected)


# RECORD

RECORDS: list[tuple[str, str | bytes, str]] = [
    ("leads out", f"{_RECORD}../../../../x,,\n", "leads out of the layer"),
    ("absolute", f"{_RECORD}/etc/x,,\n", "is an absolute path"),
    ("drive", f"{_RECORD}C:/x,,\n", "is an absolute path"),
    ("duplicates", f"{_RECORD}lib/__init__.py,,\n", "stands twice"),
    ("6 columns", f"{_RECORD}a.py,,,,,\n", "6 columns instead of 3"),
    ("size -1", f"{_RECORD}a.py,sha256=x,-1\n", "is not a size in bytes"),
    ("size in other digits", f"{_RECORD}a.py,sha256=x,\u0661\n", "is not a size in bytes"),
    ("long field", f"{_RECORD}{'x' * 200_000},,\n", "not valid CSV"),
    ("unclosed quote", f'{_RECORD}"a.py,,\n', "not valid CSV"),
    ("zero byte", f"{_RECORD}a\0.py,,\n", "RECORD"),
    ("not UTF-8", b"\xff,,\n", "not valid UTF-8"),
]


def _fine_records() -> Iterator[Trial]:
    told = Expected(0, ("1 row for files that aren't there",))
    for name, row in (("phantom row", "../../x"), ("directory row", "lib")):
        files: dict[str, str | bytes] = {f"{INFO}/RECORD": f"{_RECORD}{row},,\n"}
        yield _of_files(
            f"RECORD, {name}",
            files,
            {"run": told, "audit": told, "check": _FINE, "diff": _FINE},
            "metadata, accepted",
        )


def _signed_records() -> Iterator[Trial]:
    files: dict[str, str | bytes] = {
        f"{INFO}/RECORD": f"{_RECORD}lib/x.pyi,,\nlib-1.0.dist-info/RECORD.jws,,\n",
        f"{INFO}/RECORD.jws": "{}",
        f"{SITE}/lib/x.pyi": "x: int\n",
    }
    refused = refusal(UnsafeInputError, "signs the RECORD of lib", "RECORD.jws")
    yield _of_files(
        "RECORD.jws beside edited files", files, {"run": refused, "audit": _FINE, "check": _FINE}
    )


# The manifest


def _with(change: Callable[[str], str | bytes]) -> Callable[[Scene], None]:
    """Change the text of the manifest."""

    def prepare(made: Scene) -> None:
        new = change(made.manifest.read_text())
        made.manifest.write_bytes(new if isinstance(new, bytes) else new.encode())

    return prepare


def _field(key: str, value: object) -> Callable[[Scene], None]:
    return lambda made: change_entry(made, lambda fields: fields.update({key: value}))


def _layers(count: int) -> Callable[[Scene], None]:
    layers = [{"install_target": f"l{number}"} for number in range(count)]
    return _with(lambda _: json.dumps({"layers": {"frameworks": layers}}))


def _cycle(made: Scene) -> None:
    layers = [
        {"install_target": "a", "required_layers": ["b"]},
        {"install_target": "b", "required_layers": ["a"]},
    ]
    _with(lambda _: json.dumps({"layers": {"frameworks": layers}}))(made)


def _damaged(made: Scene) -> None:
    """One byte of the archive isn't what it was; its size is."""
    archive = made.bad / "app.tar.xz"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)


def _longer(made: Scene) -> None:
    with (made.bad / "app.tar.xz").open("ab") as stream:
        stream.write(b"x")


def _pipe(made: Scene) -> None:
    """The archive is a named pipe, which nobody ever writes to."""
    (made.bad / "app.tar.xz").unlink()
    os.mkfifo(made.bad / "app.tar.xz")
    _field("archive_size", 0)(made)


def _refused(*says: str) -> dict[str, Expected]:
    return everywhere(refusal(UnsafeInputError, *says, "venvstacks.json"))


_DIFFERS = Expected(IntegrityError.exit_code, ("but the manifest says", "app.tar.xz"))
_WARNED = Expected(0, ("but the manifest says",))


def _differs(says: str) -> dict[str, Expected]:
    """An audit and an update read the archive itself, and an update has a better hash for it."""
    refused = refusal(UnsafeInputError, says)
    return everywhere(_DIFFERS, **{"audit": refused, "delta apply": refused})


MANIFESTS: list[tuple[str, Callable[[Scene], None], dict[str, Expected]]] = [
    (
        "duplicate keys",
        _with(lambda text: text.replace('"layers"', '"layers": 1, "layers"', 1)),
        _refused("twice"),
    ),
    (
        "NaN",
        _with(lambda text: text.replace('"archive_build": 1', '"archive_build": NaN')),
        _refused("NaN"),
    ),
    ("200,000 brackets", _with(lambda _: "[" * 200_000), _refused("nested too deeply")),
    (
        "5,000 digits",
        _with(lambda text: text.replace(": 1,", f": {'1' * 5000},", 1)),
        _refused("digits"),
    ),
    ("a BOM", _with(lambda text: "\ufeff" + text), _refused("BOM")),
    (
        "a lone surrogate",
        _with(lambda text: text.replace('"app"', '"\\ud800"', 1)),
        _refused("not valid Unicode"),
    ),
    ("not UTF-8", _with(lambda text: b"\xff" + text.encode()), _refused("not valid Unicode")),
    ("no JSON", _with(lambda _: "layers:"), _refused("line 1")),
    ("cut", _with(lambda text: text[:-20]), _refused("line ")),
    ("no layers", _with(lambda _: "{}"), _refused("no layers")),
    ("a list", _with(lambda _: "[]"), _refused("no layers")),
    (
        "archive path",
        _field("archive_name", "../v/flag"),
        _refused("layers.applications[0].archive_name", "plain"),
    ),
    (
        "absolute archive",
        _field("archive_name", "/v/flag"),
        _refused("layers.applications[0].archive_name", "plain"),
    ),
    (
        "parent as layer",
        _field("install_target", ".."),
        _refused("layers.applications[0].install_target", "plain"),
    ),
    (
        "size is text",
        _field("archive_size", "1"),
        _refused("layers.applications[0].archive_size", "number of bytes"),
    ),
    (
        "size is true",
        _field("archive_size", True),
        _refused("layers.applications[0].archive_size", "number of bytes"),
    ),
    (
        "hash too short",
        _field("archive_hashes", {"sha256": "0"}),
        _refused("archive_hashes.sha256", "64 hexadecimal"),
    ),
    (
        "unknown layer",
        _field("required_layers", ["other"]),
        _refused("'other', which the manifest doesn't name"),
    ),
    ("cycle", _cycle, _refused("layers require each other: a -> b -> a")),
    (
        "1,001 layers",
        _layers(1001),
        everywhere(refusal(LimitError, "more than 1000 layers", "venvstacks.json")),
    ),
    ("size differs", _longer, _differs("after the end")),
    (
        "hash differs",
        _field("archive_hashes", {"sha256": "0" * 64}),
        {**everywhere(_DIFFERS, audit=_WARNED), "delta apply": _FINE},
    ),
    ("archive damaged", _damaged, _differs("app.tar.xz")),
    (
        "archive missing",
        lambda made: (made.bad / "app.tar.xz").unlink(),
        everywhere(refusal(StorageError, "the archive of layer 'app' is missing", "app.tar.xz")),
    ),
    (
        "archive is a pipe",
        _pipe,
        everywhere(refusal(UnsafeInputError, "not a regular file", "app.tar.xz")),
    ),
]


# Inside of a layer

_TOLD = refusal(UnsafeInputError, "venvstacks_layer.json")
_READ = {"run": _FINE, "audit": _FINE, "check": _FINE, "diff": _FINE}

LAYERS: list[tuple[str, dict[str, str | bytes], dict[str, Expected]]] = [
    ("layer metadata, no JSON", {LAYER_METADATA: "{"}, compared(_TOLD)),
    ("layer metadata, a list", {LAYER_METADATA: "[]"}, compared(_TOLD)),
    ("layer metadata, 200,000 brackets", {LAYER_METADATA: "[" * 200_000}, compared(_TOLD)),
    (
        "layer metadata, other types",
        {LAYER_METADATA: '{"py_version": [], "dynlib_dirs": "x", "launch_module": 1}'},
        _READ,
    ),
    ("METADATA, not UTF-8", {f"{INFO}/METADATA": b"Name: \xff\nVersion: \x80\n"}, _READ),
    ("METADATA, empty", {f"{INFO}/METADATA": b""}, _READ),
    (
        "METADATA, licence elsewhere",
        {f"{INFO}/METADATA": "Name: lib\nLicense-File: ../../../../v/flag\n"},
        _READ,
    ),
    ("entry points, no INI", {f"{INFO}/entry_points.txt": b"\xff[[[\n=x\n[a]\n]"}, _READ),
    ("source, 200,000 parentheses", {f"{SITE}/lib/x.py": "(" * 200_000}, _READ),
    ("source, nested", {f"{SITE}/lib/x.py": f"x = {'[' * 3000}{']' * 3000}\n"}, _READ),
    ("source, unary minus", {f"{SITE}/lib/x.py": f"x = {'-' * 100_000}1\n"}, _READ),
    ("source, zero bytes", {f"{SITE}/lib/x.py": b"import os\0\n"}, _READ),
    ("source, unknown coding", {f"{SITE}/lib/x.py": b"# coding: klingon\nimport os\n"}, _READ),
    ("source, UTF-7", {f"{SITE}/lib/x.py": b"# coding: utf-7\n+AAo-import os\n"}, _READ),
    (
        "source, surrogates",
        {f"{SITE}/lib/x.py": b"import \xed\xa0\x80\n__import__('\\ud800')\n"},
        _READ,
    ),
]


def _of_files(
    name: str, files: dict[str, str | bytes], expected: dict[str, Expected], group: str = "metadata"
) -> Trial:
    """A layer that holds one distribution and these files."""
    whole: dict[str, str | bytes] = {
        f"{SITE}/lib/__init__.py": "",
        f"{INFO}/METADATA": "Metadata-Version: 2.4\nName: lib\nVersion: 1.0\n",
        f"{INFO}/RECORD": _RECORD,
        **files,
    }
    members = (
        pax(record("path", f"app/{path}"))
        + entry("x", text.encode() if isinstance(text, str) else text)
        for path, text in whole.items()
    )
    archive = tar(folder("app"), *members)
    return Trial(
        group=group,
        name=name,
        prepare=lambda made: put_archive(made, "layer.tar", archive),
        expected=expected,
        more={"audit": ("--prove",)},
    )
