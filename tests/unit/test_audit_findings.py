"""Findings of an audit, on small stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.errors import ConfigError
from slim.model.audit import Audit
from slim.model.record import OwnerKind
from slim.model.rule import UNTRACED_PROFILES
from tests.support.audits import adds_up, audit_of
from tests.support.macho_files import build, fat
from tests.support.published_stacks import SITE, LayerSpec, distribution, merge, publish

ELF = b"\x7fELF"


def layers(**more: str) -> dict[str, LayerSpec]:
    runtime = {
        "lib/python3.13/os.py": "import sys\n",
        "lib/python3.13/site.py": "import os\n",
        "lib/python3.13/test/test_os.py": "import os\n" * 50,
        "bin/python": "#!/bin/sh\n",
    }
    framework = merge(
        distribution(
            "alpha", {"alpha/__init__.py": "import beta\n", "alpha/data.bin": "x" * 900, **more}
        ),
        distribution(
            "beta",
            {"beta/__init__.py": "", "beta/copy.bin": "x" * 900, "beta/tests/test_it.py": "pass\n"},
        ),
        distribution(
            "lonely",
            {"lonely/__init__.py": "import alpha\n" + "#" * 300},
            more={"entry_points.txt": "[console_scripts]\nlonely = lonely:main\n"},
        ),
        {f"{SITE}/stray.txt": "nobody's"},
    )
    application = {f"{SITE}/app.py": "import alpha\nname = 'x'\n", f"{SITE}/blob.bin": "x" * 900}
    return {
        "cpython3.13": LayerSpec("runtime", runtime),
        "framework-f": LayerSpec("framework", framework),
        "app-a": LayerSpec(
            "application", application, requires=("framework-f",), launch_module="app"
        ),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("published")
    publish(folder, layers())
    (folder / "app-old.tar.xz").write_bytes(b"old" * 40)
    return audit_of(folder)


def test_every_account_tells_the_same_bytes(found: Audit) -> None:
    assert adds_up(found) == sum(record.size for record in found.inventory)


def test_archive_bytes_are_those_of_the_files(found: Audit) -> None:
    sizes = {row.layer.name: row.size.archive for row in found.layers}
    folder = Path(found.stack.source)
    assert sizes == {name: (folder / f"{name}.tar.xz").stat().st_size for name in sizes}


def test_duplicates_within_and_across_layers(found: Audit) -> None:
    one = next(one for one in found.duplicates if one.size == 900)
    assert [record.deployed_path.rpartition("/")[2] for record in one.records] == [
        "data.bin",
        "copy.bin",
        "blob.bin",
    ]
    assert one.wasted == 1800
    assert one.layers == ("framework-f", "app-a")
    assert [one.wasted for one in found.duplicates] == sorted(
        (one.wasted for one in found.duplicates), reverse=True
    )


def test_what_nobody_imports(found: Audit) -> None:
    assert [(one.owner.name, one.commands) for one in found.unused] == [("lonely", ("lonely",))]


@pytest.mark.parametrize(
    ("code", "mentioned"),
    [
        ("load('lonely')", True),
        ('load("lonely.part")', True),
        ("load('lonely_heart')", False),
        ("import lonely", True),
        ("    import os, lonely as alone", True),
        ("import os; import lonely", True),
        ("x = 1; import lonely", True),
        ("try: import lonely", True),
        ("from lonely import main", True),
        ("from lonely.part import main", True),
        ("from \\\nlonely import main", False),  # nobody writes so
        ("from os import lonely", False),
        ("from .lonely import main", False),
        ("# we import lonely things", False),
        ("reimport lonely", False),
        ("import lonely_heart", False),
        ("lonely = 1", False),
    ],
)
def test_mentions(tmp_path: Path, code: str, mentioned: bool) -> None:
    publish(tmp_path / "p", layers(**{"alpha/late.py": f"import os\n{code}\n"}))
    assert [one.owner.name for one in audit_of(tmp_path / "p").unused] == (
        [] if mentioned else ["lonely"]
    )


def test_unowned_files_are_a_row_and_listed_by_folder(found: Audit) -> None:
    row = next(row for row in found.by_owner if row.label == "(unowned)")
    assert row.size.unpacked == sum(one.size.unpacked for one in found.unowned)
    assert any(one.label.startswith(f"framework-f/{SITE}") for one in found.unowned)


def test_stale_archives_are_listed_and_not_counted(found: Audit) -> None:
    assert [(one.name, one.size) for one in found.stack.stale] == [("app-old.tar.xz", 120)]


def test_the_proof_only_takes_back_what_rules_select(found: Audit) -> None:
    proved = audit_of(Path(found.stack.source), prove=True)
    assert [one.profile for one in found.savings] == list(UNTRACED_PROFILES)
    for bound, exact in zip(found.savings, proved.savings, strict=True):
        assert (bound.proved, exact.proved) == (False, True)
        assert bound.saved >= exact.saved
        assert exact.saved == sum(row.saved for row in exact.by_rule)
        assert (
            exact.command == f"slim run {found.stack.source} -o OUT --profile {exact.profile.label}"
        )


def test_without_findings_there_are_only_sizes(found: Audit) -> None:
    plain = audit_of(Path(found.stack.source), findings=False)
    assert plain.cells == found.cells
    assert (plain.savings, plain.unused, plain.unstripped) == ((), (), ())


def test_an_archive_unlike_its_manifest_is_a_warning(tmp_path: Path) -> None:
    manifest = publish(tmp_path / "p", layers())
    text = manifest.read_text()
    digest = text.split('"sha256": "')[1][:64]
    manifest.write_text(text.replace(digest, "0" * 64))
    assert any("SHA-256" in text for text in audit_of(tmp_path / "p").warnings)


class TestWhy:
    def test_who_imports_and_requires(self, found: Audit) -> None:
        (answer,) = audit_of(Path(found.stack.source), why=("**/beta/__init__.py",)).why
        (one,) = answer.explained
        assert one.record.owner.name == "beta"
        assert {fact.file for fact in one.imported_by} == {f"framework-f/{SITE}/alpha/__init__.py"}

    def test_a_name_matches_at_any_depth(self, found: Audit) -> None:
        (answer,) = audit_of(Path(found.stack.source), why=("*.bin",)).why
        assert (answer.files, answer.size) == (3, 2700)

    @pytest.mark.parametrize("glob", ["nothing-like-it", "[", "a/../b"])
    def test_nothing_or_nonsense_is_an_error(self, found: Audit, glob: str) -> None:
        with pytest.raises(ConfigError, match="--why"):
            audit_of(Path(found.stack.source), why=(glob,))


def test_slices_for_other_machines(tmp_path: Path) -> None:
    site = "App.app/Contents/Resources/lib/python3.13/site-packages"
    binary = tmp_path / "stack" / site / "thing.so"
    binary.parent.mkdir(parents=True)
    arm = build("macho arm64 dylib\ndefined _answer\n")
    intel = build("macho x86_64 dylib\ndefined _answer\n")
    binary.write_bytes(fat(intel, arm))
    for number in range(2):  # the platform is that of most native files
        binary.with_name(f"lib{number}.dylib").write_bytes(arm)
    found = audit_of(tmp_path / "stack")
    assert found.stack.platform.tag == "macosx_arm64"
    assert [(one.what, one.size, one.whole) for one in found.foreign] == [
        ("macos x86_64", len(intel), False)
    ]


def test_a_whole_file_for_another_system(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    elf = ELF + b"\2\1\1" + bytes(9) + b"\3\0\x3e\0" + bytes(44)
    for name in ("a.so", "b.so"):
        (tmp_path / "v" / name).write_bytes(elf)
    pe = (
        b"MZ"
        + bytes(58)
        + (64).to_bytes(4, "little")
        + b"PE\0\0"
        + b"\x64\x86"
        + bytes(18)
        + bytes(64)
    )
    (tmp_path / "v" / "t.exe").write_bytes(pe)
    found = audit_of(tmp_path / "v")
    assert [(one.record.path, one.what, one.whole) for one in found.foreign] == [
        ("t.exe", "windows x86_64", True)
    ]
    adds_up(found)


class TestOwners:
    """Owners where no RECORD tells them."""

    def site(self, tmp_path: Path, files: dict[str, str]) -> Audit:
        for path, text in files.items():
            file = tmp_path / "tree" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return audit_of(tmp_path / "tree", findings=False)

    def owner(self, found: Audit, path: str) -> str:
        record = found.inventory.get(("tree", path))
        assert record is not None
        return record.owner.name

    def test_a_frozen_application_goes_by_names(self, tmp_path: Path) -> None:
        found = self.site(
            tmp_path,
            {
                "_internal/PyYAML-6.0.dist-info/METADATA": "Name: PyYAML\nVersion: 6.0\n",
                "_internal/PyYAML-6.0.dist-info/top_level.txt": "_yaml\nyaml\n",
                "_internal/yaml/loader.py": "",
                "_internal/_yaml.cpython-313-darwin.so": "x",
                "_internal/other/x.py": "",
            },
        )
        assert self.owner(found, "_internal/yaml/loader.py") == "pyyaml"
        assert self.owner(found, "_internal/_yaml.cpython-313-darwin.so") == "pyyaml"
        assert self.owner(found, "_internal/other/x.py") == "(unowned)"

    def test_bytecode_is_its_sources(self, tmp_path: Path) -> None:
        found = self.site(
            tmp_path,
            {
                f"{SITE}/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n",
                f"{SITE}/a-1.dist-info/RECORD": "a.py,,\na-1.dist-info/METADATA,,\n",
                f"{SITE}/a.py": "",
                f"{SITE}/__pycache__/a.cpython-313.pyc": "x",
            },
        )
        assert self.owner(found, f"{SITE}/__pycache__/a.cpython-313.pyc") == "a"

    def test_two_copies_of_a_distribution_are_both_its(self, tmp_path: Path) -> None:
        files = {}
        for site in ("one/site-packages", "two/site-packages"):
            files |= {
                f"{site}/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n",
                f"{site}/a-1.dist-info/RECORD": "a.py,,\n",
                f"{site}/a.py": "",
            }
        found = self.site(tmp_path, files)
        assert [self.owner(found, f"{site}/site-packages/a.py") for site in ("one", "two")] == [
            "a",
            "a",
        ]

    def test_a_broken_record_is_a_warning(self, tmp_path: Path) -> None:
        found = self.site(
            tmp_path,
            {
                f"{SITE}/a-1.dist-info/METADATA": "Name: a\nVersion: 1\n",
                f"{SITE}/a-1.dist-info/RECORD": "/etc/passwd,,\n",
                f"{SITE}/a/b.py": "",
            },
        )
        assert any("absolute path" in text for text in found.warnings)
        assert self.owner(found, f"{SITE}/a/b.py") == "a"

    def test_a_plain_folder_is_unowned_and_listed_by_folder(self, tmp_path: Path) -> None:
        found = self.site(tmp_path, {"docs/a.md": "abc", "docs/b.md": "de", "x.txt": "f"})
        assert {row.label: row.size.unpacked for row in found.unowned} == {
            "tree/docs/": 5,
            "tree/": 1,
        }
        assert {record.owner.kind for record in found.inventory} == {OwnerKind.UNOWNED}
