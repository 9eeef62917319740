"""Results of runs, built by hand from a table of files and what becomes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from slim.model.finding import EditSpec, Evidence, Strength
from slim.model.footprint import Footprint, FootprintDelta
from slim.model.outcome import (
    Accounts,
    Check,
    Explanation,
    LayerOutcome,
    RunResult,
    SincePrevious,
    Verification,
)
from slim.model.plan import Action, Plan, Remove, Rewrite, Skipped, SkipReason
from slim.model.record import UNOWNED, EntryType, FileKind, FileRecord, Owner, OwnerKind
from slim.model.rule import Examples, PackageSpec, Rule, Safety
from slim.model.stack import (
    UNKNOWN_PLATFORM,
    ArchiveInfo,
    Layer,
    LayerKind,
    Platform,
    Stack,
    StackKind,
    StaleArchive,
)

LINUX = Platform.parse("linux_x86_64")
CPYTHON = Owner(kind=OwnerKind.RUNTIME, name="cpython", version="3.13.0")
NUMPY = Owner(kind=OwnerKind.DISTRIBUTION, name="numpy", version="2.3.5")
SCIPY = Owner(kind=OwnerKind.DISTRIBUTION, name="scipy", version="1.16.3")
TOKENIZERS = Owner(kind=OwnerKind.DISTRIBUTION, name="tokenizers", version="0.22.1")
SITE = "lib/python3.13/site-packages"

RULES = {
    rule.id: rule
    for rule in (
        Rule(
            id="tests-site",
            pass_name="tests",
            reason="Test suites of installed packages are never imported by the application.",
            safety=Safety.SAFE,
            globs=("$site/**/tests/**", "$site/**/test_*.py"),
            keep=("$site/**/tests/__init__.pyi",),
            source="https://github.com/numpy/numpy/issues/28936",
            examples=Examples(
                match=(f"{SITE}/numpy/tests/test_a.py",), no_match=(f"{SITE}/numpy/testing/x.py",)
            ),
            pack="packages",
        ),
        Rule(
            id="cpython-test",
            pass_name="tests",
            reason="CPython's own test suite.",
            safety=Safety.SAFE,
            globs=("$stdlib/test/**",),
            layers=frozenset({LayerKind.RUNTIME}),
            pack="cpython",
        ),
        Rule(
            id="debug-elf",
            pass_name="debug_symbols",
            reason="Debug sections and symbol tables aren't needed to run.",
            safety=Safety.STANDARD,
            options={"level": "symbols", "keep-sections": (".note.gnu.build-id",)},
            platforms=("linux_*",),
            pack="native",
        ),
        Rule(
            id="numpy-testing",
            pass_name="modules",
            reason="numpy.testing is for test suites.",
            safety=Safety.AGGRESSIVE,
            globs=("$package/numpy/testing/**",),
            package=PackageSpec(name="numpy", specifier=">=2,<3"),
            pack="numpy",
        ),
        Rule(
            id="own-samples",
            pass_name="data",
            reason="We don't ship sample data.",
            safety=Safety.STANDARD,
            globs=("samples/**",),
            pack="slim",
            origin="slim.toml",
            builtin=False,
        ),
        Rule(
            id="torch-test",
            pass_name="tests",
            reason="PyTorch's C++ tests.",
            safety=Safety.SAFE,
            globs=("$package/torch/test/**",),
            package=PackageSpec(name="torch"),
            pack="torch",
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A file and its fate: kept (neither), removed by or shrunk by a rule, or refused."""

    layer: str
    path: str
    size: int
    kind: FileKind = FileKind.DATA
    owner: Owner = UNOWNED
    bytecode: int = 0
    removed_by: str = ""
    shrunk_by: str = ""
    size_after: int = 0
    refused_by: str = ""
    reason: SkipReason = SkipReason.IMPORTED
    evidence: tuple[Evidence, ...] = ()

    @property
    def record(self) -> FileRecord:
        return FileRecord(
            layer=self.layer,
            path=self.path,
            type=EntryType.FILE,
            kind=self.kind,
            owner=self.owner,
            size=self.size,
            mode=0o644,
            sha256="ab" * 32,
            bytecode_size=self.bytecode,
        )

    @property
    def removed(self) -> int:
        return self.size if self.removed_by else 0

    @property
    def shrunk(self) -> int:
        return self.size - self.size_after if self.shrunk_by else 0

    @property
    def rule(self) -> str:
        return self.removed_by or self.shrunk_by


