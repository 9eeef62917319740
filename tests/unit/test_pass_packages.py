"""Dropping whole distributions: what goes with them, and what holds them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from slim.config.settings import LayerSettings
from slim.model.finding import Finding
from slim.model.plan import SkipReason
from slim.model.settings import DropSpec
from slim.passes.base import Context, Refusal
from slim.passes.packages import Packages
from tests.support.virtual_stacks import Contents, Link, VirtualStack, make_stack

ALPHA = {
    "$site/alpha/__init__.py": "",
    "$site/alpha/core.py": "import beta",
    "$site/alpha/libalpha.so": "\x7fELF",
    "$site/alpha/__pycache__/core.cpython-313.pyc": "x",
    "$site/alpha-1.0.dist-info/METADATA": "Name: alpha\n",
    "$site/alpha-1.0.dist-info/licenses/LICENSE": "MIT",
    "$site/alpha-1.0.dist-info/RECORD": (
        "alpha/__init__.py,,\nalpha/core.py,,\nalpha/libalpha.so,,\n../../../bin/alpha,,\n"
        "alpha-1.0.dist-info/METADATA,,\nalpha-1.0.dist-info/RECORD,,\nalpha/gone.py,,\n"
    ),
    "$bin/alpha": "#!python",
    "$site/other.py": "",
}


def _user(requirement: str, version: str = "2") -> dict[str, str]:
    return {
        "$site/user/__init__.py": "",
        f"$site/user-{version}.dist-info/METADATA": f"Name: user\nRequires-Dist: {requirement}\n",
    }


def _propose(
    virtual: VirtualStack, drop: Mapping[str, tuple[DropSpec, ...]]
) -> tuple[list[Finding], list[Refusal]]:
    context = Context(
        facts=virtual.facts,
        rules=(),
        select=lambda _pass, _record: (),
        settings=lambda layer: LayerSettings(drop=drop.get(layer, ())),
    )
    proposals = list(Packages().propose(context))
    return (
        [proposal for proposal in proposals if isinstance(proposal, Finding)],
        [proposal for proposal in proposals if isinstance(proposal, Refusal)],
    )


def _drop(
    layer: str, *names: str, despite: tuple[str, ...] = ()
) -> dict[str, tuple[DropSpec, ...]]:
    return {layer: tuple(DropSpec(name=name, despite=frozenset(despite)) for name in names)}


def test_everything_of_a_distribution_goes_with_it() -> None:
    virtual = make_stack(
        {
            "cpython3.13": {},
            "framework-a": {
                **ALPHA,
                "share/venv/dynlib/libalpha.so": Link("../../../" + _site("alpha/libalpha.so")),
            },
            "app-x": {
                "share/venv/dynlib/near.so": Link(
                    f"../../../../framework-a/{_site('alpha/libalpha.so')}"
                ),
                "share/venv/dynlib/far.so": Link("../../../../framework-a/elsewhere.so"),
            },
        }
    )
    findings, refusals = _propose(virtual, _drop("framework-a", "alpha"))
    assert refusals == []
    assert {finding.rule for finding in findings} == {"drop:alpha"}
    assert {"/".join(finding.key) for finding in findings} == {
        f"framework-a/{_site('alpha/__init__.py')}",
        f"framework-a/{_site('alpha/core.py')}",
        f"framework-a/{_site('alpha/libalpha.so')}",
        f"framework-a/{_site('alpha/__pycache__/core.cpython-313.pyc')}",
        f"framework-a/{_site('alpha-1.0.dist-info/METADATA')}",
        f"framework-a/{_site('alpha-1.0.dist-info/RECORD')}",
        f"framework-a/{_site('alpha-1.0.dist-info/licenses/LICENSE')}",
        "framework-a/bin/alpha",
        "framework-a/share/venv/dynlib/libalpha.so",
        "app-x/share/venv/dynlib/near.so",
    }


def _site(path: str) -> str:
    return f"lib/python3.13/site-packages/{path}"


@pytest.mark.parametrize(
    ("requirement", "holds"),
    [
        ("alpha", True),
        ("Alpha >= 0.5 ; python_version >= '3.10'", True),
        ("alpha ; sys_platform == 'linux' and platform_machine == 'x86_64'", True),
        ("alpha ; python_full_version < '3.13.0'", False),
        ("alpha ; sys_platform == 'win32'", False),
        ("alpha ; extra == 'more'", False),
        ("alphabet", False),
        ("alpha >>> nonsense", False),
    ],
)
def test_a_requirement_holds_a_distribution_where_it_applies(requirement: str, holds: bool) -> None:
    virtual = make_stack({"framework-a": ALPHA, "app-x": _user(requirement)})
    findings, refusals = _propose(virtual, _drop("framework-a", "alpha"))
    assert bool(refusals) is holds
    assert bool(findings) is not holds
    for refusal in refusals:
        assert refusal.reason is SkipReason.REQUIRED
        assert [str(evidence) for evidence in refusal.evidence] == [
            f"user 2 requires {requirement} (app-x/{_site('user-2.dist-info/METADATA')})"
        ]


def test_without_a_known_platform_a_requirement_counts_unless_it_is_an_extra() -> None:
    for marker, holds in (("sys_platform == 'win32'", True), ("extra == 'x'", False)):
        virtual = make_stack(
            {"framework-a": ALPHA, "app-x": _user(f"alpha; {marker}")}, platform="unknown"
        )
        assert bool(_propose(virtual, _drop("framework-a", "alpha"))[1]) is holds


def test_despite_lets_it_go_and_says_who_required_it() -> None:
    virtual = make_stack({"framework-a": ALPHA, "app-x": _user("alpha")})
    findings, refusals = _propose(virtual, _drop("framework-a", "alpha", despite=("user",)))
    assert refusals == []
    assert all(
        [item.kind for item in finding.evidence] == ["drop", "requires"] for finding in findings
    )


def test_what_a_refusal_keeps_may_require_the_next() -> None:
    layer: dict[str, Contents] = {
        **{f"$site/{name}/__init__.py": "" for name in ("a", "b", "c", "user")},
        "$site/a-1.dist-info/METADATA": "Name: a\n",
        "$site/b-1.dist-info/METADATA": "Name: b\nRequires-Dist: a\n",
        "$site/c-1.dist-info/METADATA": "Name: c\nRequires-Dist: b\n",
    }
    free = make_stack({"app-x": layer})
    findings, refusals = _propose(free, _drop("app-x", "a", "b", "c"))
    assert not refusals
    assert len(findings) == 6
    held = make_stack(
        {"app-x": {**layer, "$site/user-1.dist-info/METADATA": "Name: user\nRequires-Dist: b\n"}}
    )
    findings, refusals = _propose(held, _drop("app-x", "a", "b", "c"))
    assert {refusal.rule for refusal in refusals} == {"drop:a", "drop:b"}
    assert {finding.rule for finding in findings} == {"drop:c"}


def test_an_application_does_not_hold_what_another_application_drops() -> None:
    virtual = make_stack({"framework-f": {}, "app-a": ALPHA, "app-b": _user("alpha")})
    assert not _propose(virtual, _drop("app-a", "alpha"))[1]


def test_a_file_of_two_distributions_stays_with_the_one_that_stays() -> None:
    layer: dict[str, Contents] = {
        "$site/space/__init__.py": "",
        "$site/space/one.py": "",
        "$site/one-1.dist-info/METADATA": "Name: one\n",
        "$site/one-1.dist-info/RECORD": "space/__init__.py,,\nspace/one.py,,\n",
        "$site/two-1.dist-info/METADATA": "Name: two\n",
        "$site/two-1.dist-info/RECORD": "space/__init__.py,,\n",
        "$site/user-1.dist-info/METADATA": "Name: user\nRequires-Dist: two\n",
    }
    shared = ("app-x", _site("space/__init__.py"))
    findings, _ = _propose(make_stack({"app-x": layer}), _drop("app-x", "one"))
    assert ("app-x", _site("space/one.py")) in {finding.key for finding in findings}
    assert shared not in {finding.key for finding in findings}
    findings, refusals = _propose(make_stack({"app-x": layer}), _drop("app-x", "one", "two"))
    assert shared not in {finding.key for finding in findings}
    assert shared in {refusal.key for refusal in refusals}


def test_a_name_that_is_not_installed_proposes_nothing() -> None:
    virtual = make_stack({"app-x": ALPHA})
    assert _propose(virtual, _drop("app-x", "missing")) == ([], [])
    assert _propose(virtual, _drop("app-y", "alpha")) == ([], [])
