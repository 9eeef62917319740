"""The pass ``dylibs``: files and rules in, proposals out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from slim.model.finding import Finding
from slim.model.guided import Guidance
from slim.model.record import FileKey, FileRecord, Owner, OwnerKind
from slim.model.rule import PackageSpec, Rule, Safety
from slim.model.trace import INSTALL_RUN, RunKind, Trace, TracedRun, Uses, Witness
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.dylibs import UnusedLibraries
from slim.rules.match import RuleMatcher
from tests.support.linked_elf import elf, linkage_of, linked_stack, read_fake
from tests.support.virtual_stacks import SITE, Contents, Link, VirtualStack

Layers = dict[str, dict[str, Contents]]


def rule(name: str = "none", **changes: object) -> Rule:
    """A rule of the pass; ``name`` is its id and its ``evidence``."""
    values: dict[str, object] = {
        "id": f"dylibs.{name}",
        "pass_name": "dylibs",
        "reason": "",
        "safety": Safety.STANDARD,
        "options": {"evidence": name},
    }
    return Rule(**(values | changes))  # type: ignore[arg-type]


NONE = rule("none")
WEAK = rule("weak", safety=Safety.AGGRESSIVE)
ROOTS = rule("roots", options={"roots": True}, keep=("**/qt/**",))


def propose(
    made: VirtualStack,
    *rules: Rule,
    gone: frozenset[FileKey] = frozenset(),
    held: Callable[[FileRecord], bool] = lambda _: False,
    guidance: Guidance | None = None,
) -> list[Proposal]:
    matchers = {layer.name: RuleMatcher(rules).for_layer(layer) for layer in made.stack}
    context = Context(
        facts=replace(made.facts, read_dynamic=read_fake, guidance=guidance),
        rules=rules,
        select=lambda name, record: matchers[record.layer].select(name, record),
        selected=lambda name: (
            found
            for layer, files in made.inventory.records.items()
            for found in matchers[layer].selected(name, files.values())
        ),
        marked=lambda name, record: matchers[record.layer].marked(name, record),
        gone=gone,
        held=held,
    )
    return list(UnusedLibraries().propose(context))


def removed(proposals: list[Proposal]) -> dict[str, str]:
    return {"/".join(item.key): item.rule for item in proposals if isinstance(item, Finding)}


def refused(proposals: list[Proposal]) -> dict[str, str]:
    return {
        "/".join(item.key): item.reason.value for item in proposals if isinstance(item, Refusal)
    }


STACK: Layers = {
    "plain": {
        "p/m.so": elf("needed=libused.so runpath=$ORIGIN"),
        "p/load.py": "import ctypes\nctypes.CDLL('libnamed.so')\n",
        "p/words.py": "A = 'libweak.so'\n",
        "p/libused.so": elf(),
        "p/libnamed.so": elf(),
        "p/libweak.so": elf(),
        "p/libnothing.so": elf(),
        "p/qt/libplugin.so": elf(),
    }
}


@pytest.mark.parametrize(
    ("rules", "gone"),
    [
        ((), {}),
        ((NONE,), {"libnothing": "none", "qt/libplugin": "none"}),
        ((NONE, ROOTS), {"libnothing": "none"}),
        ((ROOTS,), {}),
        ((WEAK, ROOTS), {"libnothing": "weak", "libweak": "weak"}),
        ((NONE, WEAK, ROOTS), {"libnothing": "none", "libweak": "weak"}),
        ((rule("none", globs=("**/libweak*", "**/libno*")),), {"libnothing": "none"}),
        ((rule("curated", globs=("**/libweak.so",)),), {"libweak": "curated"}),
        ((rule("none", keep=("**/libnothing.so",)),), {"qt/libplugin": "none"}),
    ],
)
def test_what_goes_by_which_rule(rules: tuple[Rule, ...], gone: dict[str, str]) -> None:
    made = linked_stack(STACK)
    assert removed(propose(made, *rules)) == {
        f"plain/p/{name}.so": f"dylibs.{id}" for name, id in gone.items()
    }


def test_only_curated_rules_report_refusals() -> None:
    made = linked_stack(STACK)
    assert refused(propose(made, NONE, WEAK)) == {}
    proposals = propose(made, NONE, rule("curated", globs=("p/lib*.so",)))
    assert refused(proposals) == {
        "plain/p/libused.so": "linked",
        "plain/p/libnamed.so": "referenced",
    }
    (linked,) = [
        item for item in proposals if isinstance(item, Refusal) and item.key[1] == "p/libused.so"
    ]
    assert [str(evidence) for evidence in linked.evidence] == ["needs libused.so (plain/p/m.so)"]


def test_what_held_libraries_back_goes_first() -> None:
    """A library that is linked by an unused one goes along; so does what only that one names."""
    made = linked_stack(
        {
            "plain": {
                "p/liba.so": elf("needed=libb.so runpath=$ORIGIN"),
                "p/libb.so": elf("needed=libcee.so runpath=$ORIGIN", "libdee.so"),
                "p/libcee.so": elf(),
                "p/libdee.so": elf(),
            }
        }
    )
    assert [path.rpartition("/")[2] for path in removed(propose(made, NONE))] == [
        "liba.so",
        "libb.so",
        "libcee.so",
        "libdee.so",
    ]


CHAIN: Layers = {
    "plain": {
        "p/words.py": "A = 'liba.so'\n",
        "p/liba.so": elf("needed=libb.so runpath=$ORIGIN"),
        "p/libb.so": elf("needed=libcee.so runpath=$ORIGIN"),
        "p/libcee.so": elf(),
    }
}


def test_no_library_that_stays_loses_what_it_needs() -> None:
    """The bold rule is for libb and libcee only; liba stays, so both have to."""
    bold = rule("curated", globs=("**/libb.so", "**/libcee.so"))
    proposals = propose(linked_stack(CHAIN), bold)
    assert removed(proposals) == {}
    assert refused(proposals) == {"plain/p/libb.so": "linked", "plain/p/libcee.so": "linked"}


def test_a_weakly_used_library_and_what_only_it_needs_go_under_different_rules() -> None:
    """The rule for liba is bold, that for the others isn't: with liba gone, nothing needs them."""
    rules = (rule("curated", globs=("**/liba.so",)), NONE)
    first = removed(propose(linked_stack(CHAIN), *rules))
    assert first == {
        "plain/p/liba.so": "dylibs.curated",
        "plain/p/libb.so": "dylibs.none",
        "plain/p/libcee.so": "dylibs.none",
    }


