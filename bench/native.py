"""Savings in native layers for macOS and Windows, and whether edited files are what they were.

    python bench/native.py fetch WHEELS        # download wheels (pip, package index): about 1 GB
    python bench/native.py measure WHEELS      # lay out layers, run slim, judge files, print tables
    python bench/native.py speed WHEELS        # the editors beside llvm-strip 19 and GNU strip
    python bench/native.py signatures WHEELS   # how many signatures are reproduced to the byte

Everything runs on Linux. ``measure`` asks four judges about each edited Mach-O file: slim's own
verifier, ``lief.MachO.check_layout``, ``llvm-objdump`` (the exports, binds, rebases and libraries
are those of the original) and, where the package apple-platform-py is installed, its check of every
page hash. A judge that isn't there is named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.binaries.macho.edit import MachoEdit, plan_macho_edit, resign
from slim.binaries.refusal import NotEditable
from slim.config.load import load_config
from slim.formats import read_archive
from slim.formats.base import ReadOptions
from slim.model.limits import Limits
from slim.model.outcome import RunResult
from slim.model.plan import Remove
from slim.model.progress import Silent
from slim.model.record import FileRecord, NativeFormat
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.verification.native.macho import check as check_macho

PYTHON = "3.13"
SITE = f"lib/python{PYTHON}/site-packages"
NATIVE_SET = (
    "mlx",
    "mlx-metal",
    "numpy",
    "scipy",
    "pyarrow",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
    "tokenizers",
    "cryptography",
    "llvmlite",
    "sentencepiece",
    "pydantic-core",
    "torch",
)
ARM64 = tuple(f"macosx_{version}_arm64" for version in ("14_0", "13_0", "12_0", "11_0"))
UNIVERSAL = tuple(
    f"macosx_{version}_universal2" for version in ("14_0", "11_0", "10_13", "10_12", "10_9")
)


@dataclass(frozen=True)
class WheelSet:
    """What is downloaded and laid out together.

    ``layers`` maps layer names to requirements, lowest first.
    """

    name: str
    target: str
    platforms: tuple[str, ...]
    layers: dict[str, tuple[str, ...]]
    deps: bool = False


SETS = (
    WheelSet("arm64", "macosx_arm64", ARM64, {"framework-native": NATIVE_SET}),
    WheelSet(
        "universal2",
        "macosx_arm64",
        UNIVERSAL,
        {
            "framework-native": (
                "cryptography<49",
                "grpcio",
                "lxml",
                "regex",
                "kiwisolver",
                "charset-normalizer",
                "protobuf",
                "pyinstaller",
            )
        },
    ),
    WheelSet(
        "windows",
        "win_amd64",
        ("win_amd64",),
        {"framework-native": tuple(name for name in NATIVE_SET if name != "mlx-metal")},
    ),
    WheelSet(
        "linux",
        "linux_x86_64",
        tuple(f"manylinux_{version}_x86_64" for version in ("2_28", "2_27", "2_17")),
        {
            "framework-native": tuple(
                name for name in NATIVE_SET if name not in ("mlx", "mlx-metal", "torch")
            )
        },
    ),
    WheelSet(
        "assistant",
        "macosx_arm64",
        (*ARM64, *UNIVERSAL),
        {
            "framework-mlx": ("mlx", "mlx-metal"),
            "app-server": ("fastapi", "uvicorn", "mlx-lm", "transformers", "httpx"),
        },
        deps=True,
    ),
)


def _pip(*arguments: str | Path) -> None:
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-m",
            "pip",
            "-q",
            "--disable-pip-version-check",
            *map(str, arguments),
        ],
        check=True,
    )


def _for_platform(one: WheelSet) -> list[str]:
    tags = [word for platform in one.platforms for word in ("--platform", platform)]
    return ["--only-binary=:all:", "--python-version", PYTHON, *tags]


def fetch(wheels: Path) -> None:
    """Download every set into a folder of its own."""
    for one in SETS:
        for requirements in one.layers.values():
            more = [] if one.deps else ["--no-deps"]
            _pip("download", *more, *_for_platform(one), "-d", wheels / one.name, *requirements)


def install(one: WheelSet, wheels: Path, folder: Path) -> None:
    """Each layer as a folder. What a lower layer has, an upper one doesn't get again."""
    there: set[str] = set()
    for name, requirements in one.layers.items():
        site = folder / name / SITE
        flags = [] if one.deps else ["--no-deps"]
        source = ["--no-index", "--find-links", wheels / one.name]
        _pip(
            "install",
            "--no-compile",
            *flags,
            *_for_platform(one),
            *source,
            "--target",
            site,
            *requirements,
        )
        _tidy(folder / name, site)
        for info in sorted(site.glob("*.dist-info")):
            if info.name in there:
                _uninstall(info, folder / name)
            there.add(info.name)


