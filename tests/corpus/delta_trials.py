"""Trials of ``slim delta apply``: forged and changed deltas, and wrong old stacks."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from slim.errors import IntegrityError, LimitError, StorageError, UnsafeInputError
from tests.corpus.archives import TAR
from tests.corpus.delta_patches import (
    FOLDED,
    NAME,
    PATCH,
    WINDOWS,
    Change,
    Row,
    adds,
    again,
    members,
    patches,
    tables,
)
from tests.corpus.scene import Line, Scene, good_stack, put_archive, update
from tests.corpus.trials import Expected, Trial, refusal
from tests.support.delta_packages import change_document, layer_of
from tests.support.raw_archives import entry, folder, tar

_LINES: dict[str, Line] = {
    "delta apply": lambda made: ["delta", "apply", made.bad, made.delta, "-o", made.out]
}


def delta_trials() -> Iterator[Trial]:
    """All of them: the old stack is the good one, unless the case is about that."""
    for name, change, error, says in (
        *_documents(),
        *_files(),
        *patches(),
        *tables(),
        *members(),
        *_old_stacks(),
    ):
        yield Trial(
            group="delta",
            name=name,
            prepare=change,
            expected={"delta apply": refusal(error, *says)},
            lines=_LINES,
        )
    for platform, names in (("macosx_arm64", FOLDED), ("win_amd64", WINDOWS)):
        for name, entries, says in names:
            refused = refusal(UnsafeInputError, PATCH, says)
            yield Trial(
                group="delta", name=name, prepare=adds(*entries), expected={"delta apply": refused},
                platform=platform, lines=_LINES,
            )  # fmt: skip
    fine = {"delta apply": Expected(0, ("the same tree",))}
    yield Trial(
        group="delta, accepted",
        name="as slim made it",
        prepare=lambda made: None,
        expected=fine,
        lines=_LINES,
    )
    yield Trial(
        group="delta, accepted",
        name="taken apart and put together",
        prepare=again,
        expected=fine,
        lines=_LINES,
    )


# slim-delta.json


def _text(change: Callable[[str], str | bytes]) -> Change:
    def prepare(made: Scene) -> None:
        new = change((made.delta / NAME).read_text())
        (made.delta / NAME).write_bytes(new if isinstance(new, bytes) else new.encode())

    return prepare


def _value(change: Callable[[dict[str, Any]], object]) -> Change:
    return lambda made: change_document(made.delta, change)


def _layer(change: Callable[[dict[str, Any]], object]) -> Change:
    return _value(lambda value: change(layer_of(value)))


def _stack(change: Callable[[dict[str, Any]], object]) -> Change:
    return _value(lambda value: change(value["stacks"][0]))


def _renamed(*keys: str, to: str) -> Change:
    """Give another name to a file, or whatever the keys lead to in the layer."""

    def change(layer: dict[str, Any]) -> None:
        for key in keys[:-1]:
            layer = layer[key]
        layer[keys[-1]] = to

    return _layer(change)


_NAMES = (
    ("layer", "name"),
    ("patch", "file", "name"),
    ("archive", "new", "archive", "name"),
    ("root", "new", "root"),
)


def _documents() -> Iterator[Row]:
    texts: list[tuple[str, Callable[[str], str | bytes], str]] = [
        (
            "duplicate keys",
            lambda text: text.replace('"kind"', '"kind": 1, "kind"', 1),
            "stands twice",
        ),
        ("NaN", lambda text: text.replace('"size": ', '"size": NaN, "x": ', 1), "NaN is not JSON"),
        ("200,000 brackets", lambda _: "[" * 200_000, "nested too deeply"),
        (
            "5,000 digits",
            lambda text: text.replace('"size": ', f'"size": {"1" * 5000}', 1),
            "digits",
        ),
        ("a BOM", lambda text: "\ufeff" + text, "BOM"),
        (
            "a lone surrogate",
            lambda text: text.replace('"app"', '"\\ud800"', 1),
            "not valid Unicode",
        ),
        ("not UTF-8", lambda text: b"\xff" + text.encode(), "not valid Unicode"),
        ("no JSON", lambda _: "delta:", "line 1"),
        ("cut", lambda text: text[:-20], "line "),
        ("a list", lambda _: "[]", "must be an object"),
        ("an empty object", lambda _: "{}", "schema"),
    ]
    for name, change, says in texts:
        yield f"document, {name}", _text(change), UnsafeInputError, (NAME, says)
    yield from _missing_keys()
    yield from _bad_names()
    yield from _contradictions()


def _missing_keys() -> Iterator[Row]:
    for key in ("schema", "schema_version", "slim_version", "stacks"):
        yield (
            f"document, no {key}",
            _value(lambda value, key=key: value.pop(key)),
            UnsafeInputError,
            (NAME, key),
        )
    for key in ("platform", "kind", "metadata", "layers"):
        place = f"stacks[0].{key}"
        yield (
            f"document, no {key}",
            _stack(lambda stack, key=key: stack.pop(key)),
            UnsafeInputError,
            (NAME, place),
        )
    for key in ("name", "action", "new", "file", "table"):
        place = f"stacks[0].layers[0].{key}"
        yield (
            f"layer, no {key}",
            _layer(lambda layer, key=key: layer.pop(key)),
            UnsafeInputError,
            (NAME, place),
        )


def _bad_names() -> Iterator[Row]:
    for name, to in (
        ("parent", "../v/flag"),
        ("absolute", "/v/flag"),
        ("backslash", "..\\v"),
        ("dots", ".."),
    ):
        for what, *keys in _NAMES:
            yield (
                f"name of the {what}, {name}",
                _renamed(*keys, to=to),
                UnsafeInputError,
                (NAME, keys[-1], "plain"),
            )
        manifest = _stack(lambda stack, to=to: stack["manifest"].update(name=to))
        yield (
            f"name of the manifest, {name}",
            manifest,
            UnsafeInputError,
            (NAME, "manifest.name", "plain"),
        )
        metadata = _stack(lambda stack, to=to: stack["metadata"]["app"].update(name=to))
        yield (
            f"name of metadata, {name}",
            metadata,
            UnsafeInputError,
            (NAME, "metadata.app.name", "plain"),
        )
    for what, *keys in (("layer", "name"), ("archive", "new", "archive", "name")):
        rename = _renamed(*keys, to="__venvstacks__")
        yield (
            f"{what} where manifests lie",
            rename,
            UnsafeInputError,
            (NAME, "is where manifests lie"),
        )
    inside = _stack(lambda stack: stack["manifest"].update(name="env_metadata"))
    yield "manifest where metadata lies", inside, UnsafeInputError, (NAME, "is where manifests lie")


def _contradictions() -> Iterator[Row]:
    later = _value(lambda value: value.update(schema="urn:slim:delta:v9"))
    yield "document, a later schema", later, UnsafeInputError, (NAME, "schema")
    twice = _value(lambda value: value["stacks"].append(value["stacks"][0]))
    yield "document, one platform twice", twice, UnsafeInputError, (NAME, "one platform")
    layers = _stack(lambda stack: stack["layers"].append(stack["layers"][0]))
    yield "document, one layer twice", layers, UnsafeInputError, (NAME, "stands there twice")
    one_file = _stack(lambda stack: stack["metadata"].update(b=stack["metadata"]["app"]))
    yield (
        "document, one file for two",
        one_file,
        UnsafeInputError,
        (NAME, "two layers have one file"),
    )
    many = _stack(lambda stack: stack["layers"].extend(stack["layers"] * 1000))
    yield "document, 1,001 layers", many, LimitError, (NAME, "more than 1000")
    yield (
        "document, 64 MiB",
        lambda made: os.truncate(made.delta / NAME, (64 << 20) + 1),
        LimitError,
        (NAME, "more than 67108864 bytes"),
    )
    yield (
        "unknown action",
        _renamed("action", to="exec"),
        UnsafeInputError,
        (NAME, "action", "must be one of"),
    )
    yield (
        "unknown format",
        _renamed("new", "archive", "format", to="rar"),
        UnsafeInputError,
        (NAME, "must be one of"),
    )
    sizes = _layer(lambda layer: layer["file"].update(size=layer["file"]["size"] + 1))
    yield "size of the patch is a lie", sizes, IntegrityError, (PATCH, "the delta says")
    hashes = _layer(lambda layer: layer["file"].update(sha256="0" * 64))
    yield "hash of the patch is a lie", hashes, IntegrityError, (PATCH, "the delta says")
    tree = _layer(lambda layer: layer["new"].update(tree_sha256="0" * 64))
    yield "digest of the new tree is a lie", tree, IntegrityError, (PATCH, "doesn't give the layer")
    tree = _layer(lambda layer: layer["old"].update(tree_sha256="0" * 64))
    root = _renamed("new", "root", to="other")
    yield (
        "root of the new layer is another's",
        root,
        UnsafeInputError,
        (NAME, "layers[0].new.root", "name of the layer"),
    )
    yield (
        "digest of the old tree is a lie",
        tree,
        IntegrityError,
        ("app", "isn't the one that the delta was made from"),
    )
    size = _layer(lambda layer: layer["new"].update(size=1))
    yield "size of the new layer is a lie", size, UnsafeInputError, (PATCH, "instead of 1")
    nothing_old = _layer(lambda layer: layer.update(old=None))
    yield "a patch of nothing", nothing_old, UnsafeInputError, (PATCH, "where there is none")


# Files beside it


def _elsewhere(name: str) -> Change:
    """A link to a file with the very bytes, outside of the delta."""

    def prepare(made: Scene) -> None:
        place = made.work / "elsewhere"
        (made.delta / name).rename(place)
        (made.delta / name).symlink_to(place)

    return prepare


def _longer(name: str) -> Change:
    def prepare(made: Scene) -> None:
        with (made.delta / name).open("ab") as file:
            file.write(b"\n")

    return prepare


def _pipe(name: str) -> Change:
    def prepare(made: Scene) -> None:
        (made.delta / name).unlink()
        os.mkfifo(made.delta / name)

    return prepare


def _gone(name: str) -> Change:
    return lambda made: (made.delta / name).unlink()


def _manifest(**fields: object) -> Change:
    """Another manifest, truly described."""

    def prepare(made: Scene) -> None:
        place = made.delta / "__venvstacks__" / "venvstacks.json"
        value = json.loads(place.read_text())
        value["layers"]["applications"][0] |= fields
        place.write_text(json.dumps(value))
        data = place.read_bytes()
        entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        change_document(made.delta, lambda value: value["stacks"][0]["manifest"].update(entry))

    return prepare


def _whole(data: bytes) -> Change:
    """The layer comes as a whole archive, truly described but for its tree."""

    def change(made: Scene) -> None:
        file = {"name": "app.tar", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (made.delta / "app.tar").write_bytes(data)

        def edit(layer: dict[str, Any]) -> None:
            layer.update(action="full", file=file, table=None, method=None)
            layer["new"]["archive"] = {**file, "format": "tar"}

        change_document(made.delta, lambda value: edit(layer_of(value)))

    return change


def _files() -> Iterator[Row]:
    manifest, metadata = "__venvstacks__/venvstacks.json", "__venvstacks__/env_metadata/app.json"
    for name in (NAME, PATCH, manifest, metadata):
        file_name = name.rpartition("/")[2]
        yield (
            f"{file_name} is a link",
            _elsewhere(name),
            UnsafeInputError,
            (file_name, "isn't a regular file"),
        )
        yield (
            f"{file_name} is a pipe",
            _pipe(name),
            UnsafeInputError,
            (file_name, "isn't a regular file"),
        )
        yield f"{file_name} is missing", _gone(name), StorageError, (file_name,)
        if name != NAME:
            yield f"{file_name} is longer", _longer(name), IntegrityError, (file_name,)
    yield (
        "a folder of manifests that is a link",
        _elsewhere("__venvstacks__"),
        UnsafeInputError,
        ("is a link",),
    )
    yield (
        "manifest leads out",
        _manifest(archive_name="../v/flag"),
        UnsafeInputError,
        ("venvstacks.json", "plain"),
    )
    for case in TAR:
        if (
            case.name in ("parent", "absolute", "member-below-link", "cve-2025-4517")
            and case.platform is not None
        ):
            yield (
                f"whole archive, {case.name}",
                _whole(case.bytes),
                case.error,
                ("app.tar", case.word),
            )
    other = _whole(tar(folder("app"), entry("app/x", b"x")))
    yield "whole archive, another layer", other, IntegrityError, ("app.tar", "isn't the layer")


# Old stacks


def _edited(change: Callable[[tarfile.TarInfo, bytes], bytes]) -> Change:
    """The old archive, packed again with one of its files changed; its manifest is true of it."""

    def prepare(made: Scene) -> None:
        def write(place: Path) -> None:
            with (
                tarfile.open(made.good / "app.tar.xz") as old,
                tarfile.open(place, "w", format=tarfile.PAX_FORMAT) as new,
            ):
                for info in old:
                    file = old.extractfile(info) if info.isreg() else None
                    data = b"" if file is None else file.read()
                    if info.name.endswith("lib/__init__.py"):
                        data = change(info, data)
                    info.size = len(data)
                    new.addfile(info, io.BytesIO(data))

        put_archive(made, "layer.tar", write)

    return prepare


def _mode(info: tarfile.TarInfo, data: bytes) -> bytes:
    info.mode = 0o600
    return data


def _folder(change: Callable[[Path], object]) -> Change:
    """The old layer as it was installed."""

    def prepare(made: Scene) -> None:
        shutil.rmtree(made.bad)
        with tarfile.open(made.good / "app.tar.xz") as archive:
            archive.extractall(made.bad, filter="fully_trusted")
        change(next((made.bad / "app").rglob("lib/__init__.py")))

    return prepare


def _of(platform: str = "linux_x86_64", version: str = "1") -> Change:
    """A delta of somebody else."""

    def prepare(made: Scene) -> None:
        for name, data in update("app", platform, version).items():
            (made.delta / name).write_bytes(data)

    return prepare


def _other_stack(made: Scene) -> None:
    good_stack(made.bad, "app", "linux_x86_64", "3")


def _through(file: Path) -> None:
    """The package of the layer is a link to somebody else's, with the same files in it."""
    package = file.parent
    package.rename(package.parents[4] / "package")
    package.symlink_to(package.parents[4] / "package")


