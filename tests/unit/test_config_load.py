"""Configuration: files, the command line, layers, and everything that can be wrong at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slim.config.load import discover, disregarded, load_config
from slim.config.settings import (
    LAYER_SETTINGS,
    RULE_SETTINGS,
    SETTINGS,
    STACK_SETTINGS,
    Config,
)
from slim.config.up_to import up_to
from slim.errors import ConfigError, StorageError
from slim.model.limits import Limits
from slim.model.rule import Safety
from slim.model.settings import BytecodePolicy, DropSpec, Effort, Level, merge_drops
from slim.passes import SCHEMAS as PASS_SCHEMAS
from slim.rules.loader import builtin_packs, parse_pack
from tests.support.rule_schemas import SCHEMAS, make_layer

PACK = """
schema = 1
description = "builtin"
[[rule]]
id = "careful"
pass = "tests"
reason = "r"
safety = "safe"
remove = ["a"]
[[rule]]
id = "usual"
pass = "tests"
reason = "r"
safety = "standard"
remove = ["b"]
[[rule]]
id = "bold"
pass = "tests"
reason = "r"
safety = "aggressive"
remove = ["c"]
"""
OWN = '[[rule]]\nid = "mine"\npass = "tests"\nreason = "r"\nsafety = "safe"\nremove = ["d"]\n'


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three built-in rules instead of all."""
    pack, problems = parse_pack(PACK, "builtin.toml", SCHEMAS)
    assert pack is not None
    assert problems == []
    monkeypatch.setattr("slim.config.load.builtin_packs", lambda schemas: (pack,))


def load(folder: Path, text: str, *, name: str = "slim.toml", **overrides: object) -> Config:
    (folder / name).write_text(text)
    return load_config(SCHEMAS, file=folder / name, overrides=overrides)


def problems(folder: Path, text: str, **overrides: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, **overrides)
    return [f"{one.place}: {one.message} ({one.hint})" for one in caught.value.problems]


def rules(config: Config, layer: str = "app") -> list[str]:
    return [rule.id for rule in config.rules_for(make_layer(name=layer))]


def test_without_anything_the_defaults_hold() -> None:
    config = load_config(SCHEMAS)
    assert (config.profile, config.bytecode, config.format) == (
        Safety.STANDARD,
        None,
        None,
    )
    assert (config.jobs, config.strict, config.limits, config.origin) == (
        None,
        False,
        Limits(),
        None,
    )
    assert config.effort == Effort(level=Level.DEFAULT, memory=None, xz_arm64=False)
    assert rules(config) == ["careful", "usual"]


EVERYTHING = """
schema = 1
profile = "aggressive"
packs = ["packs/extra.toml"]
enable = ["mine"]
disable = ["usual"]
keep = ["$site/a/**"]
drop = ["Py_Arrow", { name = "torch", despite = ["Transformers"] }]
format = "zip"
bytecode = "one"
strict = true
jobs = 4
level = "max"
memory = "1.5 GB"
xz_arm64 = true

[limits]
members = 10
total = "1.5 GiB"
xz_memory = 1048576

[layer.app]
profile = "safe"
keep = ["b"]
enable = ["usual"]
disable = ["mine"]
drop = [{ name = "torch", despite = ["peft"] }, "sympy"]
bytecode = "keep"

[layer.other]
skip = true
"""