def _tidy(layer: Path, site: Path) -> None:
    """``pip --target`` puts scripts into ``bin`` of the target, and names them two folders up."""
    if (site / "bin").is_dir():
        shutil.move(site / "bin", layer / "bin")
    for record in site.glob("*.dist-info/RECORD"):
        record.write_text(record.read_text("utf-8").replace("../../bin/", "../../../bin/"), "utf-8")


def _uninstall(info: Path, layer: Path) -> None:
    for row in (info / "RECORD").read_text("utf-8").splitlines():
        path = Path(os.path.normpath(info.parent / row.partition(",")[0]))
        if path.is_relative_to(layer) and path.is_file():
            path.unlink()
    shutil.rmtree(info, ignore_errors=True)


def publish(one: WheelSet, layers: Path, target: Path, suffix: str) -> None:
    """The folder that venvstacks would publish: an archive a layer, and a manifest."""
    manifest: dict[str, dict[str, list[dict[str, object]]]] = {
        "layers": {"runtimes": [], "frameworks": [], "applications": []}
    }
    (layers / "cpython-runtime" / "lib" / f"python{PYTHON}").mkdir(parents=True)
    (layers / "cpython-runtime" / "lib" / f"python{PYTHON}" / "os.py").write_text("")
    (target / "__venvstacks__").mkdir(parents=True)
    names = ["cpython-runtime", *one.layers]
    for number, name in enumerate(names):
        kind = {"cpython": "runtimes", "framework": "frameworks"}.get(
            name.partition("-")[0], "applications"
        )
        below = names[1:number][::-1] if number else []
        _scaffold(layers / name, name, below)
        archive = target / f"{name}.{suffix}"
        with _opened(archive) as written:
            written.add(layers / name, name, filter=_normal)
        data = archive.read_bytes()
        manifest["layers"][kind].append(
            {
                "archive_build": 1,
                "archive_hashes": {"sha256": hashlib.sha256(data).hexdigest()},
                "archive_name": archive.name,
                "archive_size": len(data),
                "install_target": name,
                "layer_name": name,
                "python_implementation": f"cpython@{PYTHON}.0",
                "required_layers": below,
                "runtime_layer": "cpython-runtime",
                "target_platform": one.target,
            }
        )
    (target / "__venvstacks__" / "venvstacks.json").write_text(json.dumps(manifest))


def _opened(archive: Path) -> tarfile.TarFile:
    """As venvstacks writes it (xz preset 6), or a plain tar, to measure installed files."""
    if archive.suffix == ".xz":
        return tarfile.open(archive, "w:xz", format=tarfile.PAX_FORMAT, preset=6)
    return tarfile.open(archive, "w", format=tarfile.PAX_FORMAT)


