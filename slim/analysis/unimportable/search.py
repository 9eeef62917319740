"""Modules that can't be imported: a statement that always runs asks for what isn't there.

A module fails where such a statement asks for a top-level name that no layer has which it is seen
with, or for a module that fails. Everything that can't be told counts as there.

A layer is seen with the layers below it, with every layer that requires it, and with theirs.

Sources: the Python language reference ("The import system"), PEP 420 (namespace packages).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from slim.analysis import ReadFile
from slim.analysis.imports.modules import Module, ModuleIndex, parents
from slim.analysis.readings import Readings
from slim.analysis.summary import MAX_SOURCE
from slim.analysis.unimportable.heads import HEAD, Head, head_at
from slim.analysis.unimportable.lines import FileLines, ImportLine, Request
from slim.analysis.unimportable.names import BRIDGES, STANDARD, Signals, called_with
from slim.analysis.unimportable.presence import Presence
from slim.model.finding import Evidence
from slim.model.record import EntryType, FileKey, FileRecord, Inventory, Owner, OwnerKind
from slim.model.stack import Stack

_DYNAMIC = (b"__getattr__", b"modules", b"import *")
"""Words of packages that may have any attribute."""
Reason = tuple[str, FileKey | None]
"""The top-level name that is missing, and the module that lacks it if it isn't the one asked."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A module that can't be imported."""

    head: Head
    """Its statements up to the one that fails."""
    missing: str
    """The top-level name that is in no layer, of this module or of the last one that it needs."""
    through: FileKey | None = None
    """The module that it imports and that fails, too; None where a name is missing."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Outcome of a search."""

    failing: Mapping[FileKey, Failing]
    """The modules that fail with what is here."""
    unknown: Mapping[str, Evidence]
    """Evidence that nobody can tell what is missing in a layer, by its name."""


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: its import statements, and what it does to the import system."""

    record: FileRecord
    lines: FileLines
    signals: Signals
    named: tuple[tuple[str, int], ...]
    """The names of Python files that its strings end in, each with the line."""


class UnimportableModules:
    """The modules of a stack that can't be imported; read once, asked for any provided names."""

    def __init__(
        self,
        stack: Stack,
        inventory: Inventory,
        index: ModuleIndex,
        read: ReadFile,
        readings: Readings | None = None,
    ) -> None:
        self._readings = readings or Readings()
        self._stack = stack
        self._inventory = inventory
        self._index = index
        self._read = read
        self._sources: dict[FileKey, Source] | None = None
        self._candidates: dict[FileKey, Module] | None = None
        self._heads: dict[tuple[FileKey, int], Head | None] = {}

    @property
    def index(self) -> ModuleIndex:
        """The modules of the stack by name."""
        return self._index

    @cached_property
    def providers(self) -> Mapping[str, list[FileKey]]:
        """The files of each module that an absolute import can reach, by its name."""
        found: dict[str, list[FileKey]] = {}
        for key, modules in self._index.modules.items():
            for module in modules:
                if module.rooted:
                    found.setdefault(module.name, []).append(key)
        return found

    def candidates(self) -> Mapping[FileKey, Module]:
        """The Python files with one name that can be imported, and no twin of that name."""
        if self._candidates is None:
            self._candidates = {}
            for key in self.sources():
                modules = self._index.modules.get(key, ())
                if len(modules) == 1 and modules[0].rooted:
                    here = [file for file in self.providers[modules[0].name] if file[0] == key[0]]
                    if here == [key]:
                        self._candidates[key] = modules[0]
        return self._candidates

    def head(self, key: FileKey, line: ImportLine) -> Head | None:
        """Return the head of a file that ends at a line; None where that isn't always reached."""
        where = (key, line.start)
        if where not in self._heads:
            self._heads[where] = self._readings.of_record(
                HEAD,
                self._inventory.records[key[0]][key[1]],
                lambda: head_at(self.bytes_of(key), line),
                f"{line.start} {line.end}",
            )
        return self._heads[where]

    def gives(self, package: str, name: str) -> bool:
        """Return whether ``from package import name`` may give anything but the submodule."""
        for key in self.providers.get(package, ()):
            source = self.bytes_of(key)
            if name.encode() in source or any(word in source for word in _DYNAMIC):
                return True
        return False

    def foresee(self, records: Iterable[FileRecord]) -> None:
        """Have other processes begin what is read of files that are likely to stay."""
        self._readings.foresee_summaries(filter(_counts, records), self._read)

    def sources(self) -> Mapping[FileKey, Source]:
        """Every Python file but those of the standard library, by key."""
        if self._sources is None:
            records = [record for record in self._inventory if _counts(record)]
            self._readings.summaries_ahead(records, self._read)
            self._sources = {record.key: self._source(record) for record in records}
        return self._sources

    def find(self, provided: Mapping[str, frozenset[str]]) -> Found:
        """Find the modules that fail.

        ``provided`` are names that something else brings along, by the name of the layer.

        A module that can't be imported does nothing to the import system, so what it would do
        counts only until it is known to fail.
        """
        failing: dict[FileKey, Failing] = {}
        while True:
            signals = {
                key: source.signals
                for key, source in self.sources().items()
                if source.signals and key not in failing
            }
            presence = Presence(
                self._stack,
                self._inventory,
                self._index,
                self._read,
                signals=signals,
                provided=provided,
                callers=[key for key in self.sources() if key not in failing],
                calls=self._calls,
                bridged=self._bridged,
            )
            found = _Search(self, presence).failing()
            if not signals.keys() & (found.keys() - failing.keys()):
                return Found(failing=found, unknown=presence.unknown)
            failing = found

    @cached_property
    def _calls(self) -> Mapping[FileKey, Mapping[str, frozenset[str]]]:
        """The names that functions which put modules into place are called with, by file."""
        helpers = {name for source in self.sources().values() for name in source.signals.helpers}
        calls = (
            (key, called_with(helpers, self.bytes_of(key)))
            for key in (self.sources() if helpers else ())
        )
        return {key: found for key, found in calls if found}

    @cached_property
    def _bridged(self) -> frozenset[tuple[str, Owner]]:
        """The owners whose code imports through a bridge, by layer."""
        return frozenset(
            (key[0], source.record.owner)
            for key, source in self.sources().items()
            if not BRIDGES.isdisjoint(source.lines.tops)
        )

    def bytes_of(self, key: FileKey) -> bytes:
        """The bytes of a file."""
        return bytes(self._read(self._inventory.records[key[0]][key[1]]))

    def _source(self, record: FileRecord) -> Source:
        summary = self._readings.summary(record, lambda: bytes(self._read(record)))
        return Source(record, summary.lines, summary.signals, summary.named)


