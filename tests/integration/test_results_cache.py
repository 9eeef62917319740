"""``slim run --cache``: what was made before is taken from there, if it is right."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from slim import api
from slim.config.load import load_config
from slim.config.settings import Config
from slim.errors import ConfigError, IntegrityError, RefusedError
from slim.formats import FORMATS
from slim.formats.compression.xz import container
from slim.formats.compression.xz.container import compress_block
from slim.inventory.locate import locate
from slim.model.guided import GuidedSettings
from slim.model.limits import Limits
from slim.model.outcome import RunResult
from slim.model.progress import Silent
from slim.model.rule import Safety
from slim.model.settings import BytecodePolicy, DropSpec, Level, RestPolicy
from slim.passes import SCHEMAS
from slim.pipeline.known import Known, publish_known
from slim.pipeline.previous import read_previous
from slim.pipeline.request import RunOrder
from slim.pipeline.stages import RunRequest, run
from slim.pipeline.whole import keyed_settings, run_key
from slim.reports.run import RUN_REPORTERS
from slim.reuse.cache import open_cache
from slim.reuse.forms import pack, unpack
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


def _leave_only(cache: Path, left: str = "layer") -> None:
    """Leave only the entries of one action, so that those are what is asked."""
    for path in sorted((cache / "ac").iterdir()):
        if json.loads(path.read_bytes())["action"] != left:
            path.unlink()


@pytest.mark.parametrize("harm", ["cut", "other bytes", "evicted", "longer"])
def test_a_blob_that_is_not_what_its_name_says_is_made_anew(tmp_path: Path, harm: str) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    _leave_only(cache)
    blobs = [
        cache / "cas" / name
        for path in _entries(cache, "layer")
        for name in json.loads(path.read_bytes())["body"]["blobs"]
    ]
    for blob in blobs:
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
    _leave_only(cache)
    third = slimmed(source, tmp_path / "third", cache)
    assert [layer.cached for layer in third.layers] == [True, True] and not use(third)
    assert not verify(open_cache(cache)).wrong


def test_a_poisoned_entry_is_dropped_and_never_published(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    _leave_only(cache)
    one, other = _entries(cache, "layer")
    swapped = one.read_bytes(), other.read_bytes()
    other.write_bytes(swapped[0]), one.write_bytes(swapped[1])
    again = slimmed(source, tmp_path / "again", cache)
    assert files(tmp_path / "again") == files(tmp_path / "first")
    assert len(use(again)) == 2 and all("dropped" in text for text in use(again))
    _leave_only(cache)
    third = slimmed(source, tmp_path / "third", cache)
    assert [layer.cached for layer in third.layers] == [True, True]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "LEAST_KNOWN", 512)


@pytest.mark.usefixtures("small_blocks")
def test_a_layer_that_changed_takes_the_blocks_that_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machine code is a block of its own: it is the same where only sources changed."""
    cache = tmp_path / "cache"
    slimmed(stack(tmp_path / "in"), tmp_path / "first", cache)
    other = stack(tmp_path / "other", "import idna\nx = 1\n")
    slimmed(other, tmp_path / "plain", None)
    made = []

    def counted(block: Any, settings: Any) -> Any:
        made.append(block.size)
        return compress_block(block, settings)

    monkeypatch.setattr(container, "compress_block", counted)
    result = slimmed(other, tmp_path / "again", cache)
    assert files(tmp_path / "again") == files(tmp_path / "plain")
    assert [layer.cached for layer in result.layers] == [True, False]
    assert made and not use(result)
    count = len(made)
    _leave_only(cache, left="block")
    slimmed(other, tmp_path / "blocks", cache)
    assert files(tmp_path / "blocks") == files(tmp_path / "plain")
    large = [size for size in made[count:] if size >= 512]
    assert not large, "all blocks of both layers are known now"


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("harm", ["elsewhere", "packed bytes", "no number", "outside"])
def test_a_block_that_is_wrong_is_made_anew(tmp_path: Path, harm: str) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    _leave_only(cache, left="block")
    entries = _entries(cache, "block")
    assert entries
    for path in entries:
        entry = json.loads(path.read_bytes())
        ((name, size),) = entry["body"]["blobs"].items()
        at, length = entry["body"]["at"], entry["body"]["length"]
        if harm == "packed bytes":  # header and check stay: only reading back can tell
            blob = cache / "cas" / name
            data = bytearray(blob.read_bytes())
            data[at + length // 2] ^= 1
            blob.write_bytes(data)
        else:
            wrong = {"elsewhere": at + 4, "no number": str(at), "outside": size + 1}[harm]
            entry["body"]["length" if harm == "outside" else "at"] = wrong
            path.write_text(json.dumps(entry))
    again = slimmed(source, tmp_path / "again", cache)
    assert files(tmp_path / "again") == files(tmp_path / "first")
    assert use(again) and all("dropped, and made anew" in text for text in use(again))


def test_an_archive_with_other_times_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache, format="tar.gz")
    _leave_only(cache)
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