def action(row: Row) -> Action | None:
    if row.removed_by:
        rule = RULES[row.removed_by]
        return Remove(
            record=row.record, pass_name=rule.pass_name, rule=rule.id, evidence=row.evidence
        )
    if row.shrunk_by:
        rule = RULES[row.shrunk_by]
        edit = EditSpec(editor="elf-symbols", options=rule.options)
        return Rewrite(
            record=row.record,
            pass_name=rule.pass_name,
            rule=rule.id,
            edit=edit,
            size_after=row.size_after,
            evidence=row.evidence,
        )
    return None


def skipped(rows: Iterable[Row]) -> tuple[Skipped, ...]:
    return tuple(
        Skipped(
            record=row.record,
            pass_name=RULES[row.refused_by].pass_name,
            rule=row.refused_by,
            reason=row.reason,
            evidence=row.evidence,
        )
        for row in rows
        if row.refused_by
    )


def account(rows: Sequence[Row], label: Callable[[Row], str]) -> tuple[FootprintDelta, ...]:
    found: dict[str, FootprintDelta] = {}
    for row in rows:
        name = label(row)
        old = found.get(name, FootprintDelta(label=name))
        found[name] = FootprintDelta(
            label=name,
            before=old.before + row.size,
            removed=old.removed + row.removed,
            shrunk=old.shrunk + row.shrunk,
            files=old.files + 1,
            files_removed=old.files_removed + bool(row.removed_by),
            files_rewritten=old.files_rewritten + bool(row.shrunk_by),
        )
    return tuple(found[name] for name in sorted(found))


def accounts(rows: Sequence[Row]) -> Accounts:
    return Accounts(
        by_layer=account(rows, lambda row: row.layer),
        by_owner=account(rows, lambda row: row.owner.label),
        by_category=account(rows, lambda row: row.kind.value),
        by_pass=account([row for row in rows if row.rule], lambda row: RULES[row.rule].pass_name),
        by_rule=account([row for row in rows if row.rule], lambda row: row.rule),
    )


def layer(name: str, kind: LayerKind, archive: int = 0, platform: Platform = LINUX) -> Layer:
    info = ArchiveInfo(name=f"{name}.tar.xz", size=archive, sha256="01" * 32) if archive else None
    return Layer(
        name=name,
        layer_name=name,
        kind=kind,
        platform=platform,
        archive=info,
        python_version="3.13.0",
        site_dirs=(SITE,),
    )


