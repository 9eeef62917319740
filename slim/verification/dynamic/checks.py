"""Suite of dynamic checks over two deployments, the original and the slimmed one.

The original is tried once, the slimmed stack as often as needed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from slim.model.outcome import Check
from slim.model.progress import Progress
from slim.model.record import FileKey
from slim.model.stack import LayerKind
from slim.model.verify import Broken, Command, Subject
from slim.verification.dynamic import (
    imports,
    launch,
    links,
    metadata,
    opened,
    probes,
    unimportable,
)
from slim.verification.dynamic.deploy import POSTINSTALL, Deployment, install
from slim.verification.dynamic.imports import Imported
from slim.verification.dynamic.opened import Opened
from slim.verification.dynamic.targets import Targets
from slim.verification.dynamic.wording import SHOWN, count, made_check, some

DEPLOY: Final = "deploy"
ALONE: Final = 12
"""So few modules are tried one a process when a failure is looked into."""
_WORKED: Final = "worked"


@dataclass(kw_only=True)
class Suite:
    """Suite of checks.

    ``given_up`` tells of a removed file that it was meant to go though its module worked. ``notes``
    and ``untried`` are sentences about the last time that everything was checked.
    """

    targets: Targets
    before: Deployment
    after: Deployment
    given_up: Callable[[FileKey], bool]
    progress: Progress
    workers: int = 1
    notes: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    _imported: dict[Subject, Imported] = field(default_factory=dict)
    _cut: dict[Subject, Imported] = field(default_factory=dict)
    _linked: dict[Subject, links.Linked] = field(default_factory=dict)
    _described: dict[Subject, metadata.Described] = field(default_factory=dict)
    _launched: dict[Subject, launch.Launched] = field(default_factory=dict)
    _probed: dict[str, dict[Subject, probes.Answer]] = field(default_factory=dict)
    _opened: Opened = field(default_factory=Opened)

    def check_all(self) -> tuple[Check, ...]:
        """Run every check. What was seen of the original is remembered for the next time."""
        self.notes.clear()
        self.untried.clear()
        checks = [self._check_deploy()]
        if not checks[0].broken:
            checks += [
                self._check_links(),
                *(self._check_probe(probe) for probe in probes.PROBES),
                self._check_imports(),
                *self._check_unimportable(),
                self._check_metadata(),
                self._check_launch(),
                self._check_files(),
            ]
        self._note_changes()
        return tuple(checks)

    def still_broken(self, broken: Sequence[Broken]) -> list[Broken]:
        """List those of ``broken`` that fail now; nothing else is tried."""
        by_check: dict[str, list[Subject]] = {}
        for one in broken:
            by_check.setdefault(one.subject.check, []).append(one.subject)
        found: list[Broken] = []
        if DEPLOY in by_check:
            install(self.after, self.progress)
            found += self._broken_deploy()
        if links.NAME in by_check:
            found += self._broken_links(by_check[links.NAME])
        for probe in probes.PROBES:
            if probe.name in by_check:
                found += self._broken_probe(probe, by_check[probe.name])
        found += self._broken_files(by_check.get(opened.NAME, ()))
        if imports.NAME in by_check:
            few = len(by_check[imports.NAME]) <= ALONE
            seen = self._import("after", by_check[imports.NAME], alone=few)
            found += [
                self._broken_import(one, text)
                for one, now in seen.items()
                if (text := self._lost(one, now))
            ]
        if unimportable.NAME in by_check:
            found += unimportable.still_broken(
                by_check[unimportable.NAME],
                self.after,
                self._cut,
                timeout=self.targets.settings.timeout,
                workers=self.workers,
            )
        if metadata.NAME in by_check:
            found += self._broken_metadata(by_check[metadata.NAME])
        for subject in by_check.get(launch.NAME, ()):
            found += self._broken_launch(self._command(subject), subject, retry=False)
        return sorted(found, key=lambda one: one.subject)

    # -- deploy ------------------------------------------------------------------------------------

    def _check_deploy(self) -> Check:
        tried = sum(POSTINSTALL in files for files in self.after.members.values())
        failed = [f"{layer}/{POSTINSTALL} {text}" for layer, text in self.before.failures.items()]
        self._leave_out("install step", failed)
        broken = tuple(self._broken_deploy())
        return made_check(DEPLOY, tried, broken, 0.0)

    def _broken_deploy(self) -> list[Broken]:
        def broken(layer: str, text: str) -> Broken:
            subject = Subject(check=DEPLOY, layer=layer, name=POSTINSTALL)
            return Broken(subject=subject, before=_WORKED, after=text)

        failures = self.after.failures.items()
        return [broken(*one) for one in failures if one[0] not in self.before.failures]

    # -- links -------------------------------------------------------------------------------------

    @cached_property
    def _loader(self) -> Path | None:
        return links.find_loader(self.before)

    def _check_links(self) -> Check:
        started = time.monotonic()
        if self._loader is None:
            self.untried.append("this host has no dynamic linker to ask")
            return Check(
                name="ld.so",
                tried=0,
                note="no dynamic linker of this host to ask; resolved statically only",
            )
        subjects = links.subjects(self.targets.inventory)
        first = not self._linked
        self.progress.stage("Asking the dynamic linker", total=len(subjects) * (1 + first))
        if first:
            self._linked = links.observe(
                self.before,
                self._loader,
                subjects,
                workers=self.workers,
                advance=self.progress.advance,
            )
        broken = self._broken_links(subjects)
        tried = sum(
            place is not None for one in self._linked.values() for place in one.libraries.values()
        )
        return made_check(
            "ld.so", tried, broken, started, f"libraries of {len(self._linked)} files"
        )

    def _broken_links(self, subjects: Sequence[Subject]) -> list[Broken]:
        assert self._loader is not None
        now = links.observe(
            self.after, self._loader, subjects, workers=self.workers, advance=self.progress.advance
        )
        found = []
        for subject, after in sorted(now.items()):
            before = self._linked.get(subject)
            texts = list(links.lost(before, after)) if before is not None else []
            if texts:
                found.append(
                    Broken(subject=subject, before=_WORKED, after="; ".join(texts[:SHOWN]))
                )
        return found

    # -- libraries and programs, one by one --------------------------------------------------------

    def _check_probe(self, probe: probes.Probe) -> Check:
        started = time.monotonic()
        subjects = probe.subjects(self.targets.inventory)
        first = probe.name not in self._probed
        self.progress.stage(probe.title, total=len(subjects) * (1 + first), unit="files")
        if first:
            self._probed[probe.name] = probe.observe(
                self.before, subjects, workers=self.workers, advance=self.progress.advance
            )
        answers = self._probed[probe.name]
        worked = [one for one in subjects if answers[one].ok]
        failed = [one.name for one in subjects if answers[one].asked and not answers[one].ok]
        self._leave_out("file", failed, f" by {probe.name}")
        broken = self._broken_probe(probe, worked)
        return made_check(probe.name, len(worked), broken, started, probe.what)

    def _broken_probe(self, probe: probes.Probe, subjects: Sequence[Subject]) -> list[Broken]:
        answers, both = self._probed[probe.name], (self.before, self.after)
        texts = probes.find_lost(
            probe, answers, both, subjects, workers=self.workers, advance=self.progress.advance
        )
        return [Broken(subject=one, before=_WORKED, after=text) for one, text in texts]

    # -- files that programs opened ----------------------------------------------------------------

    def _check_files(self) -> Check:
        if self._opened.gap:
            self.untried.append(f"not every file that programs opened is known: {self._opened.gap}")
        keys = self._opened.data_files(self.before)
        subjects = [Subject(check=opened.NAME, layer=layer, name=path) for layer, path in keys]
        what = "files that programs opened in the original, Python's own left out"
        return made_check(opened.NAME, len(keys), self._broken_files(subjects), 0.0, what)

    def _broken_files(self, subjects: Sequence[Subject]) -> list[Broken]:
        return [
            Broken(subject=one, before="opened", after="isn't there")
            for one in subjects
            if not self.after.place((one.layer, one.name)).exists()
        ]

    # -- imports -----------------------------------------------------------------------------------

    def _check_imports(self) -> Check:
        started = time.monotonic()
        first = not self._imported
        # A module that was to go at first and came back with something else was never tried in the
        # original.
        known = (one for one in sorted(self.targets.modules) if first or one in self._imported)
        subjects = [one for one in known if not self._forgiven(one)]
        gone = len(self.targets.modules) - len(subjects)
        wanted = {"before": self.before, "after": self.after} if first else {"after": self.after}
        self.progress.stage("Importing modules", total=len(subjects) * len(wanted), unit="modules")
        tried = [one for one in subjects if first or self._imported[one].ok]
        with self._opened.observe(self.before.root) if first else contextlib.nullcontext():
            seen = imports.observe(
                wanted,
                tried,
                timeout=self.targets.settings.timeout,
                workers=self.workers,
                advance=self.progress.advance,
            )
        if first:
            self._imported = seen["before"]
            fatal = [subject for subject, one in self._imported.items() if one.fatal]
            again = self._import("before", fatal, alone=True)
            self._imported.update({subject: one for subject, one in again.items() if one.ok})
        after = seen["after"]
        suspects = [subject for subject in tried if self._lost(subject, after[subject])]
        broken, unsure = self._confirm(suspects)
        worked = sum(self._imported[one].ok for one in subjects)
        self._note_imports(subjects, after)
        failed = [one.name for one in subjects if not self._imported[one].ok]
        self._leave_out("module", failed)
        note = f"of {len(subjects)} modules these could be imported in the original"
        if gone:
            note += f"; {gone} more were removed on purpose"
        if unsure:
            note += f"; {unsure} depend on what was imported before them"
        return made_check(imports.NAME, worked, broken, started, note)

    def _forgiven(self, subject: Subject) -> bool:
        """Return whether a module may be missing.

        It may if every file of it was removed on purpose, or if the user lists it.
        """
        if imports.may_go(subject.name, self.targets.settings.without):
            return True
        keys = self.targets.modules[subject]
        return all(not self._is_there(key) and self.given_up(key) for key in keys)

    def _is_there(self, key: FileKey) -> bool:
        return key[1] in self.after.members[key[0]]

    def _import(
        self, which: str, subjects: Sequence[Subject], *, alone: bool
    ) -> dict[Subject, Imported]:
        if not subjects:
            return {}
        deployment = self.before if which == "before" else self.after
        timeout = self.targets.settings.timeout
        return imports.observe(
            {which: deployment}, subjects, timeout=timeout, workers=self.workers, alone=alone
        )[which]

    def _confirm(self, suspects: Sequence[Subject]) -> tuple[list[Broken], int]:
        """Try again, each alone, what failed together with others; return what is broken.

        What fails alone in the original, too, isn't broken: how many these are is returned as well.
        """
        few = len(suspects) <= 5 * ALONE
        again = self._import("after", suspects, alone=few)
        failing = [subject for subject in suspects if self._lost(subject, again[subject])]
        alone_before = self._import("before", failing, alone=True) if few else self._imported
        texts = ((one, imports.lost(alone_before[one], again[one])) for one in failing)
        broken = [self._broken_import(one, text) for one, text in texts if text]
        return broken, len(suspects) - len(broken)

    def _lost(self, subject: Subject, after: Imported) -> str:
        return imports.lost(self._imported[subject], after)

    @staticmethod
    def _broken_import(subject: Subject, text: str) -> Broken:
        return Broken(subject=subject, before=_WORKED, after=text)

    def _note_imports(self, subjects: Sequence[Subject], after: Mapping[Subject, Imported]) -> None:
        ends = [(one, self._imported[one]) for one in subjects if self._imported[one].fatal]
        endings = [f"{one.name}: {seen.text}" for one, seen in ends]
        self._note_some("ended or blocked their process in the original", endings)
        forked = [one.name for one in subjects if self._imported[one].forked]
        self._note_some("started a process when imported, which was ended", forked)
        wrote = [one.name for one, seen in after.items() if seen.written]
        self._note_some("wrote into the stack when imported, which was undone", wrote)

    def _leave_out(self, noun: str, names: Sequence[str], how: str = "") -> None:
        if names:
            verb, they = ("wasn't", "it") if len(names) == 1 else ("weren't", "they")
            what = f"{count(len(names), noun)} {verb} tried{how}: {they} failed in the original"
            self.untried.append(some(what, names))

    def _note_some(self, what: str, names: Sequence[str]) -> None:
        if names:
            self.notes.append(some(f"{count(len(names), 'module')} {what}", names))

    def _check_unimportable(self) -> Iterator[Check]:
        """Yield the check of modules that were cut, unless none are."""
        wanted = sorted(one for one in self.targets.cut if self._is_cut(one))
        if wanted:
            self.progress.stage("Importing what was cut", total=len(wanted), unit="modules")
            yield unimportable.check(
                wanted,
                self.before,
                self._imported,
                self._cut,
                timeout=self.targets.settings.timeout,
                workers=self.workers,
                advance=self.progress.advance,
            )

    def _is_cut(self, subject: Subject) -> bool:
        """Return whether a module is still cut: cuts of what could be imported are taken back."""
        known = self._cut.get(subject)
        return known is None or not known.ok

    # -- metadata ----------------------------------------------------------------------------------

    def _check_metadata(self) -> Check:
        started = time.monotonic()
        subjects = metadata.subjects(self.targets.stack)
        self.progress.stage("Asking for distributions", total=2 * len(subjects), unit="layers")
        if not self._described:
            self._described = metadata.observe(
                self.before, subjects, workers=self.workers, advance=self.progress.advance
            )
        broken = self._broken_metadata(subjects)
        facts = sum(len(one.facts) for one in self._described.values())
        rows = sum(one.rows for one in self._described.values())
        return made_check(
            metadata.NAME,
            facts,
            broken,
            started,
            f"versions and entry points; {rows} rows of RECORD",
        )

    def _broken_metadata(self, subjects: Sequence[Subject]) -> list[Broken]:
        now = metadata.observe(
            self.after, subjects, workers=self.workers, advance=self.progress.advance
        )
        found = []
        for subject, after in now.items():
            was = self._described[subject]
            signed = self.targets.signed.get(subject.layer, frozenset())
            texts = list(metadata.lost(was, after, self.targets.dropped, signed))
            if texts:
                found.append(
                    Broken(subject=subject, before=_WORKED, after="; ".join(texts[:SHOWN]))
                )
        return found

    # -- launch ------------------------------------------------------------------------------------

    def _check_launch(self) -> Check:
        started = time.monotonic()
        commands = self.targets.settings.commands
        self.untried += launch.untried(commands, self.targets.stack)
        if not commands:
            apps = any(layer.kind is LayerKind.APPLICATION for layer in self.targets.stack)
            note = "no [[verify.command]] in the configuration" if apps else ""
            return Check(name=launch.NAME, tried=0, note=note)
        self.progress.stage("Running commands", total=len(commands), unit="commands")
        broken: list[Broken] = []
        for command, subject in zip(
            commands, launch.subjects(commands, self.targets.stack), strict=True
        ):
            broken += self._broken_launch(command, subject, retry=True)
            self.progress.advance()
        return made_check(launch.NAME, len(commands), broken, started)

    def _command(self, subject: Subject) -> Command:
        return next(one for one in self.targets.settings.commands if one.name == subject.name)

    def _broken_launch(
        self, command: Command, subject: Subject, *, retry: bool
    ) -> Iterator[Broken]:
        before = self._launched.get(subject)
        if before is None:
            with self._opened.observe(self.before.root):
                before = self._launched[subject] = launch.observe(self.before, command)
        wrong = list(launch.wrong(command, before))
        if wrong:
            text = f"the original fails already: {'; '.join(wrong)}"
            yield Broken(subject=subject, before=wrong[0], after=text, reproducible=False)
            return
        texts: list[str] = []
        for _ in range(1 + retry):
            after = launch.observe(self.after, command)
            texts = list(launch.wrong(command, after)) or list(
                launch.different(command, before, after)
            )
            if not texts:
                return
        if retry:
            differs = list(launch.different(command, before, launch.observe(self.before, command)))
            if differs:
                text = (
                    f"not even the original does the same twice: {differs[0]}; "
                    "name what may differ under ignore"
                )
                yield Broken(subject=subject, before=differs[0], after=text, reproducible=False)
                return
        yield Broken(subject=subject, before=_WORKED, after="; ".join(texts[:SHOWN]))

    # -- what programs did to the deployments ------------------------------------------------------

    def _note_changes(self) -> None:
        self.before.changes()
        changed = [path for path in self.after.changes() if "/__pycache__/" not in path]
        if changed:
            text = "programs changed files of the deployed stack, which was undone"
            self.notes.append(some(text, changed))