def _key(source: Path, **changes: object) -> str | None:
    outside = {name: changes.pop(name) for name in ("output",) if name in changes}
    asked = request(source, source.parent / "out", None, **changes)
    asked = replace(asked, cache="cache", **outside)  # type: ignore[arg-type]
    previous = None if asked.previous is None else read_previous(asked.previous)
    settings = keyed_settings(asked.config)
    return None if settings is None else run_key(asked, settings, locate(asked.source), previous)


SAME: dict[str, dict[str, object]] = {
    "jobs": {"jobs": 3},
    "where settings are from": {"origin": "other.toml"},
    "force": {"force": True},
    "output": {"output": Path("elsewhere")},
    "recheck": {"recheck": 0.5},
}
OTHER: dict[str, dict[str, object]] = {
    **CHANGES,
    "profile": {"profile": Safety.SAFE},
    "enable": {"enable": frozenset({"runtime-turtle"})},
    "disable": {"disable": frozenset({"tests-folders"})},
    "keep": {"keep": ("**/a",)},
    "drop": {"drop": (DropSpec(name="idna"),)},
    "provided": {"provided": ("x",)},
    "bytecode": {"bytecode": BytecodePolicy.NONE},
    "strict": {"strict": True},
    "embedded": {"embedded": False},
    "strict evidence": {"strict_evidence": True},
    "guard": {"guard": True},
    "rest packs": {"rest_pack": RestPolicy.ALL},
    "limits": {"limits": Limits(members=99_999)},
    "choose": {"choose": {"locales": ("de",)}},
    "canary": {"canary": True},
    "platforms": {"platforms": ("linux_x86_64",)},
    "request layers": {"layers": ("app",)},
    "verify": {"verify": True},
    "unverified": {"unverified": True},
    "no repair": {"repair": False},
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stack(tmp_path_factory.mktemp("one") / "in")


@pytest.mark.parametrize("name", SAME)
def test_what_changes_no_byte_is_not_in_the_key_of_a_run(one: Path, name: str) -> None:
    assert _key(one, **SAME[name]) == _key(one) is not None


@pytest.mark.parametrize("name", OTHER)
def test_what_can_change_a_byte_is_in_the_key_of_a_run(one: Path, name: str) -> None:
    assert _key(one, **OTHER[name]) != _key(one)
    assert _key(one, **OTHER[name]) is not None


def test_every_setting_is_in_one_of_the_tables() -> None:
    """A new one is in the key without anybody's doing; this asks whether it should be."""
    known = {name for changes in (*SAME.values(), *OTHER.values()) for name in changes}
    elsewhere = {"cache", "packs", "layers", "budgets", "files", "trace", "guided", "gpu"}
    assert {field.name for field in fields(Config)} - known - elsewhere == set()


def test_traces_and_rest_packs_that_are_taken_along_are_in_the_key(
    tmp_path: Path,
) -> None:
    source, trace = stack(tmp_path / "in"), tmp_path / "slim.trace"
    guided = {"guided": GuidedSettings(traces=(trace,))}
    assert _key(source, **guided) is None  # there is none: the run says so
    trace.write_text("slim trace 1\n")
    first = _key(source, **guided)
    trace.write_text("slim trace 1\nrun use other\n")
    assert None is not first != _key(source, **guided)
    bare = _key(source)
    (source / "rest").mkdir()
    assert _key(source) == bare
    (source / "rest" / "py.rest.tar.xz").write_bytes(b"x")
    assert _key(source) != bare


def test_the_manifest_and_what_was_published_before_are_in_the_key(
    tmp_path: Path, one: Path
) -> None:
    slimmed(one, tmp_path / "before", None)
    assert (
        len(
            {
                _key(one),
                _key(one, previous=tmp_path / "before"),
                _key(stack(tmp_path / "other" / "in", "import turtledemo\n")),
            }
        )
        == 3
    )


def test_a_verified_run_depends_on_the_host(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, tried = _key(one), _key(one, verify=True)
    monkeypatch.setenv("LANG", "tlh_KX")
    assert _key(one) == plain
    assert _key(one, verify=True) != tried


def test_a_whole_run_gives_the_same_files_and_the_same_report(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    first = slimmed(source, tmp_path / "first", cache)
    shutil.copytree(source, tmp_path / "moved")
    again = slimmed(tmp_path / "moved", tmp_path / "again", cache)
    assert again.cache is not None and again.cache.whole
    assert files(tmp_path / "again") == files(tmp_path / "first")
    assert again.output == str(tmp_path / "again")
    assert again.stack.source == str(tmp_path / "moved")
    reports = []
    for result in (first, again):
        report = json.loads(RUN_REPORTERS["json"].render([replace(result, cache=None)]))
        text = json.dumps(report).replace(result.output or "", "OUT")
        report = json.loads(text.replace(result.stack.source, "IN"))
        del report["run"]["elapsed_seconds"]
        for stack_ in report["run"]["stacks"]:
            del stack_["elapsed_seconds"]
        reports.append(report)
    assert reports[0] == reports[1]


def test_a_changed_archive_is_no_hit(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    archive = next(source.glob("app*"))
    archive.write_bytes(archive.read_bytes()[:-4])
    with pytest.raises(IntegrityError):
        slimmed(source, tmp_path / "again", cache)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("harm", ["result", "file", "entry"])
def test_a_whole_run_that_is_wrong_is_made_anew(tmp_path: Path, harm: str) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    (entry,) = _entries(cache, "run")
    body = json.loads(entry.read_bytes())
    if harm == "entry":
        body["body"]["files"] = {"../../evil": next(iter(body["body"]["files"].values()))}
        entry.write_text(json.dumps(body))
    else:
        manifest = body["body"]["files"]["__venvstacks__/venvstacks.json"]
        blob = body["body"]["result"] if harm == "result" else manifest
        (cache / "cas" / blob).write_bytes(b"x" * body["body"]["blobs"][blob])
    again = slimmed(source, tmp_path / "again", cache)
    assert again.cache is not None and not again.cache.whole and len(use(again)) == 1
    assert files(tmp_path / "again") == files(tmp_path / "first")
    third = slimmed(source, tmp_path / "third", cache)
    assert third.cache is not None and third.cache.whole and not use(third)


def _forged(cache: Path, change: Callable[[dict[str, Any], tuple[RunResult, ...]], Any]) -> None:
    """Change the entry of a whole run, and the results that it leads to."""
    (path,) = _entries(cache, "run")
    entry = json.loads(path.read_bytes())
    body = entry["body"]
    results = unpack((cache / "cas" / body["result"]).read_bytes())
    made = pack(change(body["files"], results) or results)
    body["result"] = hashlib.sha256(made).hexdigest()
    (cache / "cas" / body["result"]).write_bytes(made)
    names = [*body["files"].values(), body["result"]]
    body["blobs"] = {name: (cache / "cas" / name).stat().st_size for name in names}
    path.write_text(json.dumps(entry))


def _swapped(files: dict[str, Any], results: tuple[RunResult, ...]) -> None:
    one, other = (name for name in files if "/" not in name)
    files[one], files[other] = files[other], files[one]


def _no_manifest(files: dict[str, Any], results: tuple[RunResult, ...]) -> None:
    files["__venvstacks__/venvstacks.json"] = next(iter(files.values()))


def _other_layer(results: tuple[RunResult, ...], **changes: object) -> tuple[RunResult, ...]:
    first, *rest = results[0].layers
    layers = (replace(first, **changes), *rest)  # type: ignore[arg-type]
    return (replace(results[0], layers=layers),)


FORGERIES: dict[str, tuple[Callable[..., Any], str]] = {
    "archives swapped": (_swapped, "names another archive"),
    "no manifest": (_no_manifest, "can't be read"),
    "other archive": (
        lambda _, results: _other_layer(results, archive_sha256="0" * 64),
        "names another archive",
    ),
    "other contents": (
        lambda _, results: _other_layer(results, contents_sha256="0" * 64),
        "has other contents",
    ),
    "times not compared": (
        lambda _, results: _other_layer(results, times_compared=False),
        "has other contents",
    ),
    "another stack": (
        lambda _, results: (replace(results[0], stack=replace(results[0].stack, manifest={})),),
        "another stack",
    ),
    "one result too many": (lambda _, results: results * 2, "another stack"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_whole_run_is_read_back_and_a_forged_one_never_published(
    tmp_path: Path, forgery: str
) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    change, told = FORGERIES[forgery]
    _forged(cache, change)
    again = slimmed(source, tmp_path / "again", cache)
    assert again.cache is not None and not again.cache.whole
    assert len(use(again)) == 1 and told in use(again)[0] and "dropped" in use(again)[0]
    assert files(tmp_path / "again") == files(tmp_path / "first")
    third = slimmed(source, tmp_path / "third", cache)
    assert third.cache is not None and third.cache.whole and not use(third)


@pytest.mark.parametrize("name", [known.name for known in FORMATS])
def test_a_run_is_known_without_its_configuration(tmp_path: Path, name: str) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    asked = request(source, tmp_path / "first", cache, format=name)
    settings = keyed_settings(asked.config)
    assert settings is not None

    def known(output: str) -> Known:
        order = RunOrder(source=source, output=tmp_path / output, cache=str(cache))
        return publish_known(order, settings, Limits(), 2, Silent())

    missed = known("missed")
    assert missed.results is None and not missed.notes and not (tmp_path / "missed").exists()
    [first] = run(asked)
    hit = known("hit")
    assert hit.results is not None and hit.results[0].cache is not None
    assert hit.results[0].cache.whole and hit.results[0].layers == tuple(
        replace(layer, cached=False) for layer in first.layers
    )
    assert files(tmp_path / "hit") == files(tmp_path / "first")
    _forged(cache, _swapped)
    refused = known("refused")
    assert refused.results is None and "names another archive" in refused.notes[0]
    assert not (tmp_path / "refused").exists()


def test_rechecking_finds_an_entry_that_is_wrong(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    slimmed(source, tmp_path / "first", cache)
    right = slimmed(source, tmp_path / "right", cache, recheck=1.0)
    assert right.cache is not None and right.cache.rechecked and not use(right)
    (entry,) = _entries(cache, "run")
    content = json.loads(entry.read_bytes())
    names = content["body"]["files"]
    names["__venvstacks__/venvstacks.json"] = names[next(iter(names))]
    entry.write_text(json.dumps(content))
    again = slimmed(source, tmp_path / "again", cache, recheck=1.0)
    assert files(tmp_path / "again") == files(tmp_path / "first")
    assert (
        len(use(again)) == 1
        and "had other bytes for __venvstacks__/venvstacks.json" in use(again)[0]
    )
    third = slimmed(source, tmp_path / "third", cache)
    assert third.cache is not None and third.cache.whole
    assert files(tmp_path / "third") == files(tmp_path / "first")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_whole_runs_of_a_shared_cache_need_a_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    first = slimmed(source, tmp_path / "first", cache)
    assert not _entries(cache, "run") and "SLIM_CACHE_KEY" in use(first)[0]
    monkeypatch.setenv("SLIM_CACHE_KEY", "a secret of sixteen characters")
    slimmed(source, tmp_path / "second", cache)
    (entry,) = _entries(cache, "run")
    again = slimmed(source, tmp_path / "again", cache)
    assert again.cache is not None and again.cache.whole and not use(again)
    content = json.loads(entry.read_bytes())
    for wrong in ("0" * 64, None):
        content.pop("mac", None)
        entry.write_text(json.dumps({**content, **({"mac": wrong} if wrong else {})}))
        shutil.rmtree(tmp_path / "again")
        again = slimmed(source, tmp_path / "again", cache)
        assert again.cache is not None and not again.cache.whole
        assert "signature" in use(again)[0]
    monkeypatch.setenv("SLIM_CACHE_KEY", "short")
    with pytest.raises(ConfigError, match="too short"):
        slimmed(source, tmp_path / "third", cache)


def test_what_is_refused_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    monkeypatch.setattr(
        "slim.publish.layers.compare", lambda *_, **__: (1, ("x has other content",))
    )
    with pytest.raises(RefusedError):
        slimmed(source, tmp_path / "out", cache)
    assert files(cache) == {}


def test_many_runs_at_once_share_a_cache(tmp_path: Path) -> None:
    source, cache = stack(tmp_path / "in"), tmp_path / "cache"
    command = [sys.executable, "-m", "slim", "run", str(source), "--cache", str(cache)]
    command += ["--no-config", "-q"]
    running = [subprocess.Popen([*command, "-o", str(tmp_path / f"out-{at}")]) for at in range(3)]
    running[0].kill()
    assert [one.wait() for one in running][1:] == [0, 0]
    assert files(tmp_path / "out-1") == files(tmp_path / "out-2")
    last = slimmed(source, tmp_path / "last", cache)
    assert last.cache is not None and last.cache.whole
    assert files(tmp_path / "last") == files(tmp_path / "out-1")
    assert not verify(open_cache(cache)).wrong


def test_updates_are_taken_from_the_cache(tmp_path: Path) -> None:
    old, new = stack(tmp_path / "old"), stack(tmp_path / "new", "import idna\nimport math\n" * 900)
    cache = tmp_path / "cache"
    api.make_delta(old, new, tmp_path / "plain")
    (first,) = api.make_delta(old, new, tmp_path / "first", cache=cache)
    (again,) = api.make_delta(old, new, tmp_path / "again", cache=cache)
    assert [layer.cached for layer in first.layers] == [False, False]
    assert [layer.cached for layer in again.layers] == [True, True]
    assert files(tmp_path / "plain") == files(tmp_path / "first") == files(tmp_path / "again")
    api.apply_delta(old, tmp_path / "again", tmp_path / "applied")

    for patch in (cache / "cas").iterdir():
        patch.write_bytes(patch.read_bytes()[:-1] + b"x")
    (third,) = api.make_delta(old, new, tmp_path / "third", cache=cache)
    assert third.cache is not None and "other bytes" in third.cache.notes[0]
    assert files(tmp_path / "third") == files(tmp_path / "plain")
    (back,) = api.make_delta(new, old, tmp_path / "back", cache=cache)
    assert not any(layer.cached for layer in back.layers if layer.delta.name == "app")