def result(
    rows: Sequence[Row], layers: Sequence[tuple[Layer, int]], **changes: object
) -> RunResult:
    """``layers`` are the layers with the sizes of their new archives (0: none was written)."""
    outcomes = []
    for item, archive in layers:
        mine = [row for row in rows if row.layer == item.name]
        before = Footprint(
            archive=item.archive.size if item.archive else 0,
            unpacked=sum(row.size for row in mine),
            bytecode=sum(row.bytecode for row in mine),
            files=len(mine),
        )
        after = Footprint(
            archive=archive,
            unpacked=sum(row.size - row.removed - row.shrunk for row in mine),
            bytecode=sum(row.bytecode for row in mine if not row.removed_by),
            files=sum(not row.removed_by for row in mine),
        )
        written = archive > 0
        outcomes.append(
            LayerOutcome(
                layer=item,
                before=before,
                after=after,
                archive_name=f"{item.name}.tar.xz" if written else None,
                archive_sha256="23" * 32 if written else None,
                tree_sha256="45" * 32,
            )
        )
    actions = {row.record.key: done for row in rows if (done := action(row)) is not None}
    found = RunResult(
        stack=Stack(
            kind=StackKind.PUBLISHED,
            source="_artifacts",
            platform=LINUX,
            layers=tuple(item for item, _ in layers),
            manifest_name="venvstacks.json",
        ),
        plan=Plan(actions=actions, skipped=skipped(rows)),
        accounts=accounts(rows),
        layers=tuple(outcomes),
        verification=Verification(),
        profile=Safety.STANDARD,
        rules=RULES,
        rules_sha256="67" * 32,
        output="_slim",
        elapsed=14.83,
        slim_version="0.1.0",
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def imported_by(file: str, line: int, module: str = "numpy.testing") -> Evidence:
    return Evidence(kind="import", text=f"{module} is imported", file=file, line=line)


def story() -> list[Row]:
    """Two layers with something of everything."""
    runtime, framework = "cpython3.13", "framework-science"
    scipy = f"{framework}/{SITE}/scipy"
    python, tests, library = FileKind.PYTHON, FileKind.TESTS, FileKind.LIBRARY
    return [
        Row(
            layer=runtime,
            path="bin/python3.13",
            size=30_204_112,
            kind=FileKind.EXECUTABLE,
            owner=CPYTHON,
        ),
        Row(
            layer=runtime,
            path="lib/python3.13/os.py",
            size=41_004,
            kind=python,
            owner=CPYTHON,
            bytecode=45_820,
        ),
        *(
            Row(
                layer=runtime,
                path=f"lib/python3.13/test/test_{name}.py",
                size=size,
                kind=tests,
                owner=CPYTHON,
                bytecode=size * 11 // 10,
                removed_by="cpython-test",
            )
            for name, size in (
                ("argparse", 9_270_101),
                ("email", 11_402_310),
                ("typing", 8_003_411),
            )
        ),
        Row(
            layer=framework,
            path=f"{SITE}/numpy/core.py",
            size=9_811_234,
            kind=python,
            owner=NUMPY,
            bytecode=9_902_000,
        ),
        Row(
            layer=framework,
            path=f"{SITE}/numpy/tests/test_core.py",
            size=6_702_901,
            kind=tests,
            owner=NUMPY,
            bytecode=7_012_333,
            removed_by="tests-site",
            evidence=(Evidence(kind="glob", text="$site/**/tests/**"),),
        ),
        Row(
            layer=framework,
            path=f"{SITE}/numpy/testing/__init__.py",
            size=595,
            kind=python,
            owner=NUMPY,
            bytecode=701,
            refused_by="numpy-testing",
            evidence=(
                imported_by(f"{scipy}/_lib/_testutils.py", 12),
                imported_by(f"{scipy}/stats/_fit.py", 9),
            ),
        ),
        Row(
            layer=framework,
            path=f"{SITE}/numpy/testing/_private/utils.py",
            size=93_420,
            kind=python,
            owner=NUMPY,
            bytecode=101_223,
            refused_by="numpy-testing",
            evidence=(
                imported_by(
                    f"{framework}/{SITE}/numpy/testing/__init__.py",
                    10,
                    "numpy.testing._private.utils",
                ),
            ),
        ),
        Row(
            layer=framework,
            path=f"{SITE}/numpy.libs/libscipy_openblas64_-fdde5778.so",
            size=25_051_793,
            kind=library,
            owner=NUMPY,
            refused_by="debug-elf",
            reason=SkipReason.UNSAFE_TO_EDIT,
            evidence=(
                Evidence(
                    kind="layout",
                    text="the section headers don't agree with the program headers",
                    file=f"{framework}/{SITE}/numpy.libs/libscipy_openblas64_-fdde5778.so",
                ),
            ),
        ),
        Row(
            layer=framework,
            path=f"{SITE}/scipy/linalg/_flapack.so",
            size=2_100_200,
            kind=FileKind.EXTENSION,
            owner=SCIPY,
            refused_by="debug-elf",
            reason=SkipReason.NOTHING_GAINED,
        ),
        Row(
            layer=framework,
            path=f"{SITE}/scipy/tests/test_all.py",
            size=16_220_400,
            kind=tests,
            owner=SCIPY,
            bytecode=15_020_000,
            removed_by="tests-site",
        ),
        Row(
            layer=framework,
            path=f"{SITE}/tokenizers/tokenizers.abi3.so",
            size=11_310_444,
            kind=FileKind.EXTENSION,
            owner=TOKENIZERS,
            shrunk_by="debug-elf",
            size_after=8_004_112,
            evidence=(
                Evidence(
                    kind="section",
                    text=".symtab and .strtab, 3306332 bytes",
                    strength=Strength.WEAK,
                ),
            ),
        ),
        Row(layer=framework, path="postinstall.py", size=3_120, kind=python, bytecode=3_400),
    ]


_CHECKS = (
    Check(name="members", tried=10),
    Check(name="hashes", tried=10),
    Check(name="RECORD rows", tried=9),
    Check(name="native images", tried=1),
    Check(name="linkage", tried=4),
    Check(name="imports", tried=3, note="by the runtime's own interpreter"),
)


def _plan(found: RunResult, **changes: object) -> RunResult:
    return replace(found, plan=replace(found.plan, **changes))  # type: ignore[arg-type]


def finished() -> RunResult:
    """A run that wrote its result."""
    layers = [
        (layer("cpython3.13", LayerKind.RUNTIME, 33_782_944), 15_204_112),
        (layer("framework-science", LayerKind.FRAMEWORK, 33_104_220), 19_870_401),
    ]
    found = result(story(), layers, verification=Verification(checks=_CHECKS))
    found = replace(
        found,
        stack=replace(
            found.stack,
            stale=(
                StaleArchive(name="framework-science-1.tar.xz", size=33_100_113),
                StaleArchive(name="framework-science-2.tar.xz", size=33_101_007),
            ),
        ),
    )
    return _plan(
        found,
        unmatched=("torch-test", "own-samples"),
        warnings=(
            "framework-science/lib/libodd.so: unknown machine 0xf3, left alone",
            "slim.toml: rule own-samples: matches nothing in this stack",
        ),
        notes=("2 libraries are opened by name only",),
    )


def dry() -> RunResult:
    """The same as a dry run."""
    layers = [
        (layer("cpython3.13", LayerKind.RUNTIME, 33_782_944), 0),
        (layer("framework-science", LayerKind.FRAMEWORK, 33_104_220), 0),
    ]
    checks = Verification(checks=_CHECKS[2:3])
    return replace(
        result(story(), layers), dry_run=True, output=None, elapsed=3.2, verification=checks
    )


def relocked() -> RunResult:
    """A run with --previous: one layer as before, one that isn't."""
    found = finished()
    unchanged = replace(found.layers[0], since=SincePrevious.UNCHANGED)
    return replace(found, layers=(unchanged, replace(found.layers[1], since=SincePrevious.CHANGED)))


def failed() -> RunResult:
    """Verification found something."""
    broken = Check(
        name="linkage",
        tried=4,
        failures=("framework-science/lib/a.so needs libb.so.1, which nothing provides any more",),
    )
    untried = ("app-science wasn't started: no [[verify.command]] is for it",)
    checks = Verification(checks=(*_CHECKS[:4], broken), untried=untried)
    return replace(finished(), verification=checks, output=None)


def enabled() -> RunResult:
    """A run with the profile standard and rules of the profile aggressive that nothing tried."""
    found = unverified()
    took = next(iter(found.plan.actions.values())).rule
    rules = {
        name: replace(rule, safety=Safety.AGGRESSIVE if name == took else Safety.STANDARD)
        for name, rule in found.rules.items()
    }
    return replace(found, profile=Safety.STANDARD, rules=rules)


def unverified() -> RunResult:
    """A run with the profile aggressive whose result nothing tried."""
    found = finished()
    return replace(
        found,
        profile=Safety.AGGRESSIVE,
        verification=replace(found.verification, unverified=True),
    )


def folder() -> RunResult:
    """A plain folder with nothing to do: no archives, no known platform."""
    rows = [Row(layer="app", path="main.py", size=120, kind=FileKind.PYTHON, bytecode=180)]
    found = result(
        rows, [(layer("app", LayerKind.PLAIN, platform=UNKNOWN_PLATFORM), 0)], elapsed=0.04
    )
    return replace(
        found,
        stack=replace(
            found.stack,
            kind=StackKind.FOLDER,
            platform=UNKNOWN_PLATFORM,
            manifest_name=None,
            source="app",
        ),
    )


HOSTILE = "samples/\x1b[31mred\u202egnp.\udcff|[bold]"


def hostile() -> RunResult:
    """Names that try to take over the terminal, the table and the markup."""
    rows = [
        Row(layer="app", path=HOSTILE, size=5_000, removed_by="own-samples"),
        Row(
            layer="app",
            path=f"lib/{HOSTILE}",
            size=7_000,
            refused_by="own-samples",
            reason=SkipReason.REFERENCED,
            evidence=(
                Evidence(
                    kind="string", text="named in \x1b]0;title\x07", file=f"app/{HOSTILE}", line=3
                ),
            ),
        ),
        Row(
            layer="app",
            path="数据/模型.bin",
            size=9_000,
            refused_by="own-samples",
            reason=SkipReason.KEPT,
        ),
    ]
    found = result(rows, [(layer("app", LayerKind.PLAIN), 0)])
    stale = (StaleArchive(name="old\n\u2066name\udce9.tar.xz", size=10),)
    found = replace(found, stack=replace(found.stack, stale=stale, source="in\x1b[2J"))
    return _plan(found, warnings=("app/\x9b1m\udcff: odd",))


def explanations() -> tuple[Explanation, ...]:
    """One of each verdict."""
    rows = story()
    by_path = {row.path: row for row in rows}

    def about(path: str) -> Row:
        return by_path[f"{SITE}/{path}"]

    removed, shrunk = about("numpy/tests/test_core.py"), about("tokenizers/tokenizers.abi3.so")
    refused, kept = about("numpy/testing/__init__.py"), about("numpy/core.py")
    return (
        Explanation(
            record=removed.record,
            verdict="removed",
            action=action(removed),
            considered=(RULES["tests-site"],),
        ),
        Explanation(
            record=shrunk.record,
            verdict="rewritten",
            action=action(shrunk),
            considered=(RULES["debug-elf"],),
        ),
        Explanation(
            record=refused.record,
            verdict="refused",
            skipped=skipped([refused]),
            considered=(RULES["numpy-testing"],),
            facts=(imported_by("framework-science/lib/a.py", 3),),
        ),
        Explanation(
            record=kept.record,
            verdict="kept",
            out_of_reach=(RULES["numpy-testing"],),
            facts=(imported_by("framework-science/lib/b.py", 7, "numpy.core"),),
        ),
    )