def test_everything_a_file_may_say(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs" / "extra.toml").write_text(PACK.replace('id = "', 'id = "extra-'))
    config = load(tmp_path, EVERYTHING + OWN)
    assert config.origin == str(tmp_path / "slim.toml")
    assert [pack.name for pack in config.packs] == ["builtin", "extra", "slim"]
    assert [rule.builtin for rule in config.packs[1].rules + config.packs[2].rules] == [False] * 4
    assert (config.format, config.strict, config.jobs) == ("zip", True, 4)
    assert config.effort == Effort(level=Level.MAX, memory=1_500_000_000, xz_arm64=True)
    assert config.limits == Limits(members=10, total=3 << 29, xz_memory=1 << 20)
    assert config.drop == (
        DropSpec(name="py-arrow"),
        DropSpec(name="torch", despite=frozenset({"transformers"})),
    )
    app = config.settings_for("app")
    assert (app.profile, app.bytecode, app.keep) == (
        Safety.SAFE,
        BytecodePolicy.KEEP,
        ("$site/a/**", "b"),
    )
    assert app.drop == (
        DropSpec(name="py-arrow"),
        DropSpec(name="torch", despite=frozenset({"transformers", "peft"})),
        DropSpec(name="sympy"),
    )
    assert rules(config, "elsewhere") == [
        "careful",
        "bold",
        "extra-careful",
        "extra-usual",
        "extra-bold",
        "mine",
    ]
    assert rules(config, "app") == ["careful", "usual", "extra-careful"]
    assert rules(config, "other") == []
    assert config.unknown_layers(["app", "elsewhere"]) == ("other",)


def test_a_table_in_another_tools_file(tmp_path: Path) -> None:
    text = '[tool.slim]\nschema = 1\nprofile = "safe"\n[[tool.slim.rule]]\n' + OWN.removeprefix(
        "[[rule]]\n"
    )
    config = load(tmp_path, text, name="venvstacks.toml")
    assert config.profile is Safety.SAFE
    assert rules(config) == ["careful", "mine"]
    with pytest.raises(
        ConfigError, match=r"tool\.slim\.profil: unknown key \(did you mean 'profile'\?\)"
    ):
        load(tmp_path, '[tool.slim]\nschema = 1\nprofil = "safe"\n', name="pyproject.toml")
    with pytest.raises(ConfigError, match=r"tool\.slim: the table is missing"):
        load(tmp_path, "[project]\n", name="pyproject.toml")


WRONG = {
    "schema": ("", "schema: is missing"),
    "unknown key": (
        "schema = 1\nprofil = 'safe'\n",
        "profil: unknown key (did you mean 'profile'?)",
    ),
    "profile": ("schema = 1\nprofile = 'standart'\n", "profile: 'standart' is none of"),
    "enable": (
        "schema = 1\nenable = ['usal']\n",
        "enable: there is no rule 'usal' (did you mean 'usual'?)",
    ),
    "disable": ("schema = 1\ndisable = ['zzz']\n", "disable: there is no rule 'zzz' (None)"),
    "both": (
        "schema = 1\nenable = ['bold']\ndisable = ['bold']\n",
        "disable: 'bold' is enabled as well",
    ),
    "keep": ("schema = 1\nkeep = ['a', '../b']\n", "keep[1]: '..' leads out of the layer"),
    "drop of another type": (
        "schema = 1\ndrop = 'torch'\n",
        "drop: expected an array, not a string",
    ),
    "drop item": ("schema = 1\ndrop = [1]\n", "drop[0]: expected a name or {name"),
    "drop name": (
        "schema = 1\ndrop = ['a b']\n",
        "drop[0].name: 'a b' isn't the name of a distribution",
    ),
    "drop without name": ("schema = 1\ndrop = [{ despite = ['a'] }]\n", "drop[0].name: is missing"),
    "drop despite": (
        "schema = 1\ndrop = [{ name = 'a', despite = ['-'] }]\n",
        "drop[0].despite[0]: '-' isn't",
    ),
    "drop key": (
        "schema = 1\ndrop = [{ name = 'a', depsite = [] }]\n",
        "drop[0].depsite: unknown key",
    ),
    "drop twice": ("schema = 1\ndrop = ['a-b', 'A_B']\n", "drop[1]: 'a-b' is listed twice"),
    "format": (
        "schema = 1\nformat = 'rar'\n",
        "format: 'rar' is none of tar.xz, tar.gz, tar.bz2, tar.zst, zip, tar",
    ),
    "bytecode": ("schema = 1\nbytecode = 'all'\n", "bytecode: 'all' is none of none, keep, one"),
    "strict": ("schema = 1\nstrict = 1\n", "strict: expected true or false, not an integer (1)"),
    "jobs": ("schema = 1\njobs = 0\n", "jobs: must be between 1 and 256"),
    "level": ("schema = 1\nlevel = 'best'\n", "level: 'best' is none of fast, default, max"),
    "memory": ("schema = 1\nmemory = '2 XB'\n", "memory: '2 XB' isn't a size"),
    "memory too small": ("schema = 1\nmemory = '511 MB'\n", "memory: must be at least 512 MB"),
    "memory of another type": ("schema = 1\nmemory = true\n", "memory: expected an integer"),
    "xz_arm64": ("schema = 1\nxz_arm64 = 'yes'\n", "xz_arm64: expected true or false"),
    "limit": (
        "schema = 1\nlimits.member = 1\n",
        "limits.member: unknown key (did you mean 'members'?)",
    ),
    "limit words": ("schema = 1\nlimits.total = '1 XB'\n", "limits.total: '1 XB' isn't a size"),
    "limit zero": (
        "schema = 1\nlimits.total = '0 MB'\n",
        "limits.total: must be at least one byte",
    ),
    "limit of another type": (
        "schema = 1\nlimits.members = '1 MB'\n",
        "limits.members: expected an integer",
    ),
    "layer key": ("schema = 1\n[layer.app]\nformat = 'zip'\n", "layer.app.format: unknown key"),
    "layer rule": (
        "schema = 1\n[layer.app]\nenable = ['nope']\n",
        "layer.app.enable: there is no rule 'nope'",
    ),
    "layer of another type": ("schema = 1\nlayer.app = 1\n", "layer.app: expected a table"),
    "rule": (
        "schema = 1\n[[rule]]\nid = 'a'\npass = 'tests'\nreason = 'r'\nsafety = 'safe'\n",
        "rule[0].remove: is",
    ),
    "rule id taken": (
        "schema = 1\n" + OWN.replace("mine", "usual"),
        "rule usual: the id 'usual' is already taken",
    ),
    "pack": ("schema = 1\npacks = ['absent.toml']\n", "packs[0]: the pack "),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named_with_their_key_path(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_mistakes_everywhere_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "extra.toml").write_text("schema = 9\ndescription = 'd'\n")
    text = "schema = 1\njobs = -1\nenable = ['nope']\npacks = ['extra.toml']\n"
    found = problems(
        tmp_path, text, profile="wild", disable=("never",), packs=(tmp_path / "gone.toml",)
    )
    assert [one.partition(":")[0] for one in found] == [
        "jobs",
        "schema",
        "--pack",
        "enable",
        "--profile",
        "--disable",
    ]


def test_syntax_errors_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"slim\.toml: not valid TOML: .*line 2"):
        load(tmp_path, "schema = 1\nprofile = \n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"slim\.toml"):
        load_config(SCHEMAS, file=tmp_path / "slim.toml")


def test_the_command_line_beats_the_file_and_its_layers(tmp_path: Path) -> None:
    text = "schema = 1\nprofile = 'aggressive'\nenable = ['careful']\ndisable = ['usual']\n"
    text += "format = 'zip'\njobs = 2\nlevel = 'fast'\nmemory = '1 GB'\nxz_arm64 = true\n"
    text += "strict = true\nkeep = ['a']\ndrop = ['x']\n"
    text += "[layer.app]\nprofile = 'aggressive'\nenable = ['bold']\n"
    config = load(
        tmp_path,
        text,
        profile="safe",
        enable=("usual",),
        disable=("bold", "careful"),
        keep=("b", "a"),
        drop=("Y:Z_z, w", "x:v"),
        format="tar.xz",
        jobs=8,
        strict=False,
        level="max",
        memory="2GB",
        xz_arm64=False,
    )
    assert config.effort == Effort(level=Level.MAX, memory=2_000_000_000, xz_arm64=False)
    assert (config.format, config.jobs, config.strict, config.keep) == (
        "tar.xz",
        8,
        False,
        ("a", "b"),
    )
    assert config.drop == (
        DropSpec(name="x", despite=frozenset({"v"})),
        DropSpec(name="y", despite=frozenset({"z-z", "w"})),
    )
    assert config.settings_for("app").profile is Safety.SAFE
    assert rules(config, "app") == ["usual"]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            {"profile": "saef"},
            "--profile: 'saef' is none of safe, standard, aggressive, guided "
            "(did you mean 'safe'?)",
        ),
        ({"enable": ("nope",)}, "--enable: there is no rule 'nope'"),
        ({"enable": ("bold",), "disable": ("bold",)}, "--disable: 'bold' is enabled as well"),
        ({"keep": ("/a",)}, "--keep: the pattern is absolute"),
        ({"drop": ("a b",)}, "--drop: 'a b' isn't the name"),
        ({"drop": ("a:b,,c",)}, "--drop: '' isn't the name"),
        (
            {"format": "tar.xs"},
            "--format: 'tar.xs' is none of tar.xz, tar.gz, tar.bz2, tar.zst, zip, tar "
            "(did you mean 'tar.xz'?)",
        ),
        ({"jobs": 0}, "--jobs: must be between"),
        ({"memory": "lots"}, "--memory: 'lots' isn't a size"),
        ({"memory": "1MB"}, "--memory: must be at least 512 MB"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, overrides: dict[str, object], expected: str
) -> None:
    found = problems(tmp_path, "schema = 1\n", **overrides)
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_packs_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "extra.toml").write_text(PACK.replace('id = "', 'id = "extra-'))
    config = load_config(
        SCHEMAS, overrides={"packs": (tmp_path / "extra.toml",), "enable": ("extra-bold",)}
    )
    assert rules(config) == ["careful", "usual", "extra-careful", "extra-usual", "extra-bold"]


