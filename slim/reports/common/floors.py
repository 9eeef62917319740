"""Words for the oldest systems that a stack runs on."""

from __future__ import annotations

from slim.model.floor import FloorAsked, Runtime, StackFloor

_NAMES = {Runtime.LIBSTDCXX: "libstdc++ (GLIBCXX)", Runtime.MACOS: "macOS"}
_WINDOWS: dict[tuple[int, ...], str] = {
    (5, 0): "2000",
    (5, 1): "XP",
    (5, 2): "XP x64",
    (6, 0): "Vista",
    (6, 1): "7",
    (6, 2): "8",
    (6, 3): "8.1",
    (10, 0): "10",
}


def version_text(floor: StackFloor) -> str:
    """Return the version with dots; macOS's without a third number that is 0, none for musl."""
    numbers = floor.version
    if floor.runtime is Runtime.MACOS and numbers[2:] == (0,):
        numbers = numbers[:2]
    return ".".join(map(str, numbers))


def needs_text(asked: FloorAsked) -> str:
    """Return what asks for it in a file: ``GLIBC_2.34: dlopen, dlsym``."""
    return ": ".join(filter(None, (asked.needs, ", ".join(asked.symbols))))


def floor_text(floor: StackFloor, *, machine: bool) -> str:
    """Return ``glibc 2.34 or later``, and which ``machine`` that is for if wanted."""
    place = f" on {floor.machine}" if machine else ""
    if floor.runtime is Runtime.WINDOWS:
        name = _WINDOWS.get(floor.version, "")
        number = version_text(floor)
        return f"Windows {f'{name} ({number})' if name else number} or later{place}"
    name = _NAMES.get(floor.runtime, floor.runtime.value)
    return f"{name} {version_text(floor)} or later{place}" if floor.version else f"{name}{place}"