def _scaffold(layer: Path, name: str, below: list[str]) -> None:
    lower = [*below, *(["cpython-runtime"] if name != "cpython-runtime" else [])]
    config = {
        "python": "bin/python",
        "py_version": f"{PYTHON}.0",
        "base_python": "bin/python"
        if name == "cpython-runtime"
        else "../cpython-runtime/bin/python",
        "site_dir": SITE,
        "pylib_dirs": [f"../{other}/{SITE}" for other in lower],
        "dynlib_dirs": [f"../{other}/share/venv/dynlib" for other in lower],
    }
    folder = layer / "share/venv/metadata"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "venvstacks_layer.json").write_text(json.dumps(config))
    (layer / "postinstall.py").write_text("")


def _normal(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = 1_700_000_000
    return info


# -- judging ---------------------------------------------------------------------------------------


@dataclass
class Judged:
    """How many files each judge saw, what it complained about, and who wasn't there."""

    files: int = 0
    complaints: dict[str, list[str]] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)


def judge(pairs: Iterable[tuple[FileRecord, bytes, bytes]]) -> Judged:
    """Ask every judge about each edited Mach-O file."""
    import lief

    found = Judged()
    objdump = next(
        (name for name in ("llvm-objdump-19", "llvm-objdump") if shutil.which(name)), None
    )
    if objdump is None:
        found.absent.append("llvm-objdump")
    try:
        from apple_platform import verify_macho
    except ImportError:
        verify_macho = None
        found.absent.append("apple_platform")
    with tempfile.TemporaryDirectory() as folder:
        for record, before, after in pairs:
            found.files += 1
            place = Path(folder) / "after"
            place.write_bytes(after)
            for name, text in _complaints(before, after, place, objdump, verify_macho, lief):
                found.complaints.setdefault(name, []).append(f"{record.path}: {text}")
    return found


def _complaints(before, after, place, objdump, verify_macho, lief) -> Iterator[tuple[str, str]]:  # type: ignore[no-untyped-def]
    yield from (("verifier", text) for text in check_macho(before, after)[:1])
    images = lief.MachO.parse(str(place))  # its parts are gone as soon as it is
    for image in images:
        fine, text = lief.MachO.check_layout(image)
        if not fine:
            yield "lief", text
    if objdump is not None:
        old = place.with_name("before")
        old.write_bytes(before)
        machine = images.at(0).header.cpu_type.name.lower()
        arch = {"arm64": "arm64", "x86_64": "x86_64"}.get(machine, machine)
        if _dump(objdump, old, arch) != _dump(objdump, place, arch):
            yield "llvm-objdump", "exports, binds, rebases or libraries differ"
    if verify_macho is not None:
        old = place.with_name("before")
        old.write_bytes(before)
        # Of every ad-hoc signature it complains that nobody's identity is in it, as it did before.
        told = [
            {_SLICE.sub("", one["description"]) for one in verify_macho(str(file))}
            for file in (place, old)
        ]
        fresh = told[0] - told[1]
        if fresh:
            yield "apple_platform", min(fresh)


