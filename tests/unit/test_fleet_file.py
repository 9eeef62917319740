"""``fleet.toml``: what it says, what is wrong with it, and which tasks follow from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slim.errors import ConfigError
from slim.fleet.fleet_file import KEYS, read_fleet_file
from slim.fleet.places import Buckets, Match, matches, releases
from slim.fleet.tasks import Task, TaskSettings, plan_tasks, share_of
from slim.fleet.templates import filled, name_problem, natural_order, template_problem
from tests.support.published_stacks import SITE, LayerSpec, publish

FLEET = """\
schema = 1
name = "nightly"
output = "out/{release}/{stack}/{platform}"
previous = "latest"
memory = "1.5 GB"
tries = 2
platforms = ["linux_*", "macosx_arm64"]

[[source]]
pattern = "stacks/*/_artifacts"
exclude = ["stacks/old*/_artifacts"]

[[match]]
stack = "edit*"
profile = "safe"
memory = "4 GB"

[[match]]
stack = "notes"
platform = "macosx_*"
skip = true

[deltas]
output = "out/{release}/deltas/{stack}/{platform}/{since}"
releases = 2

[[budget]]
each = "stack"
archive = "100 MB"
"""


def write(folder: Path, text: str = FLEET) -> Path:
    file = folder / "fleet.toml"
    file.write_text(text, encoding="utf-8")
    return file


def stack(folder: Path, name: str, *platforms: str, size: int = 10) -> None:
    for platform in platforms:
        layer = LayerSpec("runtime", {f"{SITE}/{name}.py": "x = 1\n" * size})
        publish(folder / "stacks" / name / "_artifacts", {"cpython": layer}, platform=platform,
                tag="" if len(platforms) == 1 else f"-{platform}", suffix=".tar")  # fmt: skip


def test_a_fleet_is_read(tmp_path: Path) -> None:
    fleet = read_fleet_file(write(tmp_path))
    assert fleet.output == str(tmp_path / "out/{release}/{stack}/{platform}")
    assert (fleet.settings.memory, fleet.tries) == (1_500_000_000, 2)
    assert fleet.state == tmp_path / ".slim-fleet"
    assert fleet.deltas is not None
    assert fleet.deltas.releases == 2
    assert [budget.budget.name for budget in fleet.budgets] == ["each stack"]
    assert [budget.budget.line for budget in fleet.budgets] == [27]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """\
