"""Globs over paths that are relative to a layer, compiled so that no pattern can blow up.

Syntax (``/`` separates components on every platform, and matching covers the whole path):

=============  =================================================================================
``**``         as a whole component: any number of folders, none included; at the end: all below
``*`` ``?``    any characters, one character; never ``/``
``[a-z]``      one character out of a set, ``[!a-z]`` one outside of it; never ``/``. ``[*]`` is
               a literal star
``{a,b}``      either; not nested, at most :data:`MAX_EXPANSIONS` patterns come out
``dir/``       the same as ``dir/**``
``$site`` ...  at the very start: a folder of the layer, see :data:`MACROS`
=============  =================================================================================

It is fast whatever the pattern: every component has one extent in a path, a star inside a
component takes the leftmost continuation and never gives it back (the trick of
:func:`fnmatch.translate`), and so does ``**`` with the components that follow it. What is left is
linear in the path for each star, and stars are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from slim.model.stack import Layer, System

MAX_LENGTH: Final = 512
"""Characters in a pattern as written."""
MAX_EXPANSIONS: Final = 64
"""Patterns that the braces of one pattern may expand to."""
MAX_GLOBSTARS: Final = 3
"""``**`` in one expanded pattern."""
MAX_STARS: Final = 8
"""Single stars in one expanded pattern."""

MACROS: Final = {
    "$site": "each site-packages folder of the layer",
    "$package": "the same as $site; for rules about one package",
    "$stdlib": "the standard library's folder (runtime layers)",
    "$bin": "bin, or Scripts on Windows",
}

GLOBSTAR: Final = "**"


class GlobError(ValueError):
    """A pattern is malformed or too expensive.

    The text says what is wrong, without repeating the pattern. Internal: rule and configuration
    loaders turn it into a :class:`~slim.errors.Problem` with a key path.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One pattern after brace expansion: its macro (or None), and its non-empty components."""

    macro: str | None
    components: tuple[str, ...]

    @property
    def regex(self) -> str:
        """Source of a regular expression for what follows the macro, anchored at the end."""
        return _path_regex(self.components)

    @property
    def token(self) -> str | None:
        """Something that every matching path has: a whole component, or an extension with its dot.

        None where the pattern promises nothing. Serves as a cheap filter before the regular
        expression.
        """
        return _token(self.components)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A compiled pattern. Its macros are filled in for each layer by :meth:`regexes`."""

    pattern: str
    alternatives: tuple[Alternative, ...]

    def regexes(self, layer: Layer) -> Iterator[str]:
        """Regular expressions over whole layer-relative paths.

        None where no macro has a value for the layer.
        """
        for alternative in self.alternatives:
            if alternative.macro is None:
                yield alternative.regex
                continue
            for folder in macro_values(alternative.macro, layer):
                yield (re.escape(folder) + "/" if folder else "") + alternative.regex

    def compile(self, layer: Layer) -> re.Pattern[str] | None:
        """One regular expression for a layer, or None where the pattern can match nothing there."""
        return compile_globs((self,), layer)

    def matches(self, path: str, layer: Layer) -> bool:
        """True if a layer-relative path matches.

        For one-off questions; loops should keep :meth:`compile`.
        """
        regex = self.compile(layer)
        return regex is not None and regex.match(path) is not None


def macro_values(macro: str, layer: Layer) -> tuple[str, ...]:
    """The folders that a macro stands for in a layer, relative to it.

    ``""`` is the layer's own folder.
    """
    match macro:
        case "$site" | "$package":
            values: tuple[str, ...] = layer.site_dirs
        case "$stdlib":
            values = () if layer.stdlib_dir is None else (layer.stdlib_dir,)
        case "$bin":
            by_system = {System.WINDOWS: ("Scripts",), System.UNKNOWN: ("bin", "Scripts")}
            values = by_system.get(layer.platform.system, ("bin",))
        case _:
            raise KeyError(macro)
    return tuple("" if value == "." else value.rstrip("/") for value in values)