def _dump(objdump: str, place: Path, arch: str) -> str:
    tables = (
        "--exports-trie",
        "--bind",
        "--lazy-bind",
        "--weak-bind",
        "--rebase",
        "--dylibs-used",
        "--rpaths",
    )
    done = subprocess.run(
        [objdump, "--macho", f"--arch={arch}", *tables, str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.replace(str(place), "")


# -- measuring -------------------------------------------------------------------------------------


def measure(wheels: Path, chosen: Sequence[str], profile: str, suffix: str) -> None:
    """Lay out, slim, judge, and print a table for each set."""
    for one in SETS:
        if chosen and one.name not in chosen:
            continue
        with tempfile.TemporaryDirectory(prefix="native-") as scratch:
            folder = Path(scratch)
            install(one, wheels, folder / "layers")
            publish(one, folder / "layers", folder / "published", suffix)
            config = load_config(SCHEMAS, overrides={"profile": profile})
            started = time.monotonic()
            (result,) = run(
                RunRequest(
                    source=folder / "published",
                    output=folder / "slim",
                    config=config,
                    unverified=True,
                ),
                Silent(),
            )
            elapsed = time.monotonic() - started
            pairs = list(_edited(result, folder))
            print(f"\n## {one.name} ({one.target}, profile {profile}, {elapsed:.0f} s)\n")
            print(_table(result), flush=True)
            print()
            _tell(judge(pairs), result, folder)


def _edited(result: RunResult, folder: Path) -> Iterator[tuple[FileRecord, bytes, bytes]]:
    """The Mach-O files that were edited, before and after, as they were published."""
    for layer in result.layers:
        if layer.archive_name is None:
            continue
        options = ReadOptions(spool_dir=folder, limits=Limits(), platform=layer.layer.platform)
        name = next(path.name for path in (folder / "published").glob(f"{layer.layer.name}.tar*"))
        with (
            read_archive(folder / "published" / name, options) as before,
            read_archive(folder / "slim" / layer.archive_name, options) as after,
        ):
            for action in result.plan.for_layer(layer.layer.name):
                record = action.record
                if record.native is not NativeFormat.MACHO or isinstance(action, Remove):
                    continue
                old, new = before.members[record.path].content, after.members[record.path].content
                if old is not None and new is not None:
                    yield record, bytes(old.view()), bytes(new.view())


def _table(result: RunResult) -> str:
    """A row for each owner, a column for each pass."""
    saved: dict[str, Counter[str]] = {}
    for action in result.plan.actions.values():
        slices = sum(
            int(match[1]) for one in action.evidence for match in _THINNED.finditer(one.text)
        )
        counter = saved.setdefault(action.record.owner.label, Counter())
        counter["slices"] += slices
        counter[action.pass_name] += action.saved - slices
    passes = [
        name for name, size in sum(saved.values(), Counter()).most_common() if size >= _COLUMN
    ]
    rows = [["distribution", "before", *passes, "after"]]
    for row in sorted(result.accounts.by_owner, key=lambda row: -row.before):
        if row.before < _SHOWN:
            continue
        cells = [saved.get(row.label, Counter())[name] for name in passes]
        rows.append([row.label, _mb(row.before), *map(_mb, cells), _mb(row.after)])
    total = [sum(counter[name] for counter in saved.values()) for name in passes]
    rows.append(
        ["**all**", _mb(result.before.unpacked), *map(_mb, total), _mb(result.after.unpacked)]
    )
    archives = [result.before.archive, result.after.archive]
    if archives[0] < result.before.unpacked:
        rows.append(["archives", _mb(archives[0]), *("" for _ in passes), _mb(archives[1])])
    head, *body = ("| " + " | ".join(cells) + " |" for cells in rows)
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])


_COLUMN = 50_000
"""Bytes that a pass must save to get a column.

What is taken out of universal files has one of its own, "slices".
"""
_THINNED = re.compile(r"\bslice \S+ (\d+)")
_SLICE = re.compile(r"\A@\d+: ")
_SHOWN = 1_000_000
"""Bytes that a distribution must have to get a row of its own."""


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _tell(judged: Judged, result: RunResult, folder: Path) -> None:
    invalid = {name: len(texts) for name, texts in judged.complaints.items()}
    print(
        f"Edited Mach-O files: {judged.files}; complaints: {invalid or 'none'}; absent: "
        f"{judged.absent or 'none'}"
    )
    for name, texts in judged.complaints.items():
        for text in texts[:5]:
            print(f"- {name}: {text.replace(str(folder), '')}")
    refused = Counter(
        (skip.pass_name, skip.reason.value) for skip in result.plan.skipped if skip.record.native
    )
    print("Native files kept:", dict(sorted(refused.items())) or "none")


# -- speed and signatures --------------------------------------------------------------------------


