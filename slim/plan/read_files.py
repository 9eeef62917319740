"""Removals of what programs may read as data: what names it stays, and what isn't what it seems.

Rules for every package select stubs, build files, lock files, manual pages and notes of installers
by their names. Such a file stays where code of its own distribution names it, where it lies in a
template, or where its first bytes say that it is something else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping

from packaging.utils import canonicalize_name

from slim.analysis.any_readers import read_anywhere
from slim.analysis.code_strings import CodeStrings
from slim.analysis.facts import Facts
from slim.analysis.named_files import NamedFiles
from slim.analysis.named_programs import NamedPrograms
from slim.analysis.own_data import opened_by_path
from slim.analysis.shipped import ShippedFiles
from slim.model.finding import Evidence
from slim.model.plan import Action, Remove, SkipReason
from slim.model.record import EntryType, FileKey, FileRecord, OwnerKind
from slim.model.rule import Rule, Safety
from slim.passes.bytecode import is_orphan
from slim.passes.description import EDITOR as DESCRIPTION
from slim.passes.select import DOCS, LEFTOVERS, METADATA, TESTS
from slim.plan.draft import Draft
from slim.plan.scope import Scope
from slim.plan.suites import in_template, is_for_every_package
from slim.rules.match import GlobSet

_PASSES = frozenset({LEFTOVERS.schema.name, DOCS.schema.name})
_BYTECODE = "bytecode"
_FOREIGN = "foreign"
_PROGRAM_FOLDERS = ("bin", "Scripts")
_ARCHIVE = (b"!<arch>\n", b"!<thin>\n", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf", b"!<bigaf>")
_ELF = (b"\x7fELF",)
_STARTS: Mapping[str, tuple[bytes, ...]] = {
    ".a": _ARCHIVE,
    ".lib": _ARCHIVE,
    ".exp": (b"\x64\x86", b"\x4c\x01", b"\x64\xaa", b"\0\0\xff\xff"),
    ".ilk": (b"Microsoft Linker",),
    ".pdb": (b"Microsoft C/C++", b"BSJB"),
    ".dwo": _ELF,
    ".dwp": _ELF,
    ".debug": _ELF,
}
"""First bytes of what a suffix stands for; proteins, circuits and maps have some of them too.

Sources: System V ABI (ELF), Microsoft's PE format (archives, objects), LLVM's documentation of PDB
files, the portable PDB specification.
"""

_SERVED = frozenset(
    {"static", "statics", "staticfiles", "public", "www", "wwwroot", "webroot", "htdocs", "assets"}
)
"""Folders that web frameworks hand out whole, or that are called like those of web pages.

