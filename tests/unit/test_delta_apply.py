"""Deltas between small published stacks: made, applied, and refused."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tarfile
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from slim.cli import main
from slim.delta import document
from slim.delta.apply import ApplyRequest, apply
from slim.delta.create import MakeRequest, make
from slim.delta.frames import pack
from slim.delta.patch import Patch, make_patch
from slim.delta.sides import Side
from slim.delta.table import CopiedRun, Entry, Frame, NewMember, Table
from slim.errors import (
    ConfigError,
    IntegrityError,
    LimitError,
    SlimError,
    StorageError,
    UnsafeInputError,
)
from slim.formats import read_archive
from slim.formats.directory import read_directory
from slim.model.delta import DeltaAction, DeltaApplied, DeltaMade
from slim.model.limits import Limits
from slim.model.record import EntryType
from tests.support.delta_packages import forged
from tests.support.published_stacks import (
    SITE,
    Files,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
    write_archive,
)
from tests.support.raw_archives import options
from tests.support.report_schemas import schema

NOISE = random.Random(6).randbytes(30_000)


def stack(
    version: str, more: Files | None = None, *, framework: bool = True
) -> dict[str, LayerSpec]:
    code = {"idna/core.py": "".join(f"X{n} = {n * n}\n" for n in range(900)) + f"V = '{version}'\n"}
    layers = {
        "py": LayerSpec("runtime", {"bin/python": NOISE[:2000], "lib/os.py": "import sys\n" * 50}),
        "fw": LayerSpec(
            "framework", distribution("maths", {"maths/data.bin": NOISE}), requires=("py",)
        ),
        "app": LayerSpec(
            "application",
            merge(
                distribution("idna", code, version=version), {"lib64": Link("lib"), **(more or {})}
            ),
            requires=("fw", "py") if framework else ("py",),
            launch_module="idna",
        ),
    }
    if not framework:
        del layers["fw"]
    return layers


@pytest.fixture
def old(tmp_path: Path) -> Path:
    publish(tmp_path / "old", stack("3.10"))
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    publish(tmp_path / "new", stack("3.11"))
    return tmp_path / "new"


def made(old: Path, new: Path, output: Path) -> DeltaMade:
    (result,) = make(MakeRequest(old=old, new=new, output=output))
    Draft202012Validator(schema("delta-v1")).validate(
        json.loads((output / document.NAME).read_text())
    )
    return result


def applied(old: Path, delta: Path, output: Path, **options: object) -> DeltaApplied:
    request = ApplyRequest(old=old, delta=delta, output=output, **options)  # type: ignore[arg-type]
    (result,) = apply(request)
    return result


def actions(result: DeltaMade) -> dict[str, str]:
    return {layer.delta.name: layer.delta.action.value for layer in result.layers}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def facts(place: Path, scratch: Path) -> list[tuple[object, ...]]:
    tree = (
        read_directory(place, options(scratch))
        if place.is_dir()
        else read_archive(place, options(scratch))
    )
    with tree:
        return sorted(
            (
                member.path,
                member.type,
                member.mode if member.type is not EntryType.SYMLINK else 0,
                member.mtime,
                member.link_target or "",
                bytes(member.content.view()) if member.content else b"",
            )
            for member in tree.members.values()
            if member.type is not EntryType.DIRECTORY
        )


def deploy(published: Path, folder: Path) -> Path:
    """Unpack as an installer does, and leave behind what postinstall does."""
    for archive in published.glob("*.tar.xz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="fully_trusted")
    for layer in folder.iterdir():
        (layer / "pyvenv.cfg").write_text("home = x\n")
        site = layer / SITE
        if site.is_dir():
            (site / "sitecustomize.py").write_text("# made\n")
        cache = layer / "lib" / "__pycache__"
        cache.mkdir(parents=True, exist_ok=True)
        (cache / "os.cpython-313.pyc").write_bytes(b"made")
    return folder


def test_only_what_changed_is_in_a_delta(old: Path, new: Path, tmp_path: Path) -> None:
    result = made(old, new, tmp_path / "d")
    assert actions(result) == {"py": "unchanged", "fw": "unchanged", "app": "patch"}
    app = result.layers[-1].delta
    assert app.file is not None and app.new is not None and app.new.archive is not None
    assert result.download == app.download == (tmp_path / "d" / "app.patch").stat().st_size
    assert app.download < app.new.archive.size / 4
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == [
        "__venvstacks__",
        "app.patch",
        document.NAME,
    ]


def test_the_new_stack_comes_back(old: Path, new: Path, tmp_path: Path) -> None:
    before = contents(old)
    made(old, new, tmp_path / "d")
    result = applied(old, tmp_path / "d", tmp_path / "n")
    assert [(layer.name, layer.action, layer.identical) for layer in result.layers] == [
        ("py", DeltaAction.UNCHANGED, True),
        ("fw", DeltaAction.UNCHANGED, True),
        (
            "app",
            DeltaAction.PATCH,
            False,
        ),  # tests/support/published_stacks.py doesn't compress as slim does
    ]
    assert facts(tmp_path / "n" / "app.tar.xz", tmp_path) == facts(new / "app.tar.xz", tmp_path)
    entry = json.loads((tmp_path / "n/__venvstacks__/venvstacks.json").read_text())["layers"][
        "applications"
    ][0]
    data = (tmp_path / "n" / "app.tar.xz").read_bytes()
    assert (entry["archive_size"], entry["archive_hashes"]["sha256"]) == (
        len(data),
        hashlib.sha256(data).hexdigest(),
    )
    assert entry == json.loads((tmp_path / "n/__venvstacks__/env_metadata/app.json").read_text())
    assert contents(old) == before

    # What slim wrote comes back byte for byte, manifests and all.
    again = made(old, tmp_path / "n", tmp_path / "d2")
    assert actions(again)["app"] == "patch"
    assert all(layer.identical for layer in applied(old, tmp_path / "d2", tmp_path / "n2").layers)
    assert contents(tmp_path / "n2") == contents(tmp_path / "n")


def manifest_entries(published: Path) -> dict[str, dict[str, object]]:
    value = json.loads((published / "__venvstacks__" / "venvstacks.json").read_text())
    return {
        entry["install_target"]: entry for section in value["layers"].values() for entry in section
    }


def test_archives_are_compressed_as_the_manifest_says(old: Path, new: Path, tmp_path: Path) -> None:
    slimmed = tmp_path / "slimmed"
    assert main(["run", str(new), "-o", str(slimmed), "--level", "max", "--no-config", "-q"]) == 0
    made(old, slimmed, tmp_path / "d")
    result = applied(old, tmp_path / "d", tmp_path / "n")
    assert {layer.identical for layer in result.layers} == {True}
    assert contents(tmp_path / "n") == contents(slimmed)

    # Whoever says it otherwise gets other bytes, and a manifest that is true of them.
    line = [
        "delta",
        "apply",
        str(old),
        str(tmp_path / "d"),
        "-o",
        str(tmp_path / "n2"),
        "--level",
        "fast",
    ]
    assert main([*line, "--no-config", "-q"]) == 0
    wanted, written = manifest_entries(slimmed)["app"], manifest_entries(tmp_path / "n2")["app"]
    note, size = written["slim"], (tmp_path / "n2" / "app.tar.xz").stat().st_size
    assert written["archive_hashes"] != wanted["archive_hashes"]
    assert isinstance(note, dict)
    assert note["compression"] == {"level": "fast"}
    assert (written["archive_size"], note["archive_size"]["after"]) == (size, size)
    assert note["tree_sha256"] == wanted["slim"]["tree_sha256"]  # type: ignore[index]


def test_a_delta_is_the_same_bytes_each_time(old: Path, new: Path, tmp_path: Path) -> None:
    made(old, new, tmp_path / "d")
    made(old, new, tmp_path / "d2")
    assert contents(tmp_path / "d") == contents(tmp_path / "d2")


@pytest.mark.parametrize("side", ["old", "new"])
def test_nothing_is_made_of_two_states_of_a_stack(
    old: Path, new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    def changing(left: Side | None, right: Side, folder: Path) -> Patch:
        write_archive(tmp_path / side / "fw.tar.xz", "fw", {"other": "x"})
        return make_patch(left, right, folder)

    monkeypatch.setattr("slim.delta.create.make_patch", changing)
    with pytest.raises(IntegrityError, match="changed while slim was reading it"):
        made(old, new, tmp_path / "delta")
    assert not (tmp_path / "delta").exists()


def test_layers_come_and_go(old: Path, tmp_path: Path) -> None:
    publish(tmp_path / "none", stack("3.10", framework=False))
    assert actions(made(old, tmp_path / "none", tmp_path / "d")) == {
        "py": "unchanged",
        "app": "patch",
        "fw": "removed",
    }
    applied(old, tmp_path / "d", tmp_path / "n")
    assert not (tmp_path / "n" / "fw.tar.xz").exists()

    back = made(tmp_path / "none", old, tmp_path / "d2")
    assert actions(back) == {"py": "unchanged", "fw": "full", "app": "patch"}
    applied(tmp_path / "none", tmp_path / "d2", tmp_path / "n2")
    assert (tmp_path / "n2" / "fw.tar.xz").read_bytes() == (old / "fw.tar.xz").read_bytes()


def test_an_archive_that_is_smaller_than_a_patch_goes_in_whole(old: Path, tmp_path: Path) -> None:
    publish(tmp_path / "new", stack("3.10", {"lib/noise.bin": NOISE[::-1]}))
    result = made(old, tmp_path / "new", tmp_path / "d")
    assert actions(result)["app"] in ("patch", "full")
    app = result.layers[-1].delta
    assert app.new is not None and app.new.archive is not None
    assert app.download <= app.new.archive.size


@pytest.mark.parametrize("kind", ["deployed", "unpacked"])
def test_layers_as_folders(old: Path, new: Path, tmp_path: Path, kind: str) -> None:
    made(old, new, tmp_path / "d")
    folder = tmp_path / "there"
    if kind == "deployed":
        deploy(old, folder)
        for file in folder.rglob("*.py"):
            file.chmod(0o600)  # an installer's umask
    else:
        applied(old, tmp_path / "d", folder, format="folder")
        made(new, new, tmp_path / "d0")
        applied(new, tmp_path / "d0", tmp_path / "u", format="folder")
        assert facts(folder / "app", tmp_path) == facts(tmp_path / "u" / "app", tmp_path)
        return
    # Permissions of a layer that isn't patched can't be told from outside: they have to be right.
    for file in [*folder.glob("py/**/*.py"), *folder.glob("fw/**/*.py")]:
        file.chmod(0o644)
    result = applied(folder, tmp_path / "d", tmp_path / "n")
    assert {layer.identical for layer in result.layers} == {None}
    for name in ("py", "fw", "app"):
        assert facts(tmp_path / "n" / name, tmp_path) == facts(new / f"{name}.tar.xz", tmp_path)
    assert not (tmp_path / "n" / "__venvstacks__").exists()


def test_one_archive_and_one_folder(old: Path, new: Path, tmp_path: Path) -> None:
    made(old / "app.tar.xz", new / "app.tar.xz", tmp_path / "d")
    applied(old / "app.tar.xz", tmp_path / "d", tmp_path / "n.tar.xz")
    assert facts(tmp_path / "n.tar.xz", tmp_path) == facts(new / "app.tar.xz", tmp_path)
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, text in ((one, "a" * 9000), (other, "a" * 9000 + "b")):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "x.txt").write_text(text)
        (folder / "out").symlink_to("/etc/hostname")  # the user's own folder may point anywhere
    made(one, other, tmp_path / "d2")
    applied(one, tmp_path / "d2", tmp_path / "n2")
    assert contents(tmp_path / "n2") == contents(other)


def test_platforms_side_by_side(tmp_path: Path) -> None:
    for name, version in (("old", "1"), ("new", "2")):
        for tag in ("linux_x86_64", "macosx_arm64"):
            publish(tmp_path / name, stack(version), platform=tag, tag=f"-{tag}")
    results = make(MakeRequest(old=tmp_path / "old", new=tmp_path / "new", output=tmp_path / "d"))
    assert [result.platform for result in results] == ["linux_x86_64", "macosx_arm64"]
    restored = apply(
        ApplyRequest(old=tmp_path / "old", delta=tmp_path / "d", output=tmp_path / "n")
    )
    assert [result.platform for result in restored] == ["linux_x86_64", "macosx_arm64"]
    assert set(contents(tmp_path / "n")) == set(contents(tmp_path / "new"))
    applied(tmp_path / "old", tmp_path / "d", tmp_path / "m", platforms=("macosx_arm64",))
    assert not list((tmp_path / "m").glob("*linux*"))
    with pytest.raises(ConfigError, match="isn't for these"):
        applied(tmp_path / "old", tmp_path / "d", tmp_path / "x", platforms=("win_amd64",))


# Refusals


@pytest.fixture
def delta(old: Path, new: Path, tmp_path: Path) -> Path:
    made(old, new, tmp_path / "delta")
    return tmp_path / "delta"


def test_another_stack_is_refused(new: Path, delta: Path, tmp_path: Path) -> None:
    publish(tmp_path / "other", stack("3.9"))
    for source in (new, tmp_path / "other"):
        with pytest.raises(IntegrityError, match="isn't the one that the delta was made from"):
            applied(source, delta, tmp_path / "n")
    assert not (tmp_path / "n").exists()
    assert not list(tmp_path.glob(".slim-*"))


@pytest.mark.parametrize("change", ["edit", "remove", "retarget", "kind", "unchanged"])
def test_a_folder_that_was_changed_is_refused(
    old: Path, delta: Path, tmp_path: Path, change: str
) -> None:
    folder = deploy(old, tmp_path / "there")
    file = folder / "app" / SITE / "idna" / "core.py"
    if change == "edit":
        file.write_text(file.read_text().replace("X1 = 1", "X1 = 2"))
    elif change == "remove":
        (folder / "app" / "postinstall.py").unlink()
    elif change == "retarget":
        (folder / "app" / "lib64").unlink()
        (folder / "app" / "lib64").symlink_to("bin")
    elif change == "kind":
        file.unlink()
        file.mkdir()
    else:
        (folder / "fw" / "extra.txt").write_text("in a layer that isn't patched")
    with pytest.raises(IntegrityError):
        applied(folder, delta, tmp_path / "n")
    assert not (tmp_path / "n").exists()


def test_a_missing_layer(old: Path, delta: Path, tmp_path: Path) -> None:
    folder = deploy(old, tmp_path / "there")
    shutil.rmtree(folder / "fw")
    with pytest.raises(IntegrityError, match="'fw' isn't there"):
        applied(folder, delta, tmp_path / "n")


def test_damaged_or_missing_files_of_a_delta(old: Path, delta: Path, tmp_path: Path) -> None:
    patch = delta / "app.patch"
    data = patch.read_bytes()
    patch.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IntegrityError, match=r"app\.patch"):
        applied(old, delta, tmp_path / "n")
    patch.unlink()
    with pytest.raises(StorageError, match="missing"):
        applied(old, delta, tmp_path / "n")
    patch.write_bytes(data)
    manifest = delta / "__venvstacks__" / "venvstacks.json"
    manifest.write_text(manifest.read_text() + " ")
    with pytest.raises(IntegrityError, match=r"venvstacks\.json"):
        applied(old, delta, tmp_path / "n")
    (delta / document.NAME).unlink()
    with pytest.raises(StorageError, match=r"slim-delta\.json"):
        applied(old, delta, tmp_path / "n")


def test_nothing_is_replaced_unasked(old: Path, new: Path, delta: Path, tmp_path: Path) -> None:
    for output in (old, old / "inside", delta / "inside", tmp_path):
        with pytest.raises(ConfigError):
            applied(old, delta, output)
        with pytest.raises(ConfigError):
            make(MakeRequest(old=old, new=new, output=old / "inside"))
    applied(old, delta, tmp_path / "n")
    with pytest.raises(ConfigError, match="exists already"):
        applied(old, delta, tmp_path / "n")
    applied(old, delta, tmp_path / "n", force=True)


def entries(archive: Path, scratch: Path) -> list[Entry]:
    with read_archive(archive, options(scratch)) as tree:
        return [Entry(m.path, m.type, m.mode, m.link_target) for m in tree.members.values()]


F, D, L, H = EntryType.FILE, EntryType.DIRECTORY, EntryType.SYMLINK, EntryType.HARDLINK


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        ([Entry("../evil", F, 0o644)], "climbs out"),
        ([Entry("a/../../evil", F, 0o644)], "climbs out"),
        ([Entry("a//b", F, 0o644)], "empty"),
        ([Entry("a\x1b[31m", F, 0o644)], "character"),
        ([Entry("l", L, 0o777, "/etc")], "absolute"),
        ([Entry("l", L, 0o777, "../../etc")], "leaves the folder"),
        ([Entry("l", L, 0o777, "lib"), Entry("l/w", F, 0o644)], "members below"),
        ([Entry("h", H, 0o644, "../../etc/passwd")], "climbs out"),
        ([Entry("h", H, 0o644, "nowhere")], "isn't a regular file"),
        ([Entry("twice", F, 0o644), Entry("twice", F, 0o644)], "two members"),
        ([Entry("x", L, 0o777, "y"), Entry("y", L, 0o777, "x")], "loop"),
    ],
)
def test_hostile_members(
    old: Path, delta: Path, tmp_path: Path, hostile: list[Entry], message: str
) -> None:
    before = entries(old / "app.tar.xz", tmp_path)
    new = [NewMember(entry, 0, slice=(0, 0) if entry.type is F else None) for entry in hostile]
    forged(delta, Table(old=before, root=(0o755, 0), new=new))
    (tmp_path / "canary").write_text("here")
    with pytest.raises(UnsafeInputError, match=message):
        applied(old, delta, tmp_path / "n")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "n").exists()


def test_a_patch_that_gives_something_else(old: Path, delta: Path, tmp_path: Path) -> None:
    before = entries(old / "app.tar.xz", tmp_path)
    with read_archive(old / "app.tar.xz", options(tmp_path)) as tree:
        size = sum(member.size for member in tree.members.values())
    forged(delta, Table(old=before, root=(0o755, 0), new=[CopiedRun(0, len(before), 0)]), size=size)
    with pytest.raises(IntegrityError, match="doesn't give the layer that the delta promises"):
        applied(old, delta, tmp_path / "n")
    forged(delta, Table(old=before[:-1], root=(0o755, 0), new=[]))
    with pytest.raises(IntegrityError, match="other members"):
        applied(old, delta, tmp_path / "n")
    forged(delta, Table(old=before, new=[]), (b"tail",))
    with pytest.raises(UnsafeInputError, match="its table speaks of"):
        applied(old, delta, tmp_path / "n")


def test_bombs(old: Path, delta: Path, tmp_path: Path) -> None:
    """One small frame whose content is named a thousand times, which the document says or not."""
    before = entries(old / "app.tar.xz", tmp_path)
    frame = pack(bytes(1 << 20))
    new = [
        NewMember(Entry(f"f{number}", F, 0o644), 0, slice=(0, 1 << 20)) for number in range(1000)
    ]
    table = Table(old=before, frames=[Frame(len(frame), 1 << 20)], root=(0o755, 0), new=list(new))
    forged(delta, table, (frame,), size=5)
    with pytest.raises(UnsafeInputError, match="instead of 5"):
        applied(old, delta, tmp_path / "n")
    forged(delta, table, (frame,), size=1000 << 20)
    with pytest.raises(LimitError):
        applied(old, delta, tmp_path / "n", limits=Limits(ratio_floor=1 << 20))
    huge = Table(old=before, frames=[Frame(len(frame), 1 << 40)], root=(0o755, 0), new=[])
    forged(delta, huge, (frame,))
    with pytest.raises(LimitError):
        applied(old, delta, tmp_path / "n")


# The command line


def test_commands(old: Path, new: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    d, n = tmp_path / "d", tmp_path / "n"
    assert main(["delta", str(old), str(new), "-o", str(d), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema("delta-report-v1")).validate(value)
    assert [layer["download"] for layer in value["deltas"][0]["layers"]][:2] == [0, 0]
    assert main(["delta", "apply", str(old), str(d), "-o", str(n), "--json", "--jobs", "1"]) == 0
    value = json.loads(capsys.readouterr().out)
    Draft202012Validator(schema("delta-apply-v1")).validate(value)
    assert [layer["identical"] for layer in value["stacks"][0]["layers"]] == [True, True, False]
    assert main(["delta", "-o", str(d), "--force", str(old), str(new), "-v"]) == 0
    assert "files: " in capsys.readouterr().out
    assert main(["delta", "apply", str(new), str(d), "-o", str(n), "--force", "-v"]) == 5
    assert "isn't the one that the delta was made from" in capsys.readouterr().err
    assert main(["delta", "apply", str(old), str(d), "-o", str(n), "--force", "-v"]) == 0
    assert "app.tar.xz" in capsys.readouterr().out
    assert main(["delta"]) == 2


def test_only_known_errors(old: Path, delta: Path, tmp_path: Path) -> None:
    """Each key of the document replaced: an error of slim's, or the very same result."""
    text = json.loads((delta / document.NAME).read_text())

    def places(value: object, trail: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        found = [trail]
        if isinstance(value, dict):
            found += [
                place for key, inner in value.items() for place in places(inner, (*trail, key))
            ]
        if isinstance(value, list):
            found += [
                place for key, inner in enumerate(value) for place in places(inner, (*trail, key))
            ]
        return found

    for number, place in enumerate(places(text)[1:]):
        for instead in (None, -1, "x", [], {}):
            value = json.loads(json.dumps(text))
            at = value
            for key in place[:-1]:
                at = at[key]
            at[place[-1]] = instead
            (delta / document.NAME).write_text(json.dumps(value))
            try:
                applied(old, delta, tmp_path / f"n{number}")
            except SlimError:
                continue
            shutil.rmtree(tmp_path / f"n{number}")
