"""The trial's table, its JSON, the list of what broke, and the rules' evidence."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.field.trial import Broken, GroupTrial, Slimmed
from tests.field.uses import Group

BEGIN = "<!-- the trial's table, written by --write-docs -->"
END = "<!-- its end -->"
HEAD = (
    "distributions",
    "versions",
    "profile",
    "uses",
    "--help",
    "tests",
    "data",
    "saved",
    "broken",
)


def table(trials: Sequence[GroupTrial]) -> str:
    """Return the trial as a Markdown table, a row for each tree and profile, and what broke."""
    rows = [row for trial in trials for row in _rows(trial)]
    lines = [
        "| " + " | ".join(HEAD) + " |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", _totals(trials)]
    failures = [
        (trial, name, text) for trial in trials for name, text in trial.failed_before.items()
    ]
    errors = [trial for trial in trials if trial.error]
    if failures or errors:
        lines += ["", "Not counted, since they fail in the original tree too:", ""]
        lines += dict.fromkeys(f"- `{name}`: `{_short(text)}`" for _, name, text in failures)
        lines += [f"- all of `{trial.group.name}`: `{_short(trial.error)}`" for trial in errors]
    broken = [item for trial in trials for item in trial.broken]
    for title, given_up in (("Broken:", False), ("Given up by promise:", True)):
        items = [item for item in broken if bool(item.given_up) == given_up]
        if items:
            lines += ["", title, ""]
            lines += dict.fromkeys(f"- {_item(item)}" for item in items)
    return "\n".join(lines) + "\n"


def write_page(trials: Sequence[GroupTrial], path: Path) -> None:
    """Put the table into a page of the documentation, between two marks."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{path} lacks the marks {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n\n{table(trials)}\n{END}{after}", encoding="utf-8")


def _item(item: Broken) -> str:
    if item.given_up:
        return f"`{item.use}` ({item.profile}): {item.given_up}"
    removed = f"; removed `{item.file}` by rule `{item.rule}`" if item.file else ""
    return f"`{item.use}` ({item.profile}): `{_short(item.error)}`{removed}"


def _short(text: str) -> str:
    return text.replace("`", "'")[:160]


def _rows(trial: GroupTrial) -> Iterable[tuple[str, ...]]:
    names = sorted({canonicalize_name(Requirement(n).name) for n in trial.group.requirements})
    versions = ", ".join(trial.versions.get(name, "?") for name in names)
    for profile, slimmed in trial.slimmed.items():
        broken = [item for item in trial.broken if item.profile == profile and not item.given_up]
        scripts = [name.endswith(" --help") for name in trial.before]
        after = [name.endswith(" --help") for name in trial.after.get(profile, [])]
        tests = trial.tests.get(profile, {}).values()
        yield (
            ", ".join(names) or "standard library",
            versions or "3.13",
            profile,
            f"{after.count(False)}/{scripts.count(False)}",
            f"{after.count(True)}/{scripts.count(True)}",
            f"{sum(t[1] for t in tests)}/{sum(t[0] for t in tests)}" if tests else "",
            str(trial.data[profile]) if profile in trial.data else "",
            "refused" if slimmed.refused else f"{slimmed.bytes_saved / 1e6:.1f} MB",
            str(len(broken)),
        )  # fmt: skip


def _totals(trials: Sequence[GroupTrial]) -> str:
    uses = sum(1 for t in trials for name in t.before if not name.endswith(" --help"))
    scripts = sum(1 for t in trials for name in t.before if name.endswith(" --help"))
    distributions = {item for t in trials for item in t.versions.items()}
    broken = [item for t in trials for item in t.broken if not item.given_up]
    given_up = {item.use for t in trials for item in t.broken if item.given_up}
    return (
        f"{len(distributions)} distributions in {len(trials)} trees; {uses} uses and {scripts} "
        f"console scripts passed before; {len(broken)} broke, {len(given_up)} given up by promise."
    )


def document(trials: Sequence[GroupTrial]) -> str:
    """Return all outcomes as JSON."""
    found = []
    for trial in trials:
        values = asdict(trial)
        values["group"] = trial.group.name
        for slimmed in values["slimmed"].values():
            slimmed["removed"] = len(slimmed["removed"])
            slimmed["test_files"] = len(slimmed["test_files"])
        found.append(values)
    return json.dumps(found, indent=1) + "\n"


