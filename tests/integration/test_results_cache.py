"""``slim run --cache``: what was made before is taken from there, if it is right."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from slim.config.load import load_config
from slim.formats import FORMATS
from slim.model.outcome import RunResult
from slim.model.settings import Level
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.reuse.cache import open_cache
from slim.reuse.upkeep import prune, stats, verify
from tests.support import published_stacks
from tests.support.published_stacks import SITE, LayerSpec, distribution, merge, publish

FIELDS = RunRequest.__dataclass_fields__
STDLIB = "lib/python3.13"


def runtime() -> LayerSpec:
    return LayerSpec(
        "runtime",
        {
            "bin/python3.13": b"\x7fELF" * 9,
            f"{STDLIB}/os.py": "x = 1\n",
            f"{STDLIB}/site.py": "x = 1\n",
            f"{STDLIB}/turtle.py": "import math\n" * 90,
            f"{STDLIB}/turtledemo/__init__.py": "",
            f"{STDLIB}/turtledemo/__main__.py": "import turtle\n" * 50,
            f"{STDLIB}/turtledemo/clock.py": "import turtle\n" * 50,
        },
    )


def application(code: str) -> LayerSpec:
    return LayerSpec(
        "application",
        merge(
            distribution("idna", {"idna/core.py": "V = 1\n" * 50, "idna/tests/test_a.py": "#\n"}),
            {f"{SITE}/start.py": code},
        ),
        requires=("py",),
        launch_module="start",
    )


def stack(folder: Path, code: str = "import idna\n") -> Path:
    publish(folder, {"py": runtime(), "app": application(code)})
    return folder


def request(source: Path, output: Path, cache: Path | None, **changes: object) -> RunRequest:
    config = load_config(SCHEMAS)
    settings = {name: changes.pop(name) for name in list(changes) if name not in FIELDS}
    whole = RunRequest(
        source=source,
        output=output,
        config=replace(config, **settings),  # type: ignore[arg-type]
        cache=None if cache is None else str(cache),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def slimmed(source: Path, output: Path, cache: Path | None, **changes: object) -> RunResult:
    [result] = run(request(source, output, cache, **changes))
    return result


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def use(result: RunResult) -> tuple[str, ...]:
    assert result.cache is not None
    return result.cache.notes


@pytest.mark.parametrize("name", [known.name for known in FORMATS])
def test_a_hit_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "plain", None, format=name)
    first = slimmed(source, tmp_path / "first", cache, format=name)
    again = slimmed(source, tmp_path / "again", cache, format=name)
    assert files(tmp_path / "plain") == files(tmp_path / "first") == files(tmp_path / "again")
    assert [layer.cached for layer in first.layers] == [False, False]
    assert again.cache is not None and not again.cache.notes


def test_the_same_runtime_is_right_in_two_stacks_of_which_one_uses_more_of_it(
    tmp_path: Path,
) -> None:
    plain, uses = stack(tmp_path / "plain"), stack(tmp_path / "uses", "import turtledemo.clock\n")
    archives = [next(folder.glob("py*")).read_bytes() for folder in (plain, uses)]
    assert archives[0] == archives[1]
    alone = {}
    for source in (plain, uses):
        slimmed(source, tmp_path / f"alone-{source.name}", None)
        alone[source] = files(tmp_path / f"alone-{source.name}")
    for at, order in enumerate([(plain, uses), (uses, plain)]):
        for source in (*order, *order):
            output = tmp_path / f"out-{at}-{source.name}"
            shutil.rmtree(output, ignore_errors=True)
            slimmed(source, output, tmp_path / f"cache-{at}")
            assert files(output) == alone[source]
    runtimes = {
        hashlib.sha256(next(iter(_archives(one))).read_bytes()).digest()
        for one in (tmp_path / "alone-plain", tmp_path / "alone-uses")
    }
    assert len(runtimes) == 2


def _archives(folder: Path) -> list[Path]:
    return sorted(folder.glob("py*"))


def _entries(cache: Path, action: str) -> list[Path]:
    found = sorted((cache / "ac").iterdir())
    return [path for path in found if json.loads(path.read_bytes())["action"] == action]


def _damage_layer_only(cache: Path) -> None:
    """Leave only the entries of layers, so that those are what is asked."""
    for path in sorted((cache / "ac").iterdir()):
        if json.loads(path.read_bytes())["action"] != "layer":
            path.unlink()


@pytest.mark.parametrize("harm", ["cut", "other bytes", "evicted", "longer"])
def test_a_blob_that_is_not_what_its_name_says_is_made_anew(tmp_path: Path, harm: str) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    _damage_layer_only(cache)
    for blob in (cache / "cas").iterdir():
        data = blob.read_bytes()
        if harm == "evicted":
            blob.unlink()
        else:
            changed = {"cut": data[:-9], "longer": data + b"x", "other bytes": data[:-1] + b"x"}
            blob.write_bytes(changed[harm])
    again = slimmed(source, tmp_path / "again", cache)
    assert files(tmp_path / "again") == files(tmp_path / "first")
    assert len(use(again)) >= 2
    assert all("made anew" in text for text in use(again))
    _damage_layer_only(cache)
    third = slimmed(source, tmp_path / "third", cache)
    assert [layer.cached for layer in third.layers] == [True, True] and not use(third)
    assert not verify(open_cache(cache)).wrong


def test_a_poisoned_entry_is_dropped_and_never_published(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    _damage_layer_only(cache)
    one, other = _entries(cache, "layer")
    swapped = one.read_bytes(), other.read_bytes()
    other.write_bytes(swapped[0]), one.write_bytes(swapped[1])
    again = slimmed(source, tmp_path / "again", cache)
    assert files(tmp_path / "again") == files(tmp_path / "first")
    assert len(use(again)) == 2 and all("dropped" in text for text in use(again))
    _damage_layer_only(cache)
    third = slimmed(source, tmp_path / "third", cache)
    assert [layer.cached for layer in third.layers] == [True, True]


def test_an_archive_with_other_times_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache, format="tar.gz")
    _damage_layer_only(cache)
    monkeypatch.setattr(published_stacks, "MTIME", published_stacks.MTIME + 2)
    stack(tmp_path / "later")
    slimmed(tmp_path / "later", tmp_path / "other", None, format="tar.gz")
    for archive in (tmp_path / "other").glob("*.tar.gz"):
        shutil.copy(archive, cache / "cas" / hashlib.sha256(archive.read_bytes()).hexdigest())
    others = {
        a.name: hashlib.sha256(a.read_bytes()).hexdigest()
        for a in (tmp_path / "other").glob("*.tar.gz")
    }
    firsts = {
        hashlib.sha256(a.read_bytes()).hexdigest(): a.name
        for a in (tmp_path / "first").glob("*.tar.gz")
    }
    for path in _entries(cache, "layer"):
        entry = json.loads(path.read_bytes())
        (old,) = entry["body"]["blobs"]
        new = others[firsts[old]]
        assert new != old
        entry["body"]["blobs"] = {new: (cache / "cas" / new).stat().st_size}
        path.write_text(json.dumps(entry))
    again = slimmed(source, tmp_path / "again", cache, format="tar.gz")
    assert files(tmp_path / "again") == files(tmp_path / "first")
    assert len(use(again)) == 2 and all("has time" in text for text in use(again))


CHANGES: dict[str, dict[str, object]] = {
    "format": {"format": "tar.gz"},
    "effort": {"level": Level.FAST},
    "memory": {"memory": 600_000_000},
    "filter": {"xz_arm64": True},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_goes_into_the_writer_is_in_the_key(tmp_path: Path, change: str) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    other = slimmed(source, tmp_path / "other", cache, **CHANGES[change])
    assert [layer.cached for layer in other.layers] == [False, False]


def test_a_cache_that_fails_is_told_and_not_used(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    cache.mkdir()
    (cache / "ac").write_text("a file")
    (cache / "cas").write_text("a file")
    result = slimmed(source, tmp_path / "out", cache)
    assert (tmp_path / "out").is_dir()
    assert len(use(result)) == 1 and "isn't used any more" in use(result)[0]


def test_upkeep(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    results = open_cache(cache)
    before = stats(results)
    assert before.entries["layer"] == 2 and before.blobs >= 2 and before.size > 0
    stray = cache / "cas" / ("0" * 64)
    stray.write_bytes(b"not zeros")
    (cache / "ac" / ("1" * 64)).write_text("{}")
    found = verify(results)
    assert {place for place, _ in found.wrong} == {f"cas/{'0' * 64}", f"ac/{'1' * 64}"}
    assert stray.exists()
    verify(results, drop=True)
    assert not verify(results).wrong
    assert prune(results, max_size=None, older_than=None).size == 0
    assert prune(results, max_size=0, older_than=None, dry_run=True).blobs == before.blobs
    assert stats(results) == before
    prune(results, max_size=0, older_than=None)
    assert stats(results).blobs == 0 and not stats(results).entries
    slimmed(source, tmp_path / "again", cache)
    assert files(tmp_path / "again") == files(tmp_path / "first")