@pytest.mark.parametrize("layers", [STACK, CHAIN], ids=["stack", "chain"])
@pytest.mark.parametrize(
    "rules", [(NONE,), (WEAK,), (NONE, rule("curated", globs=("**/liba.so",)))]
)
def test_a_second_run_finds_nothing_more_and_nothing_breaks(
    layers: Layers, rules: tuple[Rule, ...]
) -> None:
    made = linked_stack(layers)
    gone = frozenset(item.key for item in propose(made, *rules) if isinstance(item, Finding))
    assert removed(propose(made, *rules, gone=gone)) == {}
    assert linkage_of(made).broken_links(gone) == ()
    kept: Layers = {
        name: {path: content for path, content in files.items() if (name, path) not in gone}
        for name, files in layers.items()
    }
    assert removed(propose(linked_stack(kept), *rules)) == {}


def test_links_go_with_their_library_in_any_layer() -> None:
    made = linked_stack(
        {
            "framework-a": {
                f"{SITE}/p/libx.so": Link("libx.so.1"),
                f"{SITE}/p/libx.so.1": Link("libx.so.1.2"),
                f"{SITE}/p/libx.so.1.2": elf(),
                "share/venv/dynlib/libx.so": Link(f"../../../{SITE}/p/libx.so"),
                "share/venv/dynlib/liby.so": Link(f"../../../{SITE}/p/liby.so"),
                f"{SITE}/p/liby.so": elf(),
                f"{SITE}/p/m.so": elf("needed=liby.so runpath=$ORIGIN"),
            },
            "app-b": {"lib/libx.so": Link(f"../../framework-a/{SITE}/p/libx.so.1")},
        }
    )
    proposals = propose(made, NONE)
    assert sorted(removed(proposals)) == [
        "app-b/lib/libx.so",
        f"framework-a/{SITE}/p/libx.so",
        f"framework-a/{SITE}/p/libx.so.1",
        f"framework-a/{SITE}/p/libx.so.1.2",
        "framework-a/share/venv/dynlib/libx.so",
    ]
    (link,) = [item for item in proposals if item.key[0] == "app-b"]
    assert [evidence.file for evidence in link.evidence] == [f"framework-a/{SITE}/p/libx.so.1.2"]


