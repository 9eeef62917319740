"""The pass that keeps GPU code by device: what it proposes, refuses, and tells."""

from __future__ import annotations

from slim.config.settings import Config
from slim.model.gpu_target import GpuSettings, parse_target
from slim.model.plan import Plan, Rewrite, Skipped, SkipReason
from slim.model.progress import Silent
from slim.passes import EDITORS, SCHEMAS
from slim.plan.gpu import manifest_note
from slim.plan.planner import Planner
from slim.rules.loader import builtin_packs
from tests.support.gpu_files import elf, fatbin, pe
from tests.support.gpu_libraries import Library, code
from tests.support.virtual_stacks import VirtualStack, make_stack

CODE = [code(80, 90), code(75, 86, 90)]
DATA = Library(containers=CODE).build()
PACKS = tuple(builtin_packs(SCHEMAS))


def gpu(*names: str, **more: bool) -> GpuSettings:
    return GpuSettings(targets=tuple(map(parse_target, names)), **more)


def stack(**files: bytes) -> VirtualStack:
    return make_stack(
        {
            "app-main": {
                "$site/own/__init__.py": "",
                **{f"$site/own/{name.replace('_so', '.so')}": data for name, data in files.items()},
            }
        }
    )


def plan(made: VirtualStack, settings: GpuSettings | None) -> Plan:
    return Planner(made.facts, Config(packs=PACKS, gpu=settings), Silent()).plan()


def edits(found: Plan) -> dict[str, Rewrite]:
    return {
        action.record.path.rpartition("/")[2]: action
        for action in found.actions.values()
        if isinstance(action, Rewrite)
    }


def refused(found: Plan) -> dict[str, Skipped]:
    return {one.record.path.rpartition("/")[2]: one for one in found.skipped if one.rule == "gpu"}


def test_without_the_table_nothing_of_it_is_touched() -> None:
    found = plan(stack(x_so=DATA), None)
    assert {action.edit.editor for action in edits(found).values()} <= {"elf-symbols"}
    assert not any("GPU" in text or "gpu" in text for text in (*found.warnings, *found.notes))


def test_a_library_is_edited_and_the_reader_is_warned() -> None:
    found = plan(stack(x_so=DATA), gpu("sm_90"))
    action = edits(found)["x.so"]
    assert action.edit.editor == "gpu-code"
    assert dict(action.edit.options) == {"architectures": ("sm_90",), "level": "unneeded"}
    recipe = EDITORS["gpu-code"].edit(memoryview(DATA), action.edit.options)
    assert recipe.size == action.size_after
    texts = [one.text for one in action.evidence]
    assert texts[0] == (
        "GPU code that sm_90 doesn't need (bytes): sm_75 cubin 9064, sm_80 cubin 9064, "
        "sm_86 cubin 9064; 18168 bytes stay"
    )
    assert any("hasn't run any of it on one" in text for text in found.warnings)
    assert manifest_note(gpu("sm_90"), found, "app-main") == {"architectures": ["sm_90"]}
    assert manifest_note(gpu("sm_90"), found, "app-other") == {}


def test_code_is_compressed_again_where_that_is_asked_for() -> None:
    found = plan(stack(x_so=DATA), GpuSettings(recompress=True))
    action = edits(found)["x.so"]
    assert dict(action.edit.options) == {
        "architectures": (),
        "level": "unneeded",
        "recompress": True,
    }
    recipe = EDITORS["gpu-code"].edit(memoryview(DATA), action.edit.options)
    assert recipe.size == action.size_after < len(DATA) - 4 * 4096
    assert "5 entries of GPU code become Zstandard" in action.evidence[0].text
    assert any("550.54 for CUDA 12, 580 for CUDA 13" in text for text in found.warnings)
    assert manifest_note(GpuSettings(recompress=True), found, "app-main") == {
        "recompressed": True,
        "drivers": "550.54 for CUDA 12, 580 for CUDA 13",
    }


def test_a_table_that_is_in_vain_is_told() -> None:
    found = plan(stack(x_so=DATA), gpu("sm_75", "sm_80", "sm_86", "sm_90"))
    assert not any(one.edit.editor == "gpu-code" for one in edits(found).values())
    assert any("no library holds GPU code" in text for text in found.warnings)


def test_nvidias_libraries_need_a_word_of_the_user() -> None:
    made = stack(libcublasLt_so=DATA, x_so=DATA)
    found = plan(made, gpu("sm_90"))
    held = refused(found)["libcublasLt.so"]
    assert held.reason is SkipReason.LICENCE
    assert "nvidia_licence_allows = true" in held.evidence[0].text
    assert not any(text.startswith("NVIDIA") for text in found.notes)
    allowed = plan(made, gpu("sm_90", nvidia_licence_allows=True))
    assert edits(allowed)["libcublasLt.so"].edit.editor == "gpu-code"
    assert any(text.startswith("NVIDIA's libraries are changed") for text in allowed.notes)


def test_nvidias_libraries_are_not_compressed_again_either() -> None:
    found = plan(stack(libcurand_so=DATA), GpuSettings(recompress=True))
    assert "which isn't compressed again" in refused(found)["libcurand.so"].evidence[0].text
    assert not any(one.edit.editor == "gpu-code" for one in edits(found).values())


def test_what_cannot_be_edited_is_refused_with_its_reason() -> None:
    library = Library(containers=CODE, wrapped=(0,))
    found = refused(
        plan(
            stack(x_so=library.build(), y_so=pe([(".nv_fatbin", CODE[0])])),
            gpu("sm_90"),
        )
    )
    assert "no wrapper points at" in found["x.so"].evidence[0].text
    assert found["y.so"].evidence[0].text == "GPU code in a PE file, which slim doesn't edit"
    assert {one.reason for one in found.values()} == {SkipReason.UNSAFE_TO_EDIT}


def test_other_code_in_a_file_is_told_to_stay() -> None:
    made = stack(x_so=elf([(".cask_resource", b"x" * 64), ("__nv_relfatbin", fatbin())]))
    found = plan(made, gpu("sm_90"))
    assert not edits(found)
