"""Wheels for Windows as layers: a loader of Windows loads the same after as before.

What it loads is also what slim says.

The loader is Wine's. Python itself isn't to be had from the package index: a program that opens
libraries as Python opens extension modules stands for it, and libraries with its names that do
nothing.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from slim.analysis.linkage.graph import Linkage
from slim.config.load import load_config
from slim.model.outcome import RunResult
from slim.model.plan import Remove
from slim.model.progress import Silent
from slim.model.record import NativeFormat
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from tests.support.platform_wheels import Zig, installed
from tests.support.published_stacks import LayerSpec, publish
from tests.support.virtual_stacks import make_stack
from tests.support.wine_loader import Loaded, Wine, find_wine, runtime

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(
        find_wine() is None,
        reason="Wine isn't installed (Debian: wine64): no loader of Windows to ask",
    ),
    pytest.mark.xdist_group("wine"),
]

SITE = "Lib/site-packages"
RUNTIME, FRAMEWORK = "cpython3.13", "framework-native"
# Packages, and the folders that each adds with os.add_dll_directory when it is imported.
PACKAGES = {
    "numpy": ["numpy.libs"],
    "pillow": ["pillow.libs"],
    "pyarrow": ["pyarrow", "pyarrow.libs"],
}


@dataclass(frozen=True)
class Layers:
    """The layers unpacked as they were and as they became, and what was done."""

    before: Path
    after: Path
    runtime: dict[str, bytes]
    files: dict[str, bytes]
    result: RunResult
    wine: Wine

    def load(self, top: Path, path: str) -> Loaded:
        """Load a library of the framework layer as Python would with its package imported.

        Returns files below ``top``.
        """
        package = path.removeprefix(f"{SITE}/").partition("/")[0].removesuffix(".libs").lower()
        added = PACKAGES.get({"pil": "pillow"}.get(package, package), [])
        site = top / FRAMEWORK / SITE
        folders = [site / folder for folder in added if (site / folder).is_dir()]
        loaded = self.wine.load(top / RUNTIME / "python.exe", top / FRAMEWORK / path, folders)
        own = frozenset(file.relative_to(top) for file in loaded.files if file.is_relative_to(top))
        return Loaded(files=own, error=loaded.error)


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layers]:
    top = tmp_path_factory.mktemp("windows").resolve()
    found = installed(top / "wheels", ["win_amd64"], *PACKAGES, site=SITE)
    files = {path: content for path, content in found.items() if isinstance(content, bytes)}
    libraries = []
    for number, (path, content) in enumerate(files.items()):
        if path.endswith(".pyd"):
            libraries.append(top / "imports" / f"{number}.pyd")
            libraries[-1].parent.mkdir(exist_ok=True)
            libraries[-1].write_bytes(content)
    made = runtime(Zig(top / "ziglang"), top / "runtime", libraries)
    stack = {
        RUNTIME: LayerSpec("runtime", {**made, "Lib/os.py": ""}),
        FRAMEWORK: LayerSpec("framework", found),
    }
    publish(top / "published", stack, platform="win_amd64", suffix=".tar")
    config = load_config(SCHEMAS, overrides={"profile": "aggressive", "format": "tar"})
    (result,) = run(
        RunRequest(source=top / "published", output=top / "slim", config=config, unverified=True),
        Silent(),
    )
    for published, name in (("published", "before"), ("slim", "after")):
        for layer in stack:
            with tarfile.open(top / published / f"{layer}.tar") as archive:
                archive.extractall(top / name, filter="data")
    wine = Wine(top / "wine")
    yield Layers(
        before=top / "before",
        after=top / "after",
        runtime=made,
        files=files,
        result=result,
        wine=wine,
    )
    wine.stop()


@pytest.fixture(scope="module")
def before(layers: Layers) -> dict[str, Loaded]:
    """What comes with each library before anything is removed; nearly all can be loaded."""
    found = loads(layers, layers.before)
    refused = {path: loaded.error for path, loaded in found.items() if loaded.error}
    assert len(found) > 40 and len(refused) < len(found) // 10, refused
    return found


def loads(layers: Layers, top: Path) -> dict[str, Loaded]:
    """What comes with each library that is there."""
    site = top / FRAMEWORK / SITE
    paths = sorted(
        path.relative_to(top / FRAMEWORK).as_posix()
        for path in site.rglob("*")
        if path.suffix.lower() in (".pyd", ".dll")
    )
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(paths, pool.map(lambda path: layers.load(top, path), paths), strict=True))


def test_what_loaded_before_loads_after_with_the_same_libraries(
    layers: Layers, before: dict[str, Loaded]
) -> None:
    removed = {
        action.record.path
        for action in layers.result.plan.actions.values()
        if isinstance(action, Remove)
    }
    assert loads(layers, layers.after) == {
        path: loaded for path, loaded in before.items() if path not in removed
    }


def test_libraries_come_from_where_slim_says(layers: Layers, before: dict[str, Loaded]) -> None:
    made = make_stack({RUNTIME: layers.runtime, FRAMEWORK: layers.files}, platform="win_amd64")
    linkage = Linkage.build(made.stack, made.inventory, made.read)
    (process,) = (one for one in linkage.processes if one.layer == FRAMEWORK)
    loader = linkage.loader(NativeFormat.PE, process)
    compared = 0
    for path, loaded in before.items():
        if loaded.error:
            continue
        record = made.inventory.records[FRAMEWORK][path]
        edges = loader.load(record, record.deployed_path)
        mine = {edge.target.deployed_path for edge in edges if edge.target is not None} | {
            record.deployed_path
        }
        real = {file.as_posix() for file in loaded.files} - {f"{RUNTIME}/python.exe"}
        assert mine == real, path
        compared += len(real) - 1
    assert compared > 40


def test_the_loader_sees_a_library_that_is_missing(layers: Layers) -> None:
    """Otherwise the other tests would mean nothing."""
    path = next(
        path for path in layers.files if path.endswith(".pyd") and "/_multiarray_umath." in path
    )
    libraries = sorted((layers.after / FRAMEWORK / SITE / "numpy.libs").glob("*openblas*.dll"))
    assert libraries and not layers.load(layers.after, path).error
    away = layers.after / libraries[0].name
    libraries[0].rename(away)
    try:
        assert layers.load(layers.after, path).error == 126
    finally:
        away.rename(libraries[0])
