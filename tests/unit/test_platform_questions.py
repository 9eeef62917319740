"""What code asks about its platform has the answer that the layer's own platform gives."""

from __future__ import annotations

import ast

import pytest

from slim.analysis.code_paths.module import CodeModule
from slim.model.stack import Platform

LINUX, ARM_LINUX, MAC, INTEL_MAC, WINDOWS, ARM_WINDOWS = PLATFORMS = (
    *("linux_x86_64", "linux_aarch64", "macosx_arm64", "macosx_x86_64"),
    *("win_amd64", "win_arm64"),
)
MACS, WINS = {MAC, INTEL_MAC}, {WINDOWS, ARM_WINDOWS}
TRUE: dict[str, set[str]] = {
    "sys.platform == 'darwin'": MACS,
    "'win' in sys.platform": MACS | WINS,
    "os.name == 'posix'": set(PLATFORMS) - WINS,
    "platform.system() in ('Windows', 'Darwin')": MACS | WINS,
    "platform.machine() == 'arm64'": {MAC},
    "platform.machine() == 'aarch64'": {ARM_LINUX},
    "platform.machine() == 'x86_64'": {LINUX, INTEL_MAC},
    "platform.machine() != 'x86_64'": set(PLATFORMS) - {LINUX, INTEL_MAC},
    "platform.machine() == 'AMD64'": {WINDOWS},
    "platform.machine().lower() == 'arm64'": {MAC, ARM_WINDOWS},
    "platform.machine() in ('arm64', 'aarch64')": {MAC, ARM_LINUX},
    "platform.machine() in ('x86_64', 'AMD64')": {LINUX, INTEL_MAC, WINDOWS},
    "platform.machine().startswith('arm')": {MAC},
    "platform.machine().startswith(('arm', 'aarch'))": {MAC, ARM_LINUX},
    "'arm' in platform.machine()": {MAC},
    "os.uname().machine == 'arm64'": {MAC},
    "sys.platform == 'darwin' and platform.machine() == 'arm64'": {MAC},
}
UNTOLD = (
    "platform.machine() == wanted",
    "platform.architecture()[0] == '64bit'",
    "sysconfig.get_platform() == 'macosx-11.0-arm64'",
)


def live(condition: str, tag: str) -> set[str]:
    """The modules that code may import which asks a question."""
    code = f"import os, platform, sys\nif {condition}:\n    import yes\nelse:\n    import no\n"
    nodes = CodeModule(ast.parse(code), Platform.parse(tag)).live
    names = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return names - {"os", "platform", "sys"}


@pytest.mark.parametrize("condition", TRUE)
def test_a_branch_is_dead_only_where_its_platform_never_runs_it(condition: str) -> None:
    assert {tag for tag in PLATFORMS if live(condition, tag) == {"yes"}} == TRUE[condition]
    assert {tag for tag in PLATFORMS if live(condition, tag) == {"no"}} == (
        set(PLATFORMS) - TRUE[condition]
    )


@pytest.mark.parametrize("condition", UNTOLD)
def test_what_only_running_tells_may_be_either(condition: str) -> None:
    assert all(live(condition, tag) == {"yes", "no"} for tag in PLATFORMS)


def test_a_machine_of_several_words_is_left_to_running() -> None:
    assert live("platform.machine() == 'i686'", "linux_i686") == {"yes", "no"}
