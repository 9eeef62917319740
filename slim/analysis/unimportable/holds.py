"""Reasons to leave a module whole though it can't be imported: somebody may read it as a file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property

from slim.analysis import ReadFile
from slim.analysis.code_paths.scripts import is_script
from slim.analysis.digests import DigestBook
from slim.analysis.imports.entry_points import declared_points
from slim.analysis.imports.modules import ModuleIndex, dotted
from slim.analysis.listed_files import ListedFiles
from slim.analysis.readings import Readings
from slim.analysis.remembering import Form, plain
from slim.analysis.summary import named_sources
from slim.analysis.unimportable.search import UnimportableModules
from slim.analysis.unimportable.uses import uses_in
from slim.model.finding import Evidence
from slim.model.record import UNOWNED, EntryType, FileKey, FileRecord, Inventory, Owner
from slim.model.stack import LayerKind, Stack

_SETTINGS = (".json", ".toml", ".yaml", ".yml", ".cfg", ".ini", ".xml", ".sh", ".txt", ".ipynb")
_TEXTS = (
    *_SETTINGS,
    *(".bat", ".cmd", ".ps1", ".js", ".mjs", ".html", ".service", ".desktop", ".plist", ".csv"),
    *(".tsv", ".list", ".lst", ".conf", ".j2", ".jinja", ".jinja2", ".tmpl", ".r", ".jl", ".lua"),
    *("Dockerfile", "Makefile", "Procfile", ".properties", ".tcl", ".spec"),
)
_MAX_TEXT = 1 << 20
_METADATA = re.compile(r"\.(?:dist|egg)-info/|share/venv/metadata/")
_TEMPLATES = re.compile(
    r"(?:\A|[_-])(?:templates?|skeletons?|scaffold(?:s|ing)?|cookiecutters?|boilerplates?)\Z"
)
_NOT_PYTHON = re.compile(
    rb"^(?:class|def|import|from)\b[^\n\"'#]*\{\{|^[^\S\n]*+\{%|^[^\S\n]*+<%"
    rb"|^[ \t]*(?:(?:print|exec)[ \t]+[\"'\w]|raise[ \t]+\w+[ \t]*,"
    rb"|except[ \t]+[\w.]+[ \t]*,[ \t]*\w+[ \t]*:)",
    re.M,
)
"""Lines of templates, and of Python 2."""


_FOREIGN = plain("no-python", bool)
_USES: Form[tuple[tuple[str, str], ...]] = Form(
    "uses",
    lambda uses: uses,
    lambda stored: tuple((str(name), str(text)) for name, text in stored),
)


class Holds:
    """Evidence that holds modules. ``dead`` can't be imported, so they read nothing either."""

    def __init__(
        self,
        stack: Stack,
        inventory: Inventory,
        modules: UnimportableModules,
        read: ReadFile,
        dead: Collection[FileKey],
        digests: DigestBook,
        readings: Readings | None = None,
    ) -> None:
        self._digests = digests
        self._readings = readings or Readings()
        self._stack = stack
        self._inventory = inventory
        self._modules = modules
        self._index: ModuleIndex = modules.index
        self._read = read
        self._dead = dead
        self._uses: dict[tuple[str, Owner], Mapping[str, Evidence]] = {}

    def against(self, record: FileRecord, end: int) -> Evidence | None:
        """Return what shows that a module has to stay whole; None where nothing does.

        ``end`` is the offset from which on it would go.
        """
        name = self._index.modules[record.key][0].name
        folder, _, own = record.path.rpartition("/")
        if own == "__main__.py":
            return Evidence(kind="held", text="it is run as a program")
        if name in self._started:
            return self._started[name]
        if (record.layer, folder) not in self._packages and not self._index.is_root(
            (record.layer, folder)
        ):
            return Evidence(kind="held", text="its folder is no package, so it may be data")
        if any(_TEMPLATES.search(part) for part in record.path.split("/")[:-1]):
            return Evidence(kind="held", text="it lies in a folder of templates")
        if self._readings.of_record(
            _FOREIGN, record, lambda: _is_foreign(bytes(self._read(record))[end:]), f"{end}"
        ):
            return Evidence(kind="held", text="it isn't Python of this version, so it may be data")
        if record.key in self._linked:
            return self._linked[record.key]
        if record.key in self._taken:
            return self._taken[record.key]
        return (
            self._named.get(own)
            or self._listed_in(record)
            or self._used_by_its_own(record, name)
            or self._digests.stating_sha256(record)
        )

    @cached_property
    def _taken(self) -> Mapping[FileKey, Evidence]:
        """The modules that code takes as files: it lists, copies or packs their folder."""
        search = ListedFiles(self._stack, self._inventory, self._read, self._readings, sources=True)
        records = [self._inventory.records[layer][path] for layer, path in sorted(self._dead)]
        return search.among(records, self._dead)

    def _used_by_its_own(self, record: FileRecord, name: str) -> Evidence | None:
        """Return what uses a module all the same: its own distribution, or an application."""
        module, own = dotted(name), (record.layer, record.owner)
        packages = [module[: at + 1] for at, letter in enumerate(module) if letter == "."]
        asked = ("*", module, *(f"{each}*" for each in packages))
        file = record.path.rpartition("/")[2]
        for owned in (own, *self._applications(record.layer)):
            if owned not in self._uses:
                self._uses[owned] = self._uses_in(owned)
            for each in (*asked, file) if owned == own else asked:
                if each in self._uses[owned]:
                    return self._uses[owned][each]
        return None

    def _applications(self, layer: str) -> Iterator[tuple[str, Owner]]:
        """The applications that see a layer, each with the owner of its own code."""
        for other in self._stack:
            if other.kind is LayerKind.APPLICATION and layer in (other.name, *other.requires):
                yield other.name, UNOWNED

    def _uses_in(self, owned: tuple[str, Owner]) -> Mapping[str, Evidence]:
        """The modules that a distribution starts, and the files of them that its texts name.

        ``*`` where it reads the sources of any, or installs what they lack.
        """
        found: dict[str, Evidence] = {}
        for record in self._inventory.by_owner.get(owned, ()):
            if record.key in self._dead or not self._may_use(record):
                continue
            is_code = record.path.endswith(".py")
            uses = self._readings.of_record(
                _USES,
                record,
                lambda record=record, is_code=is_code: tuple(  # type: ignore[misc]
                    uses_in(bytes(self._read(record)), is_code=is_code)
                ),
                f"{is_code:d}",
            )
            for name, text in uses:
                evidence = Evidence(kind="named", text=text, file=record.deployed_path)
                found.setdefault(name, evidence)
        return found

    def _may_use(self, record: FileRecord) -> bool:
        if record.type is not EntryType.FILE or record.native or _METADATA.search(record.path):
            return False
        if record.path.endswith(".py"):
            return True
        is_text = record.path.endswith(_TEXTS) or is_script(record, self._read)
        return is_text and record.size <= _MAX_TEXT

    @cached_property
    def _packages(self) -> frozenset[FileKey]:
        return frozenset(
            (layer, path.rpartition("/")[0])
            for layer, path in self._index.modules
            if path.rpartition("/")[2].startswith("__init__.")
        )

    @cached_property
    def _started(self) -> Mapping[str, Evidence]:
        """The modules that entry points and launch modules name."""
        found: dict[str, Evidence] = {}
        for layer in self._stack:
            if layer.launch_module:
                text = f"{layer.launch_module} is the launch module of {layer.name}"
                found[layer.launch_module.replace(".", "/")] = Evidence(
                    kind="launch-module", text=text
                )
        for point, label, path, _ in declared_points(self._inventory, self._read):
            text = f"{point.group} {point.name} = {point.value} of {label}"
            found.setdefault(
                point.module.replace(".", "/"),
                Evidence(kind="entry-point", text=text, file=path),
            )
        return found

    @cached_property
    def _linked(self) -> Mapping[FileKey, Evidence]:
        """The files that links lead to: they may have other neighbours under the other name."""
        found: dict[FileKey, Evidence] = {}
        for record in self._inventory:
            if record.type is EntryType.HARDLINK and record.link_target:
                key = (record.layer, record.link_target)
                found[key] = Evidence(
                    kind="held", text="has the same bytes", file=record.deployed_path
                )
        return found

    @cached_property
    def _named(self) -> dict[str, Evidence]:
        """The names of Python files that strings of living files end in."""
        found: dict[str, Evidence] = {}
        for record in self._inventory:
            if not self._may_name(record):
                continue
            for name, line in self._names_in(record).items():
                if name == "*.py":
                    self._globs.append(record)
                elif name not in found:
                    text = f'"{name}" in a string: it may be read as a file'
                    found[name] = Evidence(
                        kind="named", text=text, file=record.deployed_path, line=line
                    )
        return found

    def _names_in(self, record: FileRecord) -> Mapping[str, int]:
        if record.path.endswith(".py"):
            return dict(self._modules.sources()[record.key].named)
        return named_sources(bytes(self._read(record)))

    @cached_property
    def _globs(self) -> list[FileRecord]:
        return []

    def _may_name(self, record: FileRecord) -> bool:
        if record.type is not EntryType.FILE or record.key in self._dead:
            return False
        if record.path.endswith(".py"):
            return record.key in self._modules.sources()
        return (
            record.path.endswith(_SETTINGS)
            and record.size <= _MAX_TEXT
            and not _METADATA.search(record.path)
        )

    def _listed_in(self, record: FileRecord) -> Evidence | None:
        """Return the file that lists every ``*.py`` around it, if the module is among those."""
        for other in self._globs:
            folder = other.path.rpartition("/")[0]
            inside = other.layer == record.layer and record.path.startswith(f"{folder}/")
            if inside and not self._index.is_root((other.layer, folder)):
                text = (
                    f'"*.py" in a string: {dotted(folder.rpartition("/")[2])} may be read as files'
                )
                return Evidence(kind="named", text=text, file=other.deployed_path)
        return None


def _is_foreign(tail: bytes) -> bool:
    """Return whether code isn't Python of this version: a template, or Python 2."""
    return _NOT_PYTHON.search(tail) is not None