schema = 1
output = "out/{stac}/{stack}"
previous = "latest"
memory = "much"
tries = 0
platforms = ["linus_*"]
sorce = 1
[[source]]
exclude = "x"
name = "{one}"
[[match]]
profile = "bold"
[deltas]
releases = 0
[[budget]]
name = "a"
archive = "lots"
[[budget]]
name = "a"
each = "layer"
""",
    )
    with pytest.raises(ConfigError) as caught:
        read_fleet_file(file)
    told = {problem.place: problem.message for problem in caught.value.problems}
    assert set(told) == {
        "output", "memory", "tries", "platforms", "sorce", "source[0].pattern",
        "source[0].exclude", "source[0].name", "match[0]", "match[0].profile", "deltas.output",
        "deltas.releases", "budget[0].archive", "budget[1]", "budget[1].each", "budget[1].name",
    }  # fmt: skip


def test_keys_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/fleet.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"| `{key}` |" not in page] == []


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("stacks/*/_artifacts", "editor"),
        ("stacks/ed*", "itor"),
        ("*/*/_artifacts", "stacks-editor"),
        ("stacks/**/_artifacts", "editor"),
        ("stacks/[a-f]ditor", "e"),
        ("stacks/editor/_artifacts", "editor"),
        ("stacks/edito?/", "r"),
    ],
)
def test_names_come_from_wildcards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stacks/editor/_artifacts").mkdir(parents=True)
    assert [match.name for match in matches(pattern, Buckets())] == [name]


def test_a_place_without_wildcards_is_called_as_its_folder() -> None:
    assert Match("a/b/_artifacts", ()).name == "b"
    assert Match("_artifacts", ()).name == "_artifacts"


def test_tasks_are_planned_the_largest_first(tmp_path: Path) -> None:
    stack(tmp_path, "editor", "linux_x86_64", "macosx_arm64", "win_amd64", size=500)
    stack(tmp_path, "notes", "linux_x86_64", "macosx_arm64")
    stack(tmp_path, "old-one", "linux_x86_64")
    broken = tmp_path / "stacks/search/_artifacts/__venvstacks__"
    broken.mkdir(parents=True)
    (broken / "venvstacks.json").write_text("{")
    fleet = read_fleet_file(
        write(
            tmp_path,
            FLEET.replace('exclude = ["stacks/old', f'exclude = ["{tmp_path}/x", "stacks/old'),
        )
    )
    tasks = plan_tasks(fleet, "2")
    assert [task.key for task in tasks[:2]] == ["editor--linux_x86_64", "editor--macosx_arm64"]
    assert {task.key: task.settings.memory for task in tasks} == {
        "editor--linux_x86_64": 4_000_000_000,
        "editor--macosx_arm64": 4_000_000_000,
        "notes--linux_x86_64": 1_500_000_000,
    } | {task.key: 1_500_000_000 for task in tasks if task.stack == "search"}
    assert tasks[0].settings.profile == "safe"
    assert tasks[0].output == str(tmp_path / "out/2/editor/linux_x86_64")
    assert not tasks[0].lone
    assert len({task.fingerprint for task in tasks}) == len(tasks)
    again = plan_tasks(fleet, "2")
    assert [task.fingerprint for task in again] == [task.fingerprint for task in tasks]
    stack(tmp_path, "notes", "linux_x86_64", "macosx_arm64", size=11)
    known = {task.fingerprint for task in tasks}
    changed = {task.key for task in plan_tasks(fleet, "2") if task.fingerprint not in known}
    assert changed == {"notes--linux_x86_64"}


def test_a_broken_stack_is_its_own_failure(tmp_path: Path) -> None:
    stack(tmp_path, "editor", "linux_x86_64")
    broken = tmp_path / "stacks/search/_artifacts/__venvstacks__"
    broken.mkdir(parents=True)
    (broken / "venvstacks.json").write_text("{")
    text = 'schema = 1\noutput = "out/{stack}"\n[[source]]\npattern = "stacks/*/_artifacts"\n'
    editor, search = plan_tasks(read_fleet_file(write(tmp_path, text)), "1")
    assert editor.error is None
    assert search.error is not None
    assert search.error.exit_code == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[[source]]\npattern = "nowhere/*"', "nothing matches"),
        ('[[match]]\nstack = "edtor"\nprofile = "safe"', "selects no stack"),
        ('[[source]]\npattern = "stacks/editor/_artifacts"\nname = "editor"', "both called"),
        ('[[match]]\nstack = "editor"\nconfig = "gone.toml"', "gone.toml"),
    ],
)
def test_what_is_wrong_with_the_whole_fleet_is_told_before_it_begins(
    tmp_path: Path, more: str, message: str
) -> None:
    stack(tmp_path, "editor", "linux_x86_64")
    stack(tmp_path, "notes", "linux_x86_64")
    text = 'schema = 1\noutput = "out/{stack}"\n[[source]]\npattern = "stacks/*/_artifacts"\n'
    with pytest.raises(ConfigError) as caught:
        plan_tasks(read_fleet_file(write(tmp_path, text + more + "\n")), "1")
    assert any(message in str(problem) for problem in caught.value.problems)


def test_two_stacks_cant_go_to_one_place(tmp_path: Path) -> None:
    stack(tmp_path, "editor", "linux_x86_64", "win_amd64")
    text = 'schema = 1\noutput = "out/{stack}"\n[[source]]\npattern = "stacks/*/_artifacts"\n'
    with pytest.raises(ConfigError) as caught:
        plan_tasks(read_fleet_file(write(tmp_path, text)), "1")
    assert "would both go to" in str(caught.value.problems[0])


def test_earlier_releases_are_found_and_sorted_by_number(tmp_path: Path) -> None:
    stack(tmp_path, "editor", "linux_x86_64")
    for release in ("1.9", "1.10", "1.2", "2.0"):
        folder = tmp_path / f"out/{release}/editor/linux_x86_64/__venvstacks__"
        folder.mkdir(parents=True)
        (folder / "venvstacks.json").write_text(json.dumps({"layers": {}}))
    (tmp_path / "out/1.11/editor/linux_x86_64").mkdir(parents=True)
    template = str(tmp_path / "out/{release}/editor/linux_x86_64")
    assert list(releases(template, Buckets())) == ["1.2", "1.9", "1.10", "2.0"]
    text = FLEET.partition("[[match]]")[0] + "[deltas]" + FLEET.partition("[deltas]")[2]
    (task,) = plan_tasks(read_fleet_file(write(tmp_path, text)), "1.11")
    assert task.previous == template.replace("{release}", "1.10")
    assert [delta.since for delta in task.deltas] == ["1.10", "1.9"]


def task(name: str, size: int) -> Task:
    return Task(
        stack=name, platform="unknown", source=name, output=name, size=size, settings=TaskSettings()
    )


@pytest.mark.parametrize("shards", [1, 3, 7, 40])
def test_shards_share_all_tasks_evenly(shards: int) -> None:
    tasks = [task(f"t{number}", 1000 // (number + 1)) for number in range(25)]
    shares = [share_of(tasks, number, shards) for number in range(1, shards + 1)]
    assert sorted(one.key for share in shares for one in share) == sorted(one.key for one in tasks)
    assert shares == [share_of(tasks[::-1], number, shards) for number in range(1, shards + 1)]
    loads = sorted(sum(one.size for one in share) for share in shares)
    if shards == 3:
        assert loads[-1] <= 1.1 * loads[0]


@pytest.mark.parametrize(
    ("name", "fine"),
    [("editor-2.1", True), ("a b", True), ("..", False), ("a/b", False), ("", False),
     ("-x", False), ("x.", False), ("a\n", False), ("con:", False)],
)  # fmt: skip
def test_names_are_parts_of_paths(name: str, fine: bool) -> None:
    assert (name_problem(name) is None) is fine


def test_templates() -> None:
    assert template_problem("a/{stack}", ("stack",)) is None
    assert template_problem("a/{stakc}", ("stack",)) is not None
    assert template_problem("a/{stack", ("stack",)) is not None
    assert filled("{a}/{b}", {"a": "{b}"}) == "{b}/{b}"
    assert natural_order("1.9") < natural_order("1.10")