def test_the_configuration_is_that_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, here = tmp_path / "stack", tmp_path / "here"
    stack.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    assert discover(stack) is None
    (here / "venvstacks.toml").write_text("[[runtimes]]\n")
    assert discover(stack) is None
    (here / "pyproject.toml").write_text("[tool.slim]\nschema = 1\n")
    assert discover(stack) == here / "pyproject.toml"
    (here / "slim.toml").write_text("not even TOML")
    assert discover(stack) == here / "slim.toml"


@pytest.mark.parametrize("name", ["slim.toml", "venvstacks.toml", "pyproject.toml"])
def test_what_is_slimmed_does_not_say_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A wheel's data files may put a slim.toml into the root of a venv."""
    stack = tmp_path / "stack"
    (stack / "inner").mkdir(parents=True)
    text = "schema = 1\n" if name == "slim.toml" else "[tool.slim]\nschema = 1\n"
    for place in (stack, stack / "inner"):
        (place / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert discover(stack) is None
    for place in (stack, stack / "inner"):
        monkeypatch.chdir(place)
        assert discover(stack) is None
        assert discover(Path()) is None
        assert disregarded(stack) == place / name
    assert discover() == stack / "inner" / name, "nothing is slimmed: as for slim rules list"


def test_a_lone_archive_in_the_current_folder_is_no_folder_that_it_lies_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slim.toml").write_text("schema = 1\n")
    (tmp_path / "layer.tar.xz").touch()
    monkeypatch.chdir(tmp_path)
    assert discover(Path("layer.tar.xz")) == tmp_path / "slim.toml"


def test_discover_does_not_pass_over_a_broken_candidate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.slim\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="not valid TOML"):
        discover()