def _counts(record: FileRecord) -> bool:
    return (
        record.type is EntryType.FILE
        and record.path.endswith(".py")
        and record.size <= MAX_SOURCE
        and not (record.owner.kind is OwnerKind.RUNTIME and "site-packages/" not in record.path)
    )


class _Search:
    """One search. Modules are added in rounds, so that each fails for one that was added before."""

    def __init__(self, owner: UnimportableModules, presence: Presence) -> None:
        self._owner = owner
        self._presence = presence
        self._found: dict[FileKey, Failing] = {}
        self._names: set[str] = set()
        self._reach: dict[str, frozenset[str]] = {}

    def failing(self) -> dict[FileKey, Failing]:
        """Search until no more modules fail."""
        candidates = self._owner.candidates()
        for key in candidates:
            self._judge(key, self._missing)
        open_ones = [key for key in candidates if key[0] not in self._presence.unknown]
        count = 0
        while len(self._found) > count:
            count = len(self._found)
            for key in open_ones:
                if key not in self._found:
                    self._judge(key, self._broken)
        return self._found

    def _judge(self, key: FileKey, why: Callable[[Request, FileKey], Reason | None]) -> None:
        """Note a module if one of its statements fails, with the first one that does."""
        for line in self._owner.sources()[key].lines.always:
            if why(line.request, key) is None:
                continue
            head = self._owner.head(key, line)
            if head is None or head.prepares:
                continue
            for request in head.requests:
                reason = why(request, key)
                if reason is not None:
                    self._found[key] = Failing(head, *reason)
                    self._names.add(self._owner.candidates()[key].name)
                    return

    def _missing(self, request: Request, key: FileKey) -> Reason | None:
        """Return the name that is missing where a statement asks for one that no layer has."""
        top = request.module.partition(".")[0]
        if request.level or not top or self._presence.has(top, key):
            return None
        return top, None

    def _broken(self, request: Request, key: FileKey) -> Reason | None:
        """Return the module that fails, and the name that it lacks, where a statement needs one."""
        module = self._owner.candidates()[key]
        for package, name in _asked(request, module):
            full = f"{package}/{name}" if package and name else package or name
            if full in self._names and not (package and name and self._owner.gives(package, name)):
                through = self._fails(full, key, module)
                if through is not None:
                    return self._found[through].missing, through
        return None

    def _fails(self, name: str, key: FileKey, module: Module) -> FileKey | None:
        """Return the file of a module that fails when ``key`` imports it; None if it may not."""
        seen = self._presence.seen_with(key[0])
        files = [file for file in self._owner.providers.get(name, ()) if file[0] in seen]
        if not files or key in files or not all(file in self._found for file in files):
            return None
        return files[0] if all(self._is_clean(file, module) for file in files) else None

    def _is_clean(self, file: FileKey, module: Module) -> bool:
        """Return whether a module fails before it could import ``module``.

        Else it might be half imported when ``module`` asks for it, and not fail then.
        """
        failing = self._found[file]
        if not failing.head.inert or not all(
            not request.level and self._is_far(request, module) for request in failing.head.before
        ):
            return False
        if failing.through is None:
            return True
        ours, theirs = (self._owner.candidates()[one] for one in (file, failing.through))
        if not set(parents(theirs.name)) <= set(parents(ours.name)):
            return False
        return self._is_clean(failing.through, module)

    def _is_far(self, request: Request, module: Module) -> bool:
        """Return whether importing something absolutely never imports from that package."""
        top = request.module.partition(".")[0]
        return top in STANDARD or module.name.partition("/")[0] not in self._reached(top)

    def _reached(self, top: str) -> frozenset[str]:
        """Return the top-level names that importing a package may import, by any file's lines."""
        if not self._reach:
            self._reach = _closed(self._owner.sources().values(), self._owner.index)
        return self._reach.get(top, frozenset({top}))


def _asked(request: Request, module: Module) -> Iterator[tuple[str, str]]:
    """Yield the modules that a statement has to import, outermost first.

    Each is a package and a name; the package is empty but for names that ``from`` takes.
    """
    name = request.module.replace(".", "/")
    if request.level:
        base = module.container
        for _ in range(request.level - 1):
            base = base.rpartition("/")[0]
        if not base:
            return
        name = f"{base}/{name}" if name else base
    for outer in reversed([name, *parents(name)]):
        yield "", outer
    for taken in request.names:
        yield name, taken


def _closed(sources: Iterable[Source], index: ModuleIndex) -> dict[str, frozenset[str]]:
    """Return the top-level names that each one's files import, and so on."""
    direct: dict[str, set[str]] = {}
    for source in sources:
        for module in index.modules.get(source.record.key, ()):
            direct.setdefault(module.name.partition("/")[0], set()).update(source.lines.tops)
    closed: dict[str, frozenset[str]] = {}
    for top in direct:
        reached, waiting = {top}, [top]
        while waiting:
            for other in direct.get(waiting.pop(), ()):
                if other not in reached:
                    reached.add(other)
                    waiting.append(other)
        closed[top] = frozenset(reached)
    return closed