def _old_stacks() -> Iterator[Row]:
    made_from = "isn't the one that the delta was made from"
    yield (
        "old layer, one byte differs",
        _edited(lambda _, data: b"y" + data[1:]),
        IntegrityError,
        ("app", made_from),
    )
    yield "old layer, one mode differs", _edited(_mode), IntegrityError, ("app", made_from)
    yield "old layer, another version", _other_stack, IntegrityError, ("app", made_from)
    edited = _folder(lambda file: file.write_bytes(b"y" + file.read_bytes()[1:]))
    yield "old folder, one byte differs", edited, IntegrityError, ("app", made_from)
    yield (
        "old folder, a file is missing",
        _folder(Path.unlink),
        IntegrityError,
        ("app", "isn't there"),
    )
    linked = _folder(lambda file: (file.unlink(), file.symlink_to("/v")))
    yield (
        "old folder, a file is a link",
        linked,
        IntegrityError,
        ("app", "is a symlink instead of a file"),
    )
    yield "old folder, a folder is a link", _folder(_through), IntegrityError, ("app", made_from)
    pipe = _folder(lambda file: (file.unlink(), os.mkfifo(file)))
    yield "old folder, a file is a pipe", pipe, IntegrityError, ("app", "isn't there")
    yield (
        "a delta for another platform",
        _of("win_amd64"),
        IntegrityError,
        ("is for linux_x86_64", "win_amd64"),
    )
    yield "a delta of another stack", _of(version="3"), IntegrityError, ("app", made_from)