Sources: Flask's and Django's documentation (``static``), Express's and Litestar's (``public``,
``assets``), ASP.NET's (``wwwroot``), Apache's (``htdocs``).
"""
_LOCKS = ("yarn.lock", "package-lock.json", "pnpm-lock.yaml")

_PACKAGE = re.compile(r"\$site/[^/*?{\[]+/")
"""A glob that names the package whose files it takes."""

_Counts = Callable[[FileRecord], bool]


class ReadFiles:
    """Refusals of one plan: files that are read, and files that aren't what their names say."""

    def __init__(self, draft: Draft, facts: Facts, scope: Scope, rules: Mapping[str, Rule]) -> None:
        self._draft = draft
        self._facts = facts
        self._scope = scope
        self._rules = rules
        self._search = NamedFiles(facts.inventory, facts.read, facts.readings)
        self._code = CodeStrings(facts.inventory, facts.read, facts.readings)
        self._shipped = ShippedFiles(facts.stack, facts.inventory, facts.read)

    def hold(self) -> None:
        """Take back removals that a rule for every package proposed."""
        candidates = {}
        for action in list(self._draft.actions.values()):
            if not isinstance(action, Remove) or not self._is_generic(action):
                continue
            reason = self._why_other(action.record) if action.pass_name in _PASSES else None
            if reason is not None:
                evidence = Evidence(kind="data", text=reason)
                self._draft.refuse(action, SkipReason.REFERENCED, (evidence,))
            else:
                candidates[action.record.key] = action
        meant = [action.record for action in candidates.values() if self._may_be_named(action)]
        gone, facts = self._draft.gone, self._facts
        named = {
            **read_anywhere(meant, gone, facts.inventory, facts.read, facts.readings),
            **self._search.among(meant, gone),
        }
        for key, evidence in named.items():
            self._draft.refuse(candidates[key], SkipReason.REFERENCED, (evidence,))
        self._hold_notes(candidates)
        self._hold_opened()

    def hold_programs(self) -> None:
        """Take back the runtime's own programs that code starts, such as ``pydoc3``."""
        programs = {
            posixpath.basename(action.record.path): action
            for action in self._draft.actions.values()
            if isinstance(action, Remove)
            and posixpath.dirname(action.record.path) in _PROGRAM_FOLDERS
            and action.record.owner.kind is OwnerKind.RUNTIME
            and self._is_generic(action)
        }
        counts = self._counts("")
        means = NamedPrograms(self._facts.read, self._facts.readings).means
        for name, evidence in self._code.naming(programs, counts, means).items():
            self._draft.refuse(programs[name], SkipReason.REFERENCED, (evidence,))

    def hold_descriptions(self) -> None:
        """Take back cuts of METADATA whose end some code shows."""
        actions = {
            key: action
            for key, action in self._draft.actions.items()
            if not isinstance(action, Remove) and action.edit.editor == DESCRIPTION
        }
        if not actions:
            return
        for record, names in self._code.description_readers(self._counts("long-descriptions")):
            text = "reads long descriptions"
            evidence = Evidence(kind="path", text=text, file=record.deployed_path)
            meant = None if names is None else {canonicalize_name(name) for name in names}
            for key, action in actions.items():
                owner = action.record.owner
                shown = meant is None or owner == record.owner or owner.name in meant
                if shown and key in self._draft.actions:
                    self._draft.refuse(action, SkipReason.REFERENCED, (evidence,))

    def _hold_opened(self) -> None:
        """Hold data among the tests of a package that the rule knows, if its helpers open it."""
        suites = {
            key: action
            for key, action in self._draft.actions.items()
            if isinstance(action, Remove)
            and action.pass_name == TESTS.schema.name
            and (rule := self._rules.get(action.rule)) is not None
            and rule.builtin
            and not is_for_every_package(rule)
        }
        records = [action.record for action in suites.values()]
        inventory, read = self._facts.inventory, self._facts.read
        for key, evidence in opened_by_path(records, self._draft.gone, inventory, read).items():
            self._draft.refuse(suites[key], SkipReason.REFERENCED, (evidence,))

    def _hold_notes(self, candidates: Mapping[FileKey, Action]) -> None:
        """Hold notes of installers, such as ``direct_url.json``, that other programs read."""
        notes: dict[tuple[str, str], list[Action]] = {}
        for action in candidates.values():
            if action.pass_name == METADATA.schema.name:
                name = posixpath.basename(action.record.path)
                notes.setdefault((action.rule, name), []).append(action)
        for rule in sorted({rule for rule, _ in notes}):
            names = [name for each, name in notes if each == rule]
            for name, evidence in self._code.naming(names, self._counts(rule), texts=True).items():
                for action in notes[rule, name]:
                    self._draft.refuse(action, SkipReason.REFERENCED, (evidence,))

    def hold_shipped(self) -> None:
        """Hold libraries of other systems that code hands on, and links that lead to them."""
        foreign = {
            key: action
            for key, action in self._draft.actions.items()
            if action.pass_name == _FOREIGN
            and action.record.owner.kind is not OwnerKind.RUNTIME
            and self._is_generic(action)
        }
        files = [one.record for one in foreign.values() if one.record.type is not EntryType.SYMLINK]
        held = dict(self._shipped.among(files, self._draft.gone))
        for key, evidence in held.items():
            self._draft.refuse(foreign[key], SkipReason.REFERENCED, (evidence,))
        for key, action in sorted(foreign.items()):
            target = action.record.link_target
            if target is not None and key not in held:
                place = posixpath.join(posixpath.dirname(key[1]), target)
                reason = held.get((key[0], posixpath.normpath(place)))
                if reason is not None:
                    self._draft.refuse(action, SkipReason.REFERENCED, (reason,))

    def _counts(self, rule_id: str) -> _Counts:
        rule = self._rules.get(rule_id)
        ignored = GlobSet(rule.despite if rule is not None else ())
        patterns = {layer.name: ignored.for_layer(layer) for layer in self._facts.stack}
        gone = self._draft.gone

        def counts(record: FileRecord) -> bool:
            pattern = patterns[record.layer]
            return (
                record.key not in gone
                and record.owner.kind is not OwnerKind.RUNTIME
                and not (pattern is not None and pattern.match(record.path))
            )

        return counts

    def _is_generic(self, action: Action) -> bool:
        rule = self._rules.get(action.rule)
        if rule is None or not rule.builtin or rule.choose:
            return False
        named = (rule.package is not None and rule.package.name != "*") or all(
            _PACKAGE.match(glob) for glob in rule.globs
        )
        profile = self._scope.settings[action.record.layer].profile
        return not named and profile is not Safety.AGGRESSIVE

    def _may_be_named(self, action: Action) -> bool:
        record = action.record
        if record.owner.kind is OwnerKind.RUNTIME:
            return False
        if action.pass_name == _BYTECODE:
            return is_orphan(record, self._facts.inventory.records[record.layer])
        return action.pass_name in _PASSES

    def _served(self, record: FileRecord) -> str | None:
        """Return the folder around a file that web frameworks serve by its name, if any is.

        A lock file in it was left from building what is served.
        """
        parts = record.path.split("/")
        if parts[-1] in _LOCKS:
            return None
        files = self._facts.inventory.records[record.layer]
        for depth, folder in enumerate(parts[:-1]):
            around = "/".join(parts[: depth + 1])
            if folder in _SERVED and f"{around}/__init__.py" not in files:
                return folder
        return None

    def _why_other(self, record: FileRecord) -> str | None:
        folder = in_template(record.path)
        if folder is not None:
            return f"it lies in {folder}, which holds templates"
        folder = self._served(record)
        if folder is not None:
            return f"it lies in {folder}, whose files a web server may hand out"
        name = posixpath.basename(record.path)
        starts = _STARTS.get(posixpath.splitext(name)[1])
        if starts is None or record.type is not EntryType.FILE or not record.size:
            return None
        head = bytes(self._facts.read(record)[:16])
        return None if head.startswith(starts) else "its bytes aren't what its name says"
