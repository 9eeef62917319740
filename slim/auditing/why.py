"""``--why``: the owner of a file, what requires it, what imports the file, what links it."""

from __future__ import annotations

import posixpath
from functools import cached_property

from slim.analysis.facts import Facts
from slim.auditing.natives import headers_text
from slim.errors import ConfigError
from slim.inventory.owners import source_of
from slim.model.audit import Why, WhyAnswer
from slim.model.finding import Evidence
from slim.model.record import FileRecord, OwnerKind
from slim.passes.packages import Requirements
from slim.rules.glob import GlobError
from slim.rules.match import GlobSet

MOST = 12
"""Files that one answer explains, the largest first."""


class Asker:
    """Answers ``--why`` for one stack; asks the graphs that its plans share."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    @cached_property
    def _requirements(self) -> Requirements:
        return Requirements(self._facts.stack, self._facts.inventory)

    def ask(self, glob: str) -> WhyAnswer:
        """Explain the files that a glob matches.

        It may match a path in a layer, a deployed path, or a name at any depth.

        Raises ConfigError for a malformed glob, and where nothing matches.
        """
        matches = sorted(self._matches(glob), key=lambda record: (-record.size, record.key))
        if not matches:
            raise ConfigError(
                "no file matches",
                file=f"--why {glob}",
                hint="globs are those of rules: '**/numpy/**', '*.so', 'bin/*'",
            )
        return WhyAnswer(
            glob=glob,
            files=len(matches),
            size=sum(record.size for record in matches),
            explained=tuple(self._explain(record) for record in matches[:MOST]),
        )

    def _matches(self, glob: str) -> list[FileRecord]:
        patterns = [glob] if "/" in glob else [glob, f"**/{glob}"]
        try:
            globs = GlobSet(patterns)
        except GlobError as error:
            raise ConfigError(f"{error}", file=f"--why {glob}") from None
        matches = []
        for layer in self._facts.stack:
            pattern = globs.for_layer(layer)
            if pattern is None:
                continue
            for record in self._facts.inventory.records[layer.name].values():
                if pattern.match(record.path) or pattern.match(record.deployed_path):
                    matches.append(record)
        return matches

    def _explain(self, record: FileRecord) -> Why:
        source = self._facts.inventory.get((record.layer, source_of(record.path) or ""))
        return Why(
            record=record,
            native=headers_text(self._facts.read(record)) if record.native else "",
            required_by=self._required(record),
            imported_by=self._facts.imports.importers_of((source or record).key),
            needed_by=self._needed(record),
            linked_by=tuple(
                Evidence(kind="link", text=f"{link.deployed_path} is a link to it")
                for link in self._facts.libraries.links_to(record)
            ),
        )

    def _required(self, record: FileRecord) -> tuple[Evidence, ...]:
        if record.owner.kind is not OwnerKind.DISTRIBUTION:
            return ()
        distribution = self._facts.inventory.distributions.get(record.layer, {}).get(
            record.owner.name
        )
        return () if distribution is None else self._requirements.on(distribution, frozenset())

    def _needed(self, record: FileRecord) -> tuple[Evidence, ...]:
        return tuple(
            Evidence(
                kind="needed",
                text=f"{posixpath.basename(user.path)} of {user.owner.label} links it",
                file=user.deployed_path,
            )
            for user in self._facts.libraries.dependents(record)
        )