def folds_case(layer: Layer) -> bool:
    """True if globs disregard case in a layer: Windows compares names so."""
    return layer.platform.system is System.WINDOWS


def compile_globs(globs: Iterable[Glob], layer: Layer) -> re.Pattern[str] | None:
    """One regular expression for many patterns in a layer, or None where nothing can match there.

    Case folds in ASCII only: enough for the names that packages use, and it keeps the cheap filter
    by :attr:`Alternative.token` exact.
    """
    flags = re.DOTALL | (re.IGNORECASE | re.ASCII if folds_case(layer) else re.NOFLAG)
    distinct = dict.fromkeys(regex for glob in globs for regex in glob.regexes(layer))
    return _regex("|".join(distinct), flags) if distinct else None


@lru_cache(maxsize=4096)
def _regex(source: str, flags: re.RegexFlag) -> re.Pattern[str]:
    """Compile, once in a process: the rules of one layer are more than ``re`` remembers."""
    return re.compile(source, flags)


@lru_cache(maxsize=4096)
def compile_glob(pattern: str) -> Glob:
    """Parse a pattern.

    Raises :class:`GlobError` if it is malformed, unbounded, absolute or leads outside.
    """
    if not pattern:
        raise GlobError("the pattern is empty")
    if len(pattern) > MAX_LENGTH:
        raise GlobError(f"the pattern has {len(pattern)} characters, more than {MAX_LENGTH}")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in pattern):
        raise GlobError("the pattern contains a control character")
    if "\\" in pattern:
        raise GlobError("a backslash neither separates folders nor escapes: write '/' or '[*]'")
    expanded = dict.fromkeys(_expand(pattern))
    return Glob(pattern=pattern, alternatives=tuple(_parse(text) for text in expanded))


def _expand(pattern: str) -> list[str]:
    """Expand braces, from left to right. Sets are skipped, so ``[{]`` is a literal brace."""
    texts = [""]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "[":
            end = _set_end(pattern, position)
            choices, position = [pattern[position:end]], end
        elif character == "{":
            end = pattern.find("}", position)
            body = pattern[position + 1 : end]
            if end < 0:
                raise GlobError("'{' without '}'")
            if "{" in body or "[" in body:
                raise GlobError("braces can't hold braces or sets")
            choices, position = body.split(","), end + 1
            if len(choices) < 2:
                raise GlobError(
                    "braces need at least two choices separated by a comma; ranges aren't supported"
                )
        elif character == "}":
            raise GlobError("'}' without '{'")
        else:
            choices, position = [character], position + 1
        if len(texts) * len(choices) > MAX_EXPANSIONS:
            raise GlobError(f"the braces expand to more than {MAX_EXPANSIONS} patterns")
        texts = [text + choice for text in texts for choice in choices]
    return texts


def _set_end(text: str, start: int) -> int:
    """Index behind the ``]`` of the set that starts at ``start``.

    A ``]`` right after the opening is a member.
    """
    first = start + 2 if text.startswith("[!", start) else start + 1
    end = text.find("]", first + 1)
    if end < 0:
        raise GlobError("'[' without ']'")
    members = text[first:end]
    if "[" in members or "/" in members:
        raise GlobError("a set can't hold '[' or '/'")
    return end + 1


