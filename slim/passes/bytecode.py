"""Bytecode that was shipped: variants nobody loads, orphans, and, by policy, all of it.

Where a post-install step compiles every source again, a layer that ships no bytecode is the small
one. That step is known to run for published archives whose ``postinstall.py`` compiles; a folder or
an export may be copied into an application as it is, and would then be compiled at every start.
Where the configuration states no policy, that decides it. Policies, for each layer: ``none`` ships
no bytecode for sources that are there, and so does ``traced`` (what is compiled then is for
:mod:`slim.passes.traced_bytecode`), ``one`` ships just the runtime's own plain variant (or the
optimised ones where there is no plain one), ``keep`` ships what was there but for variants that
this runtime never loads. A sourceless ``.pyc`` outside ``__pycache__`` is code, not a cache, and
always stays.

Source: PEP 3147 (``__pycache__`` and cache tags), PEP 488 (``opt-1``, ``opt-2``).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from slim.analysis.facts import Facts
from slim.model.finding import Evidence, Finding
from slim.model.record import FileRecord
from slim.model.rule import PassSchema, Verb
from slim.model.settings import BytecodePolicy
from slim.model.stack import Layer, StackKind
from slim.passes.base import Context

_CACHED = re.compile(r"(?P<stem>.+?)\.(?P<tag>[a-z]+-?\d+[^.]*)(\.opt-(?P<level>[12]))?\.pyc\Z")

_VERSIONED = re.compile(r"(?:^|/)python(\d\.\d+)t?/")
_POST_INSTALL = "postinstall.py"
_CACHE_FOLDER = "__pycache__/"
_COMPILED_AGAIN = Evidence(
    kind="bytecode", text="compiled again from its source when the layer is installed"
)


class Bytecode:
    """The pass ``bytecode``. Rules name the layers; each layer's policy says how much goes."""

    schema = PassSchema(
        name="bytecode",
        summary="bytecode variants that the runtime never loads, orphans, and by policy every "
        "cache",
        verb=Verb.REMOVE,
        needs_globs=False,
    )

    def concerns(self, record: FileRecord) -> bool:
        """True for what lies in a ``__pycache__``."""
        return posixpath.basename(posixpath.dirname(record.path)) == "__pycache__"

    def propose(self, context: Context) -> Iterator[Finding]:
        """Propose to remove the caches that a layer's policy doesn't ship."""
        for layer in context.stack:
            stated = context.settings(layer.name).bytecode
            policy, tag = stated or usual_policy(layer, context.facts), _tag_of(layer, context)
            for record in context.inventory.records[layer.name].values():
                if _CACHE_FOLDER not in record.path:
                    continue
                why = _why(record, policy, tag, context)
                if why is None:
                    continue
                rules = context.select(self.schema.name, record)
                if rules:
                    yield Finding(key=record.key, rule=rules[0].id, evidence=(why,))


def usual_policy(layer: Layer, facts: Facts) -> BytecodePolicy:
    """Return the policy for a layer where none is stated: ``none`` where it is compiled again."""
    step = facts.inventory.records[layer.name].get(_POST_INSTALL)
    if facts.stack.kind not in (StackKind.PUBLISHED, StackKind.ARCHIVE) or step is None:
        return BytecodePolicy.ONE
    compiles = b"compile" in bytes(facts.read(step))
    return BytecodePolicy.NONE if compiles else BytecodePolicy.ONE


def _why(
    record: FileRecord, policy: BytecodePolicy, tag: str | None, context: Context
) -> Evidence | None:
    """Evidence that a cache file may go under a policy, or None.

    ``tag`` is the cache tag of the interpreter that runs the layer.
    """
    folder, _, name = record.path.rpartition("/")
    if posixpath.basename(folder) != "__pycache__" or not name.endswith((".pyc", ".pyo")):
        return None
    match = _CACHED.match(name)
    if match is None:
        return Evidence(
            kind="bytecode", text="not a name that an import system looks for (PEP 3147)"
        )
    source = f"{folder.rpartition('/')[0]}/{match['stem']}.py".lstrip("/")
    key = (record.layer, source)
    if source not in context.inventory.records[record.layer] or key in context.gone:
        return Evidence(
            kind="bytecode", text="orphan: its source isn't there, so nothing ever loads it"
        )
    level, compiled = match["level"], policy in (BytecodePolicy.NONE, BytecodePolicy.TRACED)
    plain = f"{folder}/{match['stem']}.{match['tag']}.pyc"
    # Where no plain variant was shipped, the product is started with -O.
    one = policy is BytecodePolicy.ONE and plain in context.inventory.records[record.layer]
    if level and (compiled or one):
        return Evidence(
            kind="bytecode",
            text=f"only loaded by an interpreter started with -O (opt-{level})",
        )
    if tag is not None and match["tag"] not in (tag, _tag_of_folder(record.path)):
        return Evidence(
            kind="bytecode", text=f"for {match['tag']}, but the stack's runtime is {tag}"
        )
    if compiled:
        return _COMPILED_AGAIN
    return None


def is_orphan(record: FileRecord, records: Mapping[str, FileRecord]) -> bool:
    """True for a cache file of which the layer has no source."""
    folder, _, name = record.path.rpartition("/")
    stem = name.partition(".")[0]
    return f"{folder.rpartition('/')[0]}/{stem}.py".lstrip("/") not in records


def _tag_of_folder(path: str) -> str | None:
    """Return the cache tag of CPython that the folder of a library tells, such as python3.13."""
    versions = _VERSIONED.findall(path)
    return f"cpython-{versions[-1].replace('.', '')}" if versions else None


def _tag_of(layer: Layer, context: Context) -> str | None:
    """Return the cache tag of the interpreter that runs the layer, or None (PEP 3147)."""
    tags = [layer.cache_tag, *(context.stack.layer(name).cache_tag for name in layer.requires)]
    return next((tag for tag in tags if tag), None)