def read_document(path: Path, every: Iterable[Group]) -> list[GroupTrial]:
    """Read outcomes that :func:`document` wrote; trees that are no longer tried are left out."""
    by_name = {group.name: group for group in every}
    found: list[GroupTrial] = []
    for values in json.loads(path.read_text(encoding="utf-8")):
        if values["group"] not in by_name:
            continue
        values["group"] = by_name[values["group"]]
        values["broken"] = [Broken(**item) for item in values["broken"]]
        for slimmed in values["slimmed"].values():
            slimmed.update(removed={}, test_files=[])
        values["slimmed"] = {name: Slimmed(**item) for name, item in values["slimmed"].items()}
        found.append(GroupTrial(**values))
    return found


def write_broken(trials: Sequence[GroupTrial], path: Path) -> None:
    """Write what broke, one line each: use, profile, removed file, rule, error."""
    lines = [
        "\t".join((item.use, item.profile, item.file or "-", item.rule or "-", item.error))
        for trial in trials
        for item in trial.broken
        if not item.given_up
    ]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_evidence(trials: Sequence[GroupTrial], path: Path, known: Iterable[str]) -> None:
    """Write what each rule was tried on; earlier evidence of other distributions stays.

    So does that of the same versions where more uses of them ran. ``known`` are the IDs of rules
    that exist. A rule that broke a use gets nothing from that tree.
    """
    evidence: dict[str, dict[str, Any]] = {}
    if path.is_file():
        evidence = tomllib.loads(path.read_text(encoding="utf-8"))
    fresh: dict[str, dict[str, Any]] = {}
    for trial in trials:
        for profile in trial.after:
            _add(fresh, trial, profile)
    for rule, found in fresh.items():
        old = evidence.get(rule)
        if old and not _is_newer(found["tried"], old["tried"]):
            tried = {**old["tried"]}
            for name, versions in found["tried"].items():
                tried[name] = sorted({*tried.get(name, []), *versions})
            found["tried"] = tried
            for key in ("uses", "tests", "saved"):
                found[key] = max(found[key], old[key])
        evidence[rule] = found
    names = set(known)
    lines = [
        "# Written by `python -m tests.field --write-evidence`, never by hand:",
        "# what the field trial tried each rule on.",
    ]
    for rule in sorted(names & evidence.keys()):
        found = evidence[rule]
        lines += ["", f"[{rule}]", f"uses = {found['uses']}", f"tests = {found['tests']}"]
        lines.append(f"saved = {found['saved']}")
        pairs = [f"{json.dumps(n)} = {json.dumps(v)}" for n, v in sorted(found["tried"].items())]
        line = "tried = { " + ", ".join(pairs) + " }"
        lines.append(line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _is_newer(found: Mapping[str, list[str]], old: Mapping[str, list[str]]) -> bool:
    """Return whether all that was tried was tried again, some of it in another version."""
    again = set(old) <= set(found)
    return again and any(set(found[name]).difference(old.get(name, ())) for name in found)


def _add(fresh: dict[str, dict[str, Any]], trial: GroupTrial, profile: str) -> None:
    bad = {item.rule for item in trial.broken if item.profile == profile and not item.given_up}
    passed = trial.after[profile]
    tests = trial.tests.get(profile, {})
    for rule, owners in trial.slimmed[profile].saved.items():
        if rule in bad:
            continue
        found = fresh.setdefault(rule, {"tried": {}, "uses": 0, "tests": 0, "saved": 0, "seen": {}})
        for name, saved in owners.items():
            version = trial.versions.get(canonicalize_name(name))
            if version is None:
                version = "3.13" if name == "cpython" else ""
            if not version:
                continue
            found["seen"][name, version] = max(saved, found["seen"].get((name, version), 0))
            found["tried"][name] = sorted({*found["tried"].get(name, []), version})
            runs = found.setdefault("runs", {})
            runs[trial.group.name] = len(passed)
            cases = found.setdefault("cases", {})
            if name in tests:
                cases[name, version] = tests[name][1]
            found["uses"] = sum(runs.values())
            found["tests"] = sum(cases.values())
            found["saved"] = sum(found["seen"].values())
        if not found["tried"]:
            del fresh[rule]
