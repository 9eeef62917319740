"""The passes that remove exactly what their rules select: tests, build leftovers and the like.

Each is one line of the table below. What has to be computed (libraries, bytecode, symbols) has a
module of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slim.model.finding import Evidence, Finding
from slim.model.record import FileRecord
from slim.model.rule import PassSchema, Rule, Verb
from slim.passes.base import Context


@dataclass(frozen=True, slots=True)
class SelectPass:
    """A pass that proposes to remove every file that one of its rules selects.

    The strongest of those rules comes first: it is named as the cause, unless it is refused.
    """

    schema: PassSchema

    def concerns(self, record: FileRecord) -> bool:
        """True: rules of these passes have globs, which say it all."""
        return True

    def propose(self, context: Context) -> Iterator[Finding]:
        """Propose to remove each file that a rule selects."""
        evidence: dict[str, Evidence] = {}
        for record, rules in context.selected(self.schema.name):
            for rule in rules:
                if rule.id not in evidence:
                    evidence[rule.id] = selected_by(rule)
                yield Finding(key=record.key, rule=rule.id, evidence=(evidence[rule.id],))


def selected_by(rule: Rule) -> Evidence:
    """Return the evidence that a rule's own globs are, with the rule's source."""
    about = f" of {rule.package}" if rule.package else ""
    source = f"; {rule.source}" if rule.source else ""
    return Evidence(
        kind="glob", text=f"selected{about} by {', '.join(rule.globs[:3]) or 'its owner'}{source}"
    )


def _select(name: str, summary: str) -> SelectPass:
    return SelectPass(PassSchema(name=name, summary=summary, verb=Verb.REMOVE))


TESTS = _select("tests", "test suites: directories called tests and the safe name patterns")
LEFTOVERS = _select(
    "leftovers",
    "what only a compiler reads: headers, static libraries, stubs, Cython and C sources",
)
RUNTIME = _select("runtime", "parts of CPython that a deployed application doesn't use")
DOCS = _select("docs", "documentation, manual pages, examples and sample data")
METADATA = _select(
    "metadata", "files beside a distribution's metadata that nothing reads at run time"
)