def _parse(text: str) -> Alternative:
    macro = None
    if text.startswith("$"):
        macro, _, text = text.partition("/")
        if macro not in MACROS:
            raise GlobError(f"unknown macro {macro[:40]!r}; there are {', '.join(sorted(MACROS))}")
        if not text:
            raise GlobError(f"{macro} alone names a folder: write what is in it")
    if text.startswith("/") or re.match(r"[A-Za-z]:", text):
        raise GlobError("the pattern is absolute; it must be relative to the layer's folder")
    if text.endswith("/"):
        text += GLOBSTAR
    components = tuple(text.split("/"))
    for component in components:
        if component in ("", "."):
            raise GlobError("the pattern has an empty component or a '.'")
        if component == "..":
            raise GlobError("'..' leads out of the layer")
        if GLOBSTAR in component and component != GLOBSTAR:
            raise GlobError("'**' must be a whole component")
        _component_regex(component)
    if (GLOBSTAR, GLOBSTAR) in pairwise(components):
        raise GlobError("'**/**' is the same as '**'")
    if components.count(GLOBSTAR) > MAX_GLOBSTARS:
        raise GlobError(f"more than {MAX_GLOBSTARS} '**'")
    if sum(component.count("*") for component in components if component != GLOBSTAR) > MAX_STARS:
        raise GlobError(f"more than {MAX_STARS} '*'")
    return Alternative(macro=macro, components=components)


def _is_literal(component: str) -> bool:
    return not any(character in component for character in "*?[")


def component_matches(component: str, name: str) -> bool:
    """True if one component of a pattern matches one name, without regard to case."""
    return _component_pattern(component).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _component_pattern(component: str) -> re.Pattern[str]:
    regex = "[^/]+" if component == GLOBSTAR else _component_regex(component)
    return re.compile(regex, re.DOTALL | re.IGNORECASE)


@lru_cache(maxsize=4096)
def _component_regex(component: str) -> str:
    """One component other than ``**``; to be followed by ``/`` or the end of the path."""
    parts: list[str] = [""]
    position = 0
    while position < len(component):
        character = component[position]
        if character == "*":
            parts.append("")
            position += 1
        elif character == "?":
            parts[-1] += "[^/]"
            position += 1
        elif character == "[":
            end = _set_end(component, position)
            parts[-1] += _set_regex(component[position + 1 : end - 1])
            position = end
        else:
            parts[-1] += re.escape(character)
            position += 1
    if len(parts) == 1:
        return parts[0]
    first, *middle, last = parts
    return (
        first
        + "".join(f"(?>[^/]*?{part})" for part in middle if part)
        + ("[^/]*" + last if last else "[^/]*+")
    )


def _set_regex(body: str) -> str:
    """A set, without its brackets. Ranges run in code point order and never reach ``/``."""
    negated = body.startswith("!")
    members = body[1:] if negated else body
    items: list[str] = []
    position = 0
    while position < len(members):
        first = members[position]
        if members[position + 1 : position + 2] == "-" and position + 2 < len(members):
            last = members[position + 2]
            if last < first:
                raise GlobError(f"the range {first}-{last} runs backwards")
            items.append(f"{re.escape(first)}-{re.escape(last)}")
            position += 3
        else:
            items.append(re.escape(first))
            position += 1
    return f"(?!/)[{'^' if negated else ''}{''.join(items)}]"


@lru_cache(maxsize=4096)
def _token(components: tuple[str, ...]) -> str | None:
    """See :attr:`Alternative.token`."""
    *folders, last = components
    if last != GLOBSTAR:
        if _is_literal(last):
            return last
        tail = re.split(r"[*?\]]", last)[-1]
        if "." in tail and "[" not in tail:
            return "." + tail.rpartition(".")[2]
    return max((name for name in folders if _is_literal(name)), key=len, default=None)


@lru_cache(maxsize=4096)
def _path_regex(components: tuple[str, ...]) -> str:
    groups: list[list[str]] = [[]]
    for component in components:
        if component == GLOBSTAR:
            groups.append([])
        else:
            groups[-1].append(_component_regex(component))
    if len(groups) == 1:
        return "/".join(groups[0]) + r"\Z"
    first, *middle, last = groups
    anywhere = "(?:[^/]++/)"
    head = "".join(f"{component}/" for component in first)
    inner = "".join(
        f"(?>{anywhere}*?{''.join(f'{component}/' for component in group)})" for group in middle
    )
    tail = f"{anywhere}*" + "/".join(last) if last else ".+"
    return head + inner + tail + r"\Z"
