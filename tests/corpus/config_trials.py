"""Configurations and rules that can't be right: every problem at once, each with its key path."""

from __future__ import annotations

from collections.abc import Iterator

from slim.errors import ConfigError
from tests.corpus.scene import COMMANDS, Scene
from tests.corpus.trials import Expected, Trial, everywhere, refusal

NAME = "hostile.toml"

_RULE = """
[[rule]]
id = "own-{n}"
pass = "leftovers"
reason = "a test"
safety = "safe"
remove = ["{glob}"]
[rule.examples]
match = ["lib/x"]
"""


def _rules(*globs: str) -> str:
    return "schema = 1\n" + "".join(
        _RULE.format(n=number, glob=glob) for number, glob in enumerate(globs)
    )


_STARS = "**/b/" * 10 + "c"

_LIMITS = "schema = 1\n[limits]\nmembers = 0\ntotal = '1 parsec'\nratios = 1\n"
_MUCH = _rules("../**", "**/RECORD", _STARS, "{1..100000}").replace(
    "schema = 1", "schema = 1\nprofil = 1\njobs = 0\nkeep = ['/x']"
)
_PLACES = tuple(f"rule[{number}].remove[0]" for number in range(4))

REFUSED: list[tuple[str, str, tuple[str, ...]]] = [
    (
        "unknown key",
        "schema = 1\nprofil = 'safe'\n",
        ("profil: unknown key", "did you mean 'profile'?"),
    ),
    (
        "glob leads out",
        "schema = 1\nkeep = ['../**']\n",
        ("keep[0]", "'..' leads out of the layer"),
    ),
    ("rule leads out", _rules("../**"), ("rule[0].remove[0]", "'..' leads out of the layer")),
    ("rule names RECORD", _rules("**/*.dist-info/RECORD"), ("rule[0].remove[0]", "RECORD")),
    ("rule names a licence", _rules("**/LICENSE*"), ("rule[0].remove[0]", "LICENSE")),
    ("ten globstars", _rules(_STARS), ("rule[0].remove[0]", "more than 3 '**'")),
    ("braces", _rules("{1..100000}"), ("rule[0].remove[0]", "braces")),
    ("many braces", _rules("{a,b}" * 20), ("rule[0].remove[0]", "more than 64 patterns")),
    ("20,000 brackets in a glob", _rules("[" * 20_000), ("rule[0].remove[0]", "20000 characters")),
    ("20,000 nested arrays", "schema = 1\nkeep = " + "[" * 20_000 + "]" * 20_000, (NAME,)),
    ("no TOML", "schema = ", ("not valid TOML",)),
    ("a key twice", "schema = 1\njobs = 1\njobs = 2\n", (NAME, "line 3")),
    ("5,000 digits", f"schema = 1\njobs = {'1' * 5000}\n", (NAME,)),
    ("no schema", "profile = 'safe'\n", ("schema", "missing")),
    ("a later schema", "schema = 2\n", ("schema",)),
    ("limits", _LIMITS, ("limits.members", "limits.total", "limits.ratios")),
    (
        "everything at once",
        _MUCH,
        ("profil", "jobs", "keep[0]", *_PLACES, "problems in the configuration"),
    ),
]


def config_trials() -> Iterator[Trial]:
    """All of them."""
    for name, text, says in REFUSED:
        yield _trial("configuration", name, text.encode(), _everywhere(*says))
    yield _trial("configuration", "not UTF-8", b"\xff", _everywhere("UTF-8"))
    warned = Expected(0, ("own-0", "matches nothing in this stack"))
    fine = Expected(0)
    idle = {"run": warned, "audit": fine, "check": fine, "diff": fine}
    yield _trial(
        "configuration, accepted",
        "a rule that matches nothing",
        _rules("no/such/*.thing").encode(),
        idle,
    )


def _everywhere(*says: str) -> dict[str, Expected]:
    """Making an update reads no configuration."""
    refused = everywhere(refusal(ConfigError, NAME, *says))
    return {
        name: expected
        for name, expected in refused.items()
        if name not in ("delta", "delta of old")
    }


def _trial(group: str, name: str, text: bytes, expected: dict[str, Expected]) -> Trial:
    def prepare(made: Scene) -> None:
        (made.work / NAME).write_bytes(text)

    return Trial(
        group=group,
        name=name,
        prepare=prepare,
        expected=expected,
        more=dict.fromkeys(COMMANDS, ("--config", NAME)),
    )
