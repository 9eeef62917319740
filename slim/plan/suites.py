"""Test code among the files that a generic rule selects by a name such as ``tests``.

A folder called ``tests`` may also be data (project templates, SQL, playbooks) or API
(``astropy.tests.helper``). A rule that names its package knows; a rule for every package takes test
code only: Python test suites in packages that can be imported. Everything else is refused.

Sources: pytest documentation ("Conventions for Python test discovery"), unittest documentation
("Test Discovery").
"""

from __future__ import annotations

import re

from slim.analysis import ReadFile
from slim.analysis.imports.modules import importable_stem
from slim.analysis.imports.path_scan import TESTS_FOLDER, words
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileRecord, Inventory
from slim.model.rule import Rule, Safety
from slim.model.stack import Stack
from slim.passes.select import LEFTOVERS, TESTS

_TEST_MODULE = re.compile(r"(?:test.*|.*_tests?|conftest)\Z", re.I)
_HELPERS = re.compile(
    r"test_(?:utils?|utilities|helpers?|tools?|base|bases|common|support|cases?|fixtures?|mixins?|"
    r"framework|runner|suite|client|server|app|data|settings|config)\Z"
)
_DEFINES_TESTS = re.compile(rb"^[ \t]*(?:async[ \t]+)?def[ \t]+test", re.M)
_TEMPLATES = words(
    "template templates tpl tmpl skeleton skeletons skel scaffold scaffolds scaffolding "
    "cookiecutter cookiecutters boilerplate boilerplates archetype archetypes blueprint blueprints "
    "starter starters prototype prototypes copier"
)
_DATA = words(
    "data include includes resource resources asset assets share static files example examples "
    "sample samples demo demos project projects layout layouts role roles playbooks seeds"
)


def is_generic(rule: Rule) -> bool:
    """Return whether a built-in rule takes tests of every package, so that it knows none."""
    return rule.pass_name == TESTS.schema.name and is_for_every_package(rule)


def is_for_every_package(rule: Rule) -> bool:
    """Return whether a built-in rule takes tests or leftovers and names no package."""
    named = rule.package is not None and "*" not in rule.package.name
    passes = (TESTS.schema.name, LEFTOVERS.schema.name)
    return rule.builtin and rule.pass_name in passes and not named


def is_judged_alike(rule: Rule, other: Rule) -> bool:
    """Return whether what holds a file against one rule holds it against the other as well."""
    return rule.builtin == other.builtin and all(
        (
            is_generic(rule) == is_generic(other),
            rule.pass_name == other.pass_name or Safety.GUIDED not in (rule.safety, other.safety),
            rule.unless == other.unless,
            rule.despite == other.despite,
            rule.choose == other.choose,
            not rule.unit and not other.unit,
        )
    )


def in_template(path: str) -> str | None:
    """Return the outermost folder around a file that is called like a template, if any is."""
    for folder in path.split("/")[:-1]:
        if _TEMPLATES.intersection(re.split(r"[-_. ]", folder.lower())):
            return folder
    return None


class Suites:
    """Folders called ``tests`` of a stack, by what they hold. Remembers what it found out."""

    def __init__(self, stack: Stack, inventory: Inventory, read: ReadFile) -> None:
        self._read = read
        self._sites = {
            layer.name: sorted((site.strip("/") for site in layer.site_dirs), key=len, reverse=True)
            for layer in stack
        }
        self._packages: set[tuple[str, str]] = set()
        self._code: set[tuple[str, str]] = set()
        self._suites: set[tuple[str, str]] = set()
        for record in inventory:
            if record.type is not EntryType.DIRECTORY:
                self._note(record)

    def why_no_test(self, record: FileRecord) -> Evidence | None:
        """Return what shows that a selected file is data or API, None where it is test code."""
        site = self._site(record)
        folders = record.path[len(site) :].strip("/").split("/")[:-1]
        depth = folders.index(TESTS_FOLDER) if TESTS_FOLDER in folders else None
        outside = folders if depth is None else folders[:depth]
        reason = self._why_data(record, site, outside)
        if reason is not None:
            return Evidence(kind="data", text=reason)
        if depth is None:
            return self._why_no_test_module(record)
        suite = "/".join(part for part in (site, *folders[: depth + 1]) if part)
        if (record.layer, suite) not in self._suites:
            text = f"{'/'.join(folders[: depth + 1])} holds no Python tests, so it is data"
            return Evidence(kind="data", text=text)
        if len(folders) == depth + 1 and self._is_api(record, suite):
            text = f"a module of {'.'.join(folders)} that is no test: other projects may import it"
            return Evidence(kind="api", text=text)
        return None

    def _note(self, record: FileRecord) -> None:
        folder = record.path.rpartition("/")[0]
        stem = importable_stem(record.path)
        if stem is None:
            return
        self._code.add((record.layer, folder))
        if stem == "__init__":
            self._packages.add((record.layer, folder))
        if _TEST_MODULE.match(stem):
            parts = folder.split("/")
            for depth, part in enumerate(parts):
                if part == TESTS_FOLDER:
                    self._suites.add((record.layer, "/".join(parts[: depth + 1])))

    def _site(self, record: FileRecord) -> str:
        for site in self._sites.get(record.layer, ()):
            if record.path.startswith(f"{site}/"):
                return site
        return ""

    def _why_data(self, record: FileRecord, site: str, outside: list[str]) -> str | None:
        """Return why the folders around a suite are no package of code, None where they are."""
        path = site
        for folder in outside:
            path = f"{path}/{folder}".lstrip("/")
            parts = set(re.split(r"[-_. ]", folder.lower()))
            package = (record.layer, path) in self._packages
            if not folder.isidentifier():
                return f"it lies in {folder}, which is no Python package"
            if parts & _TEMPLATES or (parts & _DATA and not package):
                return f"it lies in {folder}, which holds templates or data"
        if outside and (record.layer, path) not in self._code:
            return f"it lies in {outside[-1]}, which holds no Python code"
        return None

    def _why_no_test_module(self, record: FileRecord) -> Evidence | None:
        stem = importable_stem(record.path) or ""
        if stem == "conftest":
            return None
        if _HELPERS.match(stem):
            return Evidence(kind="api", text=f"{stem} is a name of helpers for others' tests")
        if record.type is EntryType.FILE and not _DEFINES_TESTS.search(self._read(record)):
            return Evidence(kind="data", text="defines no function or method called test...")
        return None

    def _is_api(self, record: FileRecord, suite: str) -> bool:
        """True for a module that is no test, in the tests of a distribution's import package."""
        stem = importable_stem(record.path)
        if stem is None or stem in ("__init__", "__main__") or _TEST_MODULE.match(stem):
            return False
        package = suite.rpartition("/")[0]
        above = package.rpartition("/")[0]
        return (record.layer, package) in self._packages and (
            record.layer,
            above,
        ) not in self._packages
