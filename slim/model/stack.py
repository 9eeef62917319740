"""A stack and its layers, as venvstacks publishes them.

Source: the venvstacks documentation ("Environment stack specification" and "Layer archive
metadata").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class StackKind(StrEnum):
    """Shapes of a stack that slim reads."""

    PUBLISHED = "published"
    EXPORT = "local-export"
    BUILD = "build"
    ARCHIVE = "archive"
    FOLDER = "folder"


class LayerKind(StrEnum):
    """A layer's place in its stack.

    ``PLAIN`` is a tree of unknown origin: a venv, an unpacked application.
    """

    RUNTIME = "runtime"
    FRAMEWORK = "framework"
    APPLICATION = "application"
    PLAIN = "plain"


class System(StrEnum):
    """Operating system a layer is built for."""

    LINUX = "linux"
    MACOS = "macos"
    WINDOWS = "windows"
    UNKNOWN = "unknown"


_MACHINES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
_SYSTEMS = {"linux": System.LINUX, "macosx": System.MACOS, "win": System.WINDOWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """``target_platform`` taken apart.

    ``machine`` is normalised: ``arm64`` and ``aarch64`` are one.
    """

    tag: str
    """The tag as it was written."""
    system: System
    """Operating system."""
    machine: str

    @classmethod
    def parse(cls, tag: str) -> Platform:
        """Take apart a tag such as ``linux_x86_64``, ``macosx_arm64`` or ``win_amd64``.

        A system that isn't known is :attr:`System.UNKNOWN`.
        """
        prefix, _, machine = tag.partition("_")
        return cls(
            tag=tag,
            system=_SYSTEMS.get(prefix, System.UNKNOWN),
            machine=_MACHINES.get(machine, machine),
        )

    @property
    def folds_names(self) -> bool:
        """True if two names that differ only by case or normalisation are one file there."""
        return self.system in (System.MACOS, System.WINDOWS)


UNKNOWN_PLATFORM = Platform(tag="unknown", system=System.UNKNOWN, machine="unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveInfo:
    """The archive that a layer came from. ``size`` in bytes, ``sha256`` in hexadecimal."""

    name: str
    """File name."""
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer.

    ``name`` is the install target: the folder that the layer is unpacked to, and its key everywhere
    in slim. ``requires`` names every layer below, nearest first, the runtime last. Folders are
    relative to the layer, with ``/``; those in ``dynlib_dirs`` are *deployed* paths
    (``framework-mlx/share/venv/dynlib``), in search order.
    """

    name: str
    layer_name: str
    """Name without a version, by which manifests refer to it."""
    kind: LayerKind
    """Place in the stack."""
    platform: Platform
    """Platform that it is built for."""
    requires: tuple[str, ...] = ()
    python_version: str | None = None
    """Version of the layer's CPython, None where it isn't known."""
    site_dirs: tuple[str, ...] = ()
    """Folders of installed packages."""
    stdlib_dir: str | None = None
    """Folder of the standard library, None for layers without one."""
    launch_module: str | None = None
    """Module that an application is started with, if any."""
    dynlib_dirs: tuple[str, ...] = ()
    archive: ArchiveInfo | None = None
    """The archive that it came from, None for a folder."""
    entry: Mapping[str, object] = field(default_factory=dict)
    """The layer's entry in the manifest as read; empty without a manifest."""

    @property
    def cache_tag(self) -> str | None:
        """Cache tag of the layer's CPython (PEP 3147), such as ``cpython-313``.

        That is its ``sys.implementation.cache_tag``.
        """
        if self.python_version is None:
            return None
        major, minor, *_ = self.python_version.split(".")
        return f"cpython-{major}{minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleArchive:
    """An archive in the published folder that no manifest names. ``size`` in bytes."""

    name: str
    """File name."""
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Layers in dependency order: what a layer requires comes before it.

    ``manifest`` is the whole manifest as read, unknown keys and all; ``manifest_name`` its file
    name inside ``__venvstacks__``, and ``metadata_names`` the file in ``env_metadata`` that repeats
    each layer's entry.
    """

    kind: StackKind
    """Shape in which it was found."""
    source: str
    """Path that it was read from."""
    platform: Platform
    """Platform that it is built for."""
    layers: tuple[Layer, ...]
    """Its layers."""
    manifest_name: str | None = None
    manifest: Mapping[str, object] = field(default_factory=dict)
    metadata_names: Mapping[str, str] = field(default_factory=dict)
    stale: tuple[StaleArchive, ...] = ()
    """Archives beside it that no manifest names."""

    def layer(self, name: str) -> Layer:
        """Return the layer with that install target; :class:`KeyError` where there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def share_process(self, name: str, other: str) -> bool:
        """Return whether two layers can share a process: those of two runtimes never do.

        Raises KeyError where there is no such layer.
        """
        ours, theirs = self._runtimes_of(name), self._runtimes_of(other)
        return not ours or not theirs or bool(ours & theirs)

    def _runtimes_of(self, name: str) -> frozenset[str]:
        """The runtimes that a layer runs on; none where that isn't known."""
        below = {name, *self.layer(name).requires}
        return frozenset(
            layer.name
            for layer in self.layers
            if layer.kind is LayerKind.RUNTIME and layer.name in below
        )

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)