def test_a_link_that_no_rule_selects_holds_its_library() -> None:
    """But for venvstacks' own links, which are there for the library."""
    layers: Layers = {
        "framework-a": {
            f"{SITE}/p/libx.so": elf(),
            f"{SITE}/q/libx.so": Link("../p/libx.so"),
            "share/venv/dynlib/libx.so": Link(f"../../../{SITE}/p/libx.so"),
        }
    }
    only = rule("curated", globs=("$site/p/**",))
    proposals = propose(linked_stack(layers), only)
    assert removed(proposals) == {}
    (refusal,) = [item for item in proposals if isinstance(item, Refusal)]
    assert f"framework-a/{SITE}/q/libx.so" in [evidence.file for evidence in refusal.evidence]
    del layers["framework-a"][f"{SITE}/q/libx.so"]
    assert sorted(removed(propose(linked_stack(layers), only))) == [
        f"framework-a/{SITE}/p/libx.so",
        "framework-a/share/venv/dynlib/libx.so",
    ]


def test_what_no_rule_selects_is_used_and_so_is_what_it_names() -> None:
    """Nothing links or names libplug.so; it stays, and may open what it names."""
    made = linked_stack(
        {
            "plain": {
                "p/libplug.so": elf("needed=libneeded-11111111.so runpath=$ORIGIN/../p.libs"),
                "p/libopen.so": elf("", "libopened-22222222.so"),
                "p.libs/libneeded-11111111.so": elf(),
                "p.libs/libopened-22222222.so": elf(),
                "p.libs/libleft-33333333.so": elf(),
            }
        }
    )
    grafted = rule("none", globs=("p.libs/**",))
    assert removed(propose(made, grafted)) == {"plain/p.libs/libleft-33333333.so": "dylibs.none"}


@pytest.mark.parametrize(
    ("path", "content", "platform"),
    [
        ("p/libx.dylib", "Mach-O", "macosx_arm64"),
        ("p/x.dll", "MZ", "win_amd64"),
        ("p/libx.so", "not ELF at all", "linux_x86_64"),
    ],
)
def test_only_elf_libraries_are_judged(path: str, content: str, platform: str) -> None:
    made = linked_stack({"plain": {path: content}}, platform=platform)
    assert propose(made, NONE, WEAK) == []


def test_what_earlier_passes_removed_uses_nothing_and_is_not_removed_again() -> None:
    made = linked_stack(STACK)
    gone = made.keys_below("plain/p/m.so") | made.keys_below("plain/p/libnothing.so")
    assert removed(propose(made, NONE, ROOTS, gone=gone)) == {"plain/p/libused.so": "dylibs.none"}


def test_what_is_held_keeps_what_it_needs() -> None:
    """The planner refuses a held file; what that needs mustn't be proposed at all."""
    made = linked_stack(
        {"plain": {"p/liba.so": elf("needed=libb.so runpath=$ORIGIN"), "p/libb.so": elf()}}
    )
    proposals = propose(made, NONE, held=lambda record: record.path == "p/liba.so")
    assert removed(proposals) == {"plain/p/liba.so": "dylibs.none"}


def test_a_held_link_keeps_its_library() -> None:
    made = linked_stack({"plain": {"p/liba.so": elf(), "q/liba.so": Link("../p/liba.so")}})
    assert removed(propose(made, NONE, held=lambda record: record.path.startswith("q/"))) == {}


def test_a_rule_for_one_package_stays_there() -> None:
    made = linked_stack(
        {
            "plain": {
                "$site/p-1.0.dist-info/METADATA": "Name: p\n\n",
                "$site/p/libx.so": elf(),
                "$site/q/liby.so": elf(),
            }
        }
    )
    only = rule("none", package=PackageSpec(name="p"))
    assert removed(propose(made, only)) == {f"plain/{SITE}/p/libx.so": "dylibs.none"}