def test_layers_may_undo_what_the_stack_says() -> None:
    config = Config(
        enable=frozenset({"a"}),
        disable=frozenset({"b"}),
        layers={"app": {"enable": ("b",), "disable": ("a",)}},
    )
    app, other = config.settings_for("app"), config.settings_for("other")
    assert (app.enable, app.disable) == ({"b"}, {"a"})
    assert (other.enable, other.disable) == ({"a"}, {"b"})


def test_drops_merge_by_name() -> None:
    drops = [
        DropSpec(name="b", despite=frozenset("x")),
        DropSpec(name="a"),
        DropSpec(name="b", despite=frozenset("y")),
    ]
    assert merge_drops(drops) == (DropSpec(name="b", despite=frozenset("xy")), DropSpec(name="a"))


def test_settings_say_all_that_options_and_documentation_need() -> None:
    config = Config()
    for name, known in SETTINGS.items():
        assert known.meaning or known.layer_meaning
        assert bool(known.layer_meaning) == (name in LAYER_SETTINGS)
        if name in STACK_SETTINGS:
            assert known.help
            assert (getattr(config, name) is None) == bool(known.unset)
        if known.kind.undoes:
            assert SETTINGS[known.kind.undoes].kind.undoes == name
    assert set(RULE_SETTINGS) == set(STACK_SETTINGS) & set(LAYER_SETTINGS)


BEYOND = [
    (Safety.GUIDED, {}, Safety.STANDARD),
    (Safety.AGGRESSIVE, {}, Safety.STANDARD),
    (Safety.STANDARD, {}, Safety.STANDARD),
    (Safety.SAFE, {}, Safety.SAFE),
    (Safety.SAFE, {"profile": Safety.GUIDED}, Safety.STANDARD),
    (Safety.GUIDED, {"profile": Safety.SAFE}, Safety.SAFE),
    (Safety.GUIDED, {"keep": ("a",)}, Safety.STANDARD),
]


@pytest.mark.parametrize(("whole", "layer", "profile"), BEYOND)
def test_a_configuration_up_to_a_profile_goes_no_further_in_any_layer(
    whole: Safety, layer: dict[str, object], profile: Safety
) -> None:
    config = Config(profile=whole, strict=True, layers={"app-x": layer})
    known = replace(config, packs=builtin_packs(PASS_SCHEMAS))
    tamed = up_to(known, Safety.STANDARD)
    settings = tamed.settings_for("app-x")
    assert settings.profile is profile
    assert settings.keep == layer.get("keep", ())
    assert tamed.profile is min(whole, Safety.STANDARD)
    assert not tamed.strict
    left = {rule.id for rule in tamed.rules}
    assert left == {rule.id for rule in known.rules if rule.safety <= Safety.STANDARD}
    assert "never-used" not in left
