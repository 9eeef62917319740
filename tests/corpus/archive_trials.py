"""Archives as the layer of a published stack."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from functools import partial

from slim.errors import LimitError
from tests.corpus.archives import ACCEPTED, COMPRESSED, TAR, ZIP, Accepted, Case, write_many
from tests.corpus.scene import Scene, put_archive
from tests.corpus.trials import Expected, Trial, everywhere, refusal

MANY = 200_000


def archive_trials() -> Iterator[Trial]:
    """All of them."""
    for group, cases in (("tar", TAR), ("zip", ZIP), ("compression", COMPRESSED)):
        yield from (_refused(group, case) for case in cases)
    yield from map(_accepted, ACCEPTED)
    refused = refusal(LimitError, "more than 150000 members", "layer.tar", "hint:")
    yield Trial(
        group="tar",
        name=f"{MANY} members",
        prepare=lambda made: put_archive(made, "layer.tar", partial(write_many, count=MANY)),
        expected={"run": refused, "audit": refused},
        layer="a",
        slow=True,
    )


def _refused(group: str, case: Case) -> Trial:
    assert case.platform is not None
    refused = refusal(case.error, case.word, f"bad/{case.file}")
    other = {} if case.seen is None else {"audit": Expected(0, (case.seen,))}
    expected = everywhere(refused, **other)
    if case.name.endswith("bomb"):  # each takes a second; the others read in the same way
        expected = {name: expected[name] for name in ("run", "audit")}
    return Trial(
        group=group,
        name=case.name,
        prepare=lambda made: put_archive(made, case.file, case.bytes),
        expected=expected,
        layer=case.root,
        platform=case.platform.tag,
    )


def _accepted(case: Accepted) -> Trial:
    warned = () if case.warned is None else (case.warned,)
    fine = Expected(0)
    return Trial(
        group="tar, accepted",
        name=case.name,
        prepare=lambda made: put_archive(made, "layer.tar", case.data),
        expected={
            "run": Expected(0, warned),
            "audit": Expected(0, warned),
            "check": fine,
            "diff": fine,
            "delta": fine,
        },
        layer=case.root,
        inspect=partial(_listed, case=case),
        more={"run": ("--profile", "safe")},
    )


def _listed(made: Scene, *, case: Accepted) -> Iterator[str]:
    """Differences between the new archive, as the standard library lists it, and the case."""
    with tarfile.open(
        made.out / "layer.tar", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        found = {info.name: (info.type, info.mode) for info in archive}
    expected = {f"{case.root}/{name}": (kind, mode) for name, kind, mode in case.members}
    if (left := {name: row for name, row in found.items() if name != case.root}) != expected:
        yield f"the new archive holds {left}"