def test_the_evidence_of_a_removal_tells_what_was_looked_for() -> None:
    texts = {
        item.key[1]: [str(evidence) for evidence in item.evidence]
        for item in propose(linked_stack(STACK), NONE, WEAK, ROOTS)
        if isinstance(item, Finding)
    }
    assert texts["p/libnothing.so"] == [
        "no native file of the stack needs it, no code or data names it"
    ]
    assert texts["p/libweak.so"] == [
        "no native file of the stack needs it",
        "names libweak.so (plain/p/words.py:1)",
    ]


def test_schema() -> None:
    assert UnusedLibraries.schema.name == "dylibs"
    assert not UnusedLibraries.schema.needs_globs
    assert UnusedLibraries.schema.options["evidence"].choices == (
        "unspoken",
        "none",
        "weak",
        "curated",
        "freed",
    )


UNSPOKEN = rule("unspoken")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p/load.py", "import glob\nglob.glob(here + '/../p.libs/*.so*')\n"),
        ("p/load.py", "import os\nos.listdir(__package__ + '.libs')\n"),
        ("p/load.py", "import glob\nglob.glob(site + '/*.libs/*.so*')\n"),
        ("p/load.py", "x = f'{site}/{name}.libs/{library}'\n"),
        ("p/load.py", "x = glob(os.path.dirname(__file__) + '.libs/*')\n"),
        ("p/load.ini", "[x]\nfolder = %s.libs/\n"),
        ("p/load.py", "kind = 'foo'\n"),
        ("p/data.json", '{"backend": "Foo"}'),
        ("p/m.so", elf("", "foo")),
        ("p/m.so", elf("", "libfoo")),
        ("q/other.bin", b"\0\1FOO\0"),
    ],
)
def test_what_may_yet_be_spoken_of_stays(name: str, text: str | bytes) -> None:
    library = "p.libs/libfoo-1a2b3c4d.so.1.2"
    made = linked_stack({"plain": {library: elf(), "p/other.py": "food = libfoobar = 1\n"}})
    assert removed(propose(made, UNSPOKEN)) == {f"plain/{library}": "dylibs.unspoken"}
    spoken = linked_stack({"plain": {library: elf(), name: text}})
    assert removed(propose(spoken, UNSPOKEN)) == {}
    milder = propose(spoken, UNSPOKEN, rule("none", safety=Safety.AGGRESSIVE))
    assert removed(milder) == {f"plain/{library}": "dylibs.none"}


def test_a_name_too_short_to_be_searched_for_stays() -> None:
    made = linked_stack({"plain": {"p.libs/libz-1a2b3c4d.so.1": elf()}})
    assert removed(propose(made, UNSPOKEN)) == {}


def test_lists_of_files_and_what_goes_do_not_speak() -> None:
    library = "p.libs/libfoo-1a2b3c4d.so.1"
    other = "p.libs/libbar-1a2b3c4d.so.1"
    made = linked_stack(
        {
            "plain": {
                library: elf(),
                other: elf("", "foo"),
                "p-1.dist-info/RECORD": f"{library},,\n{other},,\n",
                "p-1.dist-info/sboms/auditwheel.cdx.json": '{"name": "foo"}',
            }
        }
    )
    assert removed(propose(made, UNSPOKEN)).keys() == {f"plain/{library}", f"plain/{other}"}


FREED = rule("freed", safety=Safety.GUIDED)
MEDIA = Owner(kind=OwnerKind.DISTRIBUTION, name="media", version="1.0")
FREED_STACK: Layers = {
    "framework-a": {
        "$site/media-1.0.dist-info/METADATA": "Name: media\nVersion: 1.0\n\n",
        "$site/media/film.so": elf("needed=libfilm.so runpath=$ORIGIN inits=PyInit_film"),
        "$site/media/photo.so": elf("needed=libphoto.so runpath=$ORIGIN inits=PyInit_photo"),
        "$site/media/libfilm.so": elf("needed=libcodec.so runpath=$ORIGIN"),
        "$site/media/libcodec.so": elf(),
        "$site/media/libphoto.so": elf(),
        "$site/media/libalone.so": elf("needed=libzip.so runpath=$ORIGIN", "libname.so"),
        "$site/media/libzip.so": elf(),
        "$site/media/load.py": "import ctypes\n",
    }
}
FILM = {"libfilm", "libcodec"}


