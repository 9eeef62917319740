"""Files that no rule may name.

Without them an installed distribution or layer isn't one any more. The planner protects them
whatever selects them. This check is about rules that *name* one: somebody who writes ``remove =
["**/RECORD"]`` has to be told at once, while ``**/tests/**`` may well pass over a licence.

Sources: PyPA "Recording installed projects", "Entry points specification" and PEP 639 (licence
files).
"""

from __future__ import annotations

from typing import Final

from slim.model.rule import Verb
from slim.rules.glob import GLOBSTAR, Alternative, Glob, component_matches

METADATA_NAMES: Final = (
    "RECORD",
    "METADATA",
    "WHEEL",
    "entry_points.txt",
    "top_level.txt",
    "postinstall.py",
)
"""Names that ``importlib.metadata``, installers and the layer's own post-install step look up."""

_LICENCE_STEMS: Final = ("LICENSE", "LICENCE", "NOTICE", "COPYING", "COPYRIGHT")
_LICENCE_ENDS: Final = ("", ".txt", ".md", ".rst", "-MIT", "_MIT", ".MIT")
LICENCE_NAMES: Final = tuple(stem + end for stem in _LICENCE_STEMS for end in _LICENCE_ENDS)
"""Usual names of licence texts; a pattern such as ``LICENSE*`` matches at least one of them."""

_CODE_ENDS: Final = (".py", ".pyc", ".pyi", ".so", ".pyd")
LICENCE_FOLDERS: Final = ("licenses", "license_files")
LAYER_METADATA: Final = ("share", "venv", "metadata")


def protected_target(glob: Glob, verb: Verb) -> str | None:
    """The protected file that a pattern names, or None.

    A broad last component (``**``, ``*``, ``*.txt``) names nothing. METADATA may be rewritten, not
    removed.
    """
    for alternative in glob.alternatives:
        found = _named(alternative)
        if found is not None and not (verb is Verb.REWRITE and found == "METADATA"):
            return found
    return None


def _named(alternative: Alternative) -> str | None:
    components = alternative.components
    if (
        alternative.macro is None
        and components[:1] == ("share",)
        and _reaches_layer_metadata(components)
    ):
        return "/".join(LAYER_METADATA)
    last = components[-1]
    folder = components[-2] if len(components) > 1 else ""
    if _is_broad(last):
        if folder.lower().endswith(".dist-info") and last in ("*", GLOBSTAR):
            return "RECORD"
        if _is_broad(folder):
            return None
        return next((name for name in LICENCE_FOLDERS if component_matches(folder, name)), None)
    if last.upper().startswith(_LICENCE_STEMS) and not last.lower().endswith(_CODE_ENDS):
        return last
    return next(
        (name for name in (*METADATA_NAMES, *LICENCE_NAMES) if component_matches(last, name)), None
    )


def _is_broad(component: str) -> bool:
    """True if a component says nothing about a name but its extension."""
    stem = component.partition(".")[0]
    return not stem.strip("*?")


def _reaches_layer_metadata(components: tuple[str, ...]) -> bool:
    for wanted, component in zip(LAYER_METADATA, components, strict=False):
        if component == GLOBSTAR:
            return component is components[-1]
        if not component_matches(component, wanted):
            return False
    return len(components) > len(LAYER_METADATA)