def speed(wheels: Path) -> None:
    """Seconds for the Mach-O files of the arm64 set, and for the ELF files of the Linux set.

    The editors one file after the other, and a stripper over the same files.
    """
    _race(
        wheels,
        "arm64",
        b"\xcf\xfa\xed\xfe",
        plan_macho_edit,
        ("llvm-strip-19", "llvm-strip"),
        ("-S", "-x"),
    )
    _race(wheels, "linux", b"\x7fELF", plan_edit, ("strip",), ("--strip-unneeded",))


def _race(
    wheels: Path,
    name: str,
    magic: bytes,
    plan: Callable[[memoryview, str], ElfEdit | MachoEdit | NotEditable],
    strippers: Sequence[str],
    flags: Sequence[str],
) -> None:
    one = next(one for one in SETS if one.name == name)
    with tempfile.TemporaryDirectory(prefix="native-") as scratch:
        folder = Path(scratch)
        install(one, wheels, folder / "layers")
        files = [
            path for path in sorted(folder.rglob("*")) if path.is_file() and _starts(path, magic)
        ]
        whole = sum(path.stat().st_size for path in files)
        print(f"{name}: {len(files)} files, {_mb(whole)} MB")
        started = time.perf_counter()
        saved = 0
        for path in files:
            with (
                path.open("rb") as opened,
                mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            ):
                saved += _write_edit(
                    plan(memoryview(mapped), "unneeded"), path.with_name(path.name + ".new")
                )
        print(f"  slim: {time.perf_counter() - started:.1f} s, {_mb(saved)} MB saved")
        strip = next((name for name in strippers if shutil.which(name)), None)
        if strip is None:
            print(f"  {strippers[0]} isn't installed: nothing to compare with")
            return
        started = time.perf_counter()
        saved = 0
        for path in files:
            new = path.with_name(path.name + ".stripped")
            if (
                subprocess.run(
                    [strip, *flags, "-o", new, path], capture_output=True, check=False
                ).returncode
                == 0
            ):
                saved += path.stat().st_size - new.stat().st_size
        print(f"  {strip}: {time.perf_counter() - started:.1f} s, {_mb(saved)} MB saved")


def _write_edit(edit: ElfEdit | MachoEdit | NotEditable, target: Path) -> int:
    """Write an edited file as it comes; give the bytes saved.

    Frees what it holds of the original.
    """
    if isinstance(edit, NotEditable):
        return 0
    with target.open("wb") as written:
        for chunk in edit.recipe.chunks(edit.original):
            written.write(chunk)
    return edit.size_before - edit.size_after


def _starts(path: Path, magic: bytes) -> bool:
    with path.open("rb") as opened:
        return opened.read(len(magic)) == magic


def signatures(wheels: Path) -> None:
    """Count ad-hoc signatures that come out as they were when written again without an edit."""
    counts: Counter[str] = Counter()
    for wheel in sorted((wheels / "arm64").glob("*.whl")):
        with zipfile.ZipFile(wheel) as opened:
            for info in opened.infolist():
                data = opened.read(info)
                if data[:4] != b"\xcf\xfa\xed\xfe":
                    continue
                again = resign(data)
                if isinstance(again, NotEditable):
                    counts[f"not signed again: {again.kind.value}"] += 1
                else:
                    counts["the same bytes" if again == data else "other bytes"] += 1
    for what, number in counts.most_common():
        print(f"{number:4} {what}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("fetch", "measure", "speed", "signatures"))
    parser.add_argument("wheels", type=Path)
    parser.add_argument(
        "--set", dest="chosen", action="append", default=[], choices=[one.name for one in SETS]
    )
    parser.add_argument("--profile", default="standard")
    parser.add_argument(
        "--xz", action="store_true", help="compress the layers, to measure archives too (slow)"
    )
    given = parser.parse_args()
    if given.command == "fetch":
        fetch(given.wheels)
    elif given.command == "measure":
        measure(given.wheels, given.chosen, given.profile, "tar.xz" if given.xz else "tar")
    elif given.command == "speed":
        speed(given.wheels)
    else:
        signatures(given.wheels)


if __name__ == "__main__":
    main()