def told(*loaded: str, times: bool = True, version: str = "1.0") -> Guidance:
    """Guidance by a trace in which native code opened these files of the layer."""
    witnesses = {"linux_x86_64": frozenset({Witness.RECORDER, *([Witness.TIMES] if times else [])})}
    runs = {
        name: TracedRun(name=name, kind=kind, witnesses=witnesses)
        for name, kind in (("use", RunKind.USE), (INSTALL_RUN, RunKind.INSTALL))
    }
    natives = {("linux_x86_64", f"media/{name}"): frozenset({"use"}) for name in loaded}
    uses = {("framework-a", replace(MEDIA, version=version)): Uses(natives=natives)}
    return Guidance(trace=Trace(runs=runs, uses=uses))


@pytest.mark.parametrize(
    ("guidance", "gone", "more", "libraries"),
    [
        (told(), {"film.so"}, {}, FILM),
        (told(), {"film.so", "photo.so"}, {}, FILM | {"libphoto"}),
        (told(), set(), {}, set()),
        # A run loaded it, or the trace can't tell.
        (told("libfilm.so"), {"film.so"}, {}, set()),
        (told("libcodec.so"), {"film.so"}, {}, {"libfilm"}),
        (told(times=False), {"film.so"}, {}, set()),
        (told(version="0.9"), {"film.so"}, {}, set()),
        (replace(told(), unstarted=frozenset({"framework-a"})), {"film.so"}, {}, set()),
        (None, {"film.so"}, {}, set()),
        # Something that stays needs or names it, or what needs it stays.
        (told(), {"film.so"}, {"more.so": elf("needed=libcodec.so runpath=$ORIGIN")}, {"libfilm"}),
        (
            told(),
            {"film.so"},
            {"load.py": "import ctypes\nctypes.CDLL('libcodec.so')\n"},
            {"libfilm"},
        ),
        (told(), {"film.so"}, {"load.py": "A = 'libfilm.so'\n"}, set()),
        (
            told(),
            {"film.so"},
            {"libalone.so": elf("needed=libcodec.so runpath=$ORIGIN")},
            {"libfilm"},
        ),
        (told(), {"film.so"}, {"libalone.so": elf("", "libcodec.so")}, {"libfilm"}),
    ],
)
def test_libraries_go_with_what_needed_them_if_no_run_loaded_them(
    guidance: Guidance | None, gone: set[str], more: dict[str, Contents], libraries: set[str]
) -> None:
    files = FREED_STACK["framework-a"] | {f"$site/media/{name}": more[name] for name in more}
    made = linked_stack({"framework-a": files})
    keys = frozenset(made.key(f"framework-a/$site/media/{name}") for name in gone)
    proposals = propose(made, FREED, gone=keys, guidance=guidance)
    prefix = f"framework-a/{SITE}/media/"
    assert removed(proposals) == {f"{prefix}{name}.so": "dylibs.freed" for name in libraries}
    assert refused(proposals) == {}
    for item in proposals:
        assert {piece.kind for piece in item.evidence} == {"unused", "trace"}


def test_what_traces_tell_is_evidence_under_every_rule() -> None:
    made = linked_stack(FREED_STACK)
    gone = frozenset({made.key("framework-a/$site/media/film.so")})
    for rules in ((NONE, FREED), (FREED, NONE)):
        proposals = propose(made, *rules, gone=gone, guidance=told())
        kinds = {
            item.key[1].rpartition("/")[2]: (item.rule, item.evidence[-1].kind)
            for item in proposals
        }
        assert kinds["libfilm.so"] == kinds["libcodec.so"] == ("dylibs.none", "trace")
        assert kinds["libalone.so"] == ("dylibs.none", "unused")
