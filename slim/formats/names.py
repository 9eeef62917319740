"""Names that members may have, on every system and on the system that a layer is meant for.

Sources: POSIX.1-2017 3.170 (file names); Microsoft, "Naming Files, Paths, and Namespaces"; Apple,
"Apple File System Reference" (case and normalisation insensitive names); Unicode Standard Annex 9
(bidirectional controls).
"""

from __future__ import annotations

import unicodedata

from slim.errors import UnsafeInputError
from slim.model.limits import Limits
from slim.model.stack import Platform, System

MAX_COMPONENT = 255
"""Bytes of one path component that every common file system takes (NAME_MAX)."""

# Characters that let a listing show something else than what is there: bidirectional overrides and
# isolates, line and paragraph separators. C0 and C1 controls (newline, escape sequences) are told
# by their category.
_DECEPTIVE = frozenset(
    "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)

_SHOWN = 200
"""Characters of a name that messages show."""

_WINDOWS_FORBIDDEN = frozenset('<>:"|?*\\')
_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{digit}" for device in ("com", "lpt") for digit in "0123456789¹²³"]
)


def display(name: str | bytes) -> str:
    """A name that is safe to print: controls, surrogates and deceptive characters are escaped."""
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if text.isascii() and text.isprintable() and len(text) <= _SHOWN:
        return text  # as nearly all are
    shown = "".join(
        char if char.isprintable() and char not in _DECEPTIVE else ascii(char)[1:-1]
        for char in text
    )
    return shown if len(shown) <= _SHOWN else f"{shown[:120]}...{shown[-60:]}"


def decode(raw: bytes) -> str:
    """Bytes of a name as text; what isn't UTF-8 is kept as surrogate escapes (PEP 383)."""
    return raw.decode("utf-8", "surrogateescape")


def fold(name: str) -> str:
    """The key under which macOS and Windows would find a name.

    That is canonical caseless matching (Unicode 3.13 D145).
    """
    if name.isascii():
        return name.lower()
    normal = unicodedata.normalize("NFD", name)
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", normal).casefold())


def check_text(text: str, *, source: object, member: str, what: str) -> None:
    """Refuse control and deceptive characters in a name or link target."""
    if text.isascii() and text.isprintable():
        return
    for char in text:
        if unicodedata.category(char) == "Cc" or char in _DECEPTIVE:
            raise UnsafeInputError(
                f"{what} contains the character {char!a}",
                file=source,
                place=display(member),
                hint=_RENAME,
            )


def normalise(name: str, *, source: object, limits: Limits) -> str:
    """The one spelling of a member's name, without a leading ``./`` and without a trailing ``/``.

    ``""`` stands for the root (``.`` or ``./``). Raises UnsafeInputError for a name that is
    absolute, contains ``..`` or empty components, or is longer or deeper than the limits.
    """
    place = display(name)
    if not name:
        raise UnsafeInputError("a member has an empty name", file=source, hint=_REBUILD)
    check_text(name, source=source, member=name, what="the name")
    if len(name.encode("utf-8", "surrogateescape")) > limits.name_length:
        raise UnsafeInputError(
            f"the name is longer than {limits.name_length} bytes",
            file=source,
            place=place,
            hint=_REBUILD,
        )
    if name.startswith("/"):
        raise UnsafeInputError(
            "the name is an absolute path", file=source, place=place, hint=_REBUILD
        )
    path = name
    while path.startswith("./"):
        path = path[2:]
    if path in ("", "."):
        return ""
    path = path.removesuffix("/")
    parts = path.split("/")
    if len(parts) > limits.path_depth:
        raise UnsafeInputError(
            f"the name has more than {limits.path_depth} components",
            file=source,
            place=place,
            hint=_REBUILD,
        )
    for part in parts:
        if part == "..":
            raise UnsafeInputError(
                "the name climbs out with '..'", file=source, place=place, hint=_REBUILD
            )
        if part in ("", "."):
            raise UnsafeInputError(
                "the name has an empty or '.' component", file=source, place=place, hint=_REBUILD
            )
        if (
            len(part) > MAX_COMPONENT // 4
            and len(part.encode("utf-8", "surrogateescape")) > MAX_COMPONENT
        ):
            raise UnsafeInputError(
                f"a component of the name is longer than {MAX_COMPONENT} bytes",
                file=source,
                place=place,
                hint=_RENAME,
            )
    return path


def check_platform(path: str, platform: Platform | None, *, source: object) -> None:
    """Refuse a name that can't be created, or means something else, on the layer's own system."""
    if platform is None or not platform.folds_names:
        return
    if any("\udc80" <= char <= "\udcff" for char in path):
        raise UnsafeInputError(
            f"the name isn't UTF-8, which {platform.system} can't store",
            file=source,
            place=display(path),
            hint=_RENAME,
        )
    if platform.system is not System.WINDOWS:
        return
    for part in path.split("/"):
        reason = windows_problem(part)
        if reason:
            raise UnsafeInputError(
                f"{reason} on Windows", file=source, place=display(path), hint=_RENAME
            )


def windows_problem(component: str) -> str | None:
    """Reason why Windows can't take a file name as it is, or None."""
    found = sorted(_WINDOWS_FORBIDDEN.intersection(component))
    if found:
        return f"the name contains {found[0]!r}, which has a meaning of its own"
    if component[-1:] in (".", " "):
        return "the name ends with a dot or space, which is dropped"
    # "aux.py" and "aux .py" open the device as well: only what stands before the first dot counts.
    if component.partition(".")[0].rstrip(" ").lower() in _WINDOWS_DEVICES:
        return f"{display(component)!r} names a device"
    return None


_REBUILD = "build the archive again with a tool that writes plain relative names"
_RENAME = "rename the file in the package that brings it"
