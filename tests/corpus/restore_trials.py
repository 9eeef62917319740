"""Trials of ``slim restore``: forged and changed backups."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

from slim.errors import IntegrityError, UnsafeInputError
from tests.corpus.archives import COMPRESSED, TAR, ZIP, Case
from tests.corpus.scene import Line, Scene
from tests.corpus.trials import Expected, Trial, refusal
from tests.support.raw_archives import LINUX

INDEX = "slim-removed.json"
_NO_INDEX = f"has no {INDEX}"

Json = dict[str, Any]


def _lines(file: str) -> dict[str, Line]:
    return {
        "restore": lambda made: ["restore", made.work / file, made.bad, "-o", made.out],
        "restore --list": lambda made: ["restore", made.work / file, "--list"],
        "restore --extract": lambda made: ["restore", made.work / file, "--extract", made.out],
    }


def restore_trials() -> Iterator[Trial]:
    """Archives that no store is, and stores that were tampered with."""
    for group, cases in (("tar", TAR), ("zip", ZIP), ("compression", COMPRESSED)):
        yield from (_archive(group, case) for case in cases if not case.name.endswith("bomb"))
    for name, change, says in TAMPERED:
        refused = refusal(UnsafeInputError, says, "removed.tar")
        yield _tampered(name, change, dict.fromkeys(_lines(""), refused))
    yield _tampered(
        "as slim wrote it", lambda index, contents: None, dict.fromkeys(_lines(""), Expected(0))
    )
    differs = Expected(IntegrityError.exit_code, ("SHA-256", "removed.tar", "hint:"))
    expected = {"restore": differs, "restore --list": Expected(0), "restore --extract": differs}
    yield _tampered("other content", _other_content, expected)


def _archive(group: str, case: Case) -> Trial:
    """Trial of an archive as a backup. Links may lead anywhere in one; its names are refused."""
    file = case.file.replace("layer", "removed")
    word = _NO_INDEX if case.seen == "kept as it is" or case.platform is not LINUX else case.word
    refused = refusal(UnsafeInputError if word == _NO_INDEX else case.error, word, file)
    return Trial(
        group="store",
        name=f"{group}, {case.name}",
        prepare=lambda made: (made.work / file).write_bytes(case.bytes),
        expected={"restore --list": refused, "restore --extract": refused},
        lines=_lines(file),
    )


Change = Callable[[Json, dict[str, bytes]], object]


def _first(index: Json) -> Json:
    file: Json = index["stacks"][0]["layers"][0]["files"][0]
    return file


def _set(**values: Any) -> Change:
    return lambda index, contents: _first(index).update(values)


def _layer(**values: Any) -> Change:
    return lambda index, contents: index["stacks"][0]["layers"][0].update(values)


def _other_content(index: Json, contents: dict[str, bytes]) -> None:
    name = next(name for name, data in contents.items() if name != INDEX and data)
    contents[name] = bytes(len(contents[name]))


TAMPERED: list[tuple[str, Change, str]] = [
    ("path out", _set(path="../../v/flag"), "'..'"),
    ("absolute path", _set(path="/v/flag"), "absolute"),
    ("path of another", _set(path="other"), "isn't there"),
    ("path is the root", _set(path="."), "plain path"),
    ("layer out", _layer(name=".."), "'..'"),
    ("layer with a slash", _layer(name="a/b"), INDEX),
    ("folder out", lambda index, contents: index["stacks"][0].update(folder="../v"), INDEX),
    ("another size", _set(size=1 << 40), "aren't what the index says"),
    ("size -1", _set(size=-1), "files[0].size"),
    ("mode with setuid", _set(mode="4755"), "files[0].mode"),
    ("hash is short", _set(sha256="0"), "files[0].sha256"),
    ("unknown type", _set(type="fifo"), "files[0].type"),
    ("unknown action", _set(action="exploded"), "files[0].action"),
    (
        "another schema",
        lambda index, contents: index.update(schema="urn:slim:removed:v9"),
        "its schema is",
    ),
    ("no stacks", lambda index, contents: index.pop("stacks"), "stacks"),
    ("bad base64", _set(path_base64="*"), "path_base64"),
    (
        "a file nobody names",
        lambda index, contents: contents.update(more=b"x"),
        "the index doesn't name it",
    ),
    ("no JSON", lambda index, contents: index.clear(), "schema"),
]


def _tampered(name: str, change: Change, expected: dict[str, Expected]) -> Trial:
    def prepare(made: Scene) -> None:
        original = made.work / "removed.tar.zst"
        ended = made.run("run", made.good, "-o", made.out, "--keep-removed", original, "-q")
        assert ended.code == 0, ended.err
        made.out.rename(made.work / "slimmed")
        (made.work / "removed.tar").write_bytes(_changed(original.read_bytes(), change))

    lines = _lines("removed.tar")
    lines["restore"] = lambda made: [
        "restore",
        made.work / "removed.tar",
        made.work / "slimmed",
        "-o",
        made.out,
    ]
    return Trial(group="store", name=name, prepare=prepare, expected=expected, lines=lines)


def _changed(store: bytes, change: Change) -> bytes:
    """The store as a plain tar file, with its index and contents changed."""
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(store)
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        infos = {info.name: info for info in archive}
        contents = {
            name: archive.extractfile(info).read() for name, info in infos.items() if info.isreg()
        }  # type: ignore[union-attr]
    index = json.loads(contents[INDEX])
    change(index, contents)
    contents[INDEX] = json.dumps(index).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in [*infos, *(name for name in contents if name not in infos)]:
            info = infos.get(name, tarfile.TarInfo(name))
            info.size = len(contents.get(name, b""))
            info.pax_headers = {}
            archive.addfile(info, io.BytesIO(contents[name]) if name in contents else None)
    return out.getvalue()
