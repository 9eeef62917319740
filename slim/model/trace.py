"""Traces: modules and files that a product used in runs, by layer, owner and version.

They have no times, no absolute paths and no contents, so that they are the same wherever they are
recorded, and can lie in git.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from slim.model.record import Owner
from slim.model.stack import Layer, Platform
from slim.model.verify import Command

INSTALL_RUN = "(install)"
"""Name of the run of a stack's post-install steps."""

Runs = frozenset[str]
"""Names of runs. Never empty in a trace."""


class RunKind(StrEnum):
    """Kinds of runs: the install step, a use of the product, the log of a canary."""

    INSTALL = "install"
    USE = "use"
    CANARY = "canary"


class Witness(StrEnum):
    """Witnesses of a run.

    ``RECORDER``: audit events of the stack's own Python. ``TIMES``: access times of every file,
    which tell what native code read. ``CANARY``: a stack's guard, which tells only what a run of
    slim would have removed.
    """

    RECORDER = "recorder"
    TIMES = "times"
    CANARY = "canary"


Witnesses = frozenset[Witness]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRun:
    """One run, which may have been recorded on several platforms.

    ``witnesses`` are those of each platform, by the platform's key; a witness counts if every
    recording of the run on that platform had it.
    """

    name: str
    """Name of the command, unique in a trace."""
    kind: RunKind
    """Kind of run."""
    witnesses: Mapping[str, Witnesses]


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """Uses of one distribution, of the runtime, or of files without an owner, in one layer.

    ``modules`` are dotted names (:class:`~slim.analysis.imports.modules.ModuleIndex` has the same),
    with the runs that imported them; they hold on every platform. ``read`` are files that Python
    code opened as data (sources among them), ``folders`` those that it listed. ``natives`` are
    files of any kind that native code opened, by (platform key, path): libraries, programs, data.
    Paths are relative to the layer's site folder, as RECORD writes them: see :func:`traced_path`.
    """

    modules: Mapping[str, Runs] = field(default_factory=dict)
    read: Mapping[str, Runs] = field(default_factory=dict)
    folders: Mapping[str, Runs] = field(default_factory=dict)
    natives: Mapping[tuple[str, str], Runs] = field(default_factory=dict)

    def natives_on(self, platform: str) -> Mapping[str, Runs]:
        """Files that native code opened on one platform, by path."""
        return {path: runs for (there, path), runs in self.natives.items() if there == platform}


Places = Mapping[str, Mapping[str, Runs]]
"""By ``module:line``, the modules that were imported there, with their runs."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Facts of one or more recordings of a product.

    ``uses`` has every distribution that the traced layers held, also those of which nothing was
    used, by the layer's key (:func:`layer_key`) and the owner with its version. ``families`` are
    computed imports, by the constant start of the names that they import (``mlx_lm.models.``),
    then by the place in the code that computes them.
    """

    runs: Mapping[str, TracedRun] = field(default_factory=dict)
    """Every run by name."""
    uses: Mapping[tuple[str, Owner], Uses] = field(default_factory=dict)
    families: Mapping[str, Places] = field(default_factory=dict)

    @property
    def platforms(self) -> frozenset[str]:
        """Keys of the platforms that runs were recorded on."""
        return frozenset(there for run in self.runs.values() for there in run.witnesses)

    def installed_on(self) -> frozenset[str]:
        """Keys of the platforms on which the install step was recorded."""
        return frozenset(
            there
            for run in self.runs.values()
            if run.kind is RunKind.INSTALL
            for there in run.witnesses
        )

    def natives_known(self, platform: str) -> bool:
        """Return whether all that native code read on a platform is in the trace.

        That is so if every run there had access times as a witness, the install step was one of
        them, and there was another. Logs of canaries only add to a trace.
        """
        there = [
            run
            for run in self.runs.values()
            if platform in run.witnesses and run.kind is not RunKind.CANARY
        ]
        kinds = {run.kind for run in there}
        return {RunKind.INSTALL, RunKind.USE} <= kinds and all(
            Witness.TIMES in run.witnesses[platform] for run in there
        )

    def of(self, layer: str, owner: Owner) -> Uses | None:
        """Uses of an owner's files in a layer; None for a version that was never traced."""
        return self.uses.get((layer, owner))

    def members(self, prefix: str) -> Mapping[str, Runs]:
        """Return the members of a family that runs used, whatever place imported them."""
        found: dict[str, Runs] = {}
        for modules in self.families.get(prefix, {}).values():
            for module, runs in modules.items():
                found[module] = found.get(module, frozenset()) | runs
        return found

    def all_uses(self) -> Iterator[tuple[str, Owner, Uses]]:
        """Every owner with its layer and uses, sorted."""
        for (layer, owner), uses in sorted(self.uses.items(), key=lambda pair: pair[0]):
            yield layer, owner, uses


def layer_key(layer: Layer) -> str:
    """Return what a trace calls a layer: its install target without the version of the lock."""
    return layer.name.partition("@")[0]


def platform_key(platform: Platform) -> str:
    """Return what a trace calls a platform, whatever its tag: ``macos_aarch64``."""
    return f"{platform.system.value}_{platform.machine}"


def traced_path(layer: Layer, path: str) -> str:
    """Return what a trace calls a path of a layer: relative to its first site folder."""
    return posixpath.relpath(path, layer.site_dirs[0]) if layer.site_dirs else path


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Outcome of recording: a trace, what it is of, and remarks for people."""

    trace: Trace
    """The trace."""
    source: str
    """Path of the stack."""
    notes: tuple[str, ...] = ()
    """What the witnesses couldn't tell here, one sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSettings:
    """The ``[trace]`` table.

    ``commands`` are recorded beside those of ``[verify]``. ``runs`` names runs that are recorded
    elsewhere, at a desk or in a beta. ``unexercised`` are globs over modules whose computed imports
    no run needs to exercise (``huggingface_hub.*``).
    """

    commands: tuple[Command, ...] = ()
    runs: tuple[str, ...] = ()
    unexercised: tuple[str, ...] = ()
