"""Measurements built by hand, and the verdicts and comparisons that follow from them."""

from __future__ import annotations

from dataclasses import replace

from slim.config.budget import parse_limit
from slim.model.budget import Budget, Each, Verdict
from slim.model.diff import Cell, Comparison, MeasuredLayer, Metric, Removed, RuleEffect, Snapshot
from slim.model.footprint import Footprint
from slim.model.record import (
    EntryType,
    FileKey,
    FileKind,
    FileRecord,
    NativeFormat,
    Owner,
    OwnerKind,
)
from slim.model.rule import PackageSpec, Rule, Safety
from slim.sizes.budget import check
from slim.sizes.diff import compare

SITE = "lib/python3.13/site-packages"
RULE = Rule(
    id="pandas-samples",
    pass_name="leftovers",
    reason="Samples.",
    safety=Safety.SAFE,
    package=PackageSpec(name="pandas", specifier="<3.1.1"),
)


def file(
    layer: str,
    path: str,
    owner: str,
    version: str,
    kind: FileKind,
    size: int,
    *,
    content: str = "",
    bytecode: int = 0,
) -> FileRecord:
    native = NativeFormat.ELF if kind in (FileKind.EXTENSION, FileKind.LIBRARY) else None
    return FileRecord(
        layer=layer,
        path=f"{SITE}/{path}",
        type=EntryType.FILE,
        kind=kind,
        owner=Owner(kind=OwnerKind.DISTRIBUTION, name=owner, version=version),
        size=size,
        mode=0o644,
        sha256=f"{path} {size} {content}",
        native=native,
        bytecode_size=bytecode,
    )


def snapshot(
    source: str, records: list[FileRecord], archives: dict[str, int], platform: str = "linux_x86_64"
) -> Snapshot:
    """A published stack of these files; ``archives`` are sizes of archives by layer."""
    sums: dict[tuple[str, str, str, str], Footprint] = {}
    for record in records:
        key = (record.layer, record.owner.name, record.owner.version, record.kind.value)
        own = Footprint(unpacked=record.size, bytecode=record.bytecode_size, files=1)
        sums[key] = sums.get(key, Footprint()) + own
    layers = []
    for name, size in archives.items():
        content = sum((sizes for key, sizes in sums.items() if key[0] == name), Footprint())
        layers.append(
            MeasuredLayer(
                name=name,
                layer_name=name,
                kind="framework",
                footprint=content + Footprint(archive=size),
            )
        )
    return Snapshot(
        source=source,
        kind="published",
        platform=platform,
        layers=tuple(layers),
        cells=tuple(
            Cell(layer=layer, owner=owner, version=version, category=category, footprint=sizes)
            for (layer, owner, version, category), sizes in sums.items()
        ),
        records={(record.layer, record.path): record for record in records},
    )


def before() -> Snapshot:
    return snapshot(
        "_old",
        [
            file(
                "framework-data",
                "pandas/__init__.py",
                "pandas",
                "3.1.0",
                FileKind.PYTHON,
                4_000,
                bytecode=3_000,
            ),
            file(
                "framework-data",
                "pandas/_libs/algos.so",
                "pandas",
                "3.1.0",
                FileKind.EXTENSION,
                2_000_000,
            ),
            file(
                "framework-data", "numpy/core.so", "numpy", "2.5.5", FileKind.EXTENSION, 9_000_000
            ),
            file("app-main", "six.py", "six", "1.17.0", FileKind.PYTHON, 34_000, bytecode=40_000),
            file("app-main", "old/data.bin", "old", "1.0", FileKind.DATA, 500_000),
        ],
        {"framework-data": 3_600_000, "app-main": 220_000},
    )


def after() -> Snapshot:
    found = snapshot(
        "_new",
        [
            file(
                "framework-data",
                "pandas/__init__.py",
                "pandas",
                "3.1.1",
                FileKind.PYTHON,
                4_100,
                bytecode=3_100,
            ),
            file(
                "framework-data",
                "pandas/_libs/algos.so",
                "pandas",
                "3.1.1",
                FileKind.EXTENSION,
                2_000_000,
            ),
            file(
                "framework-data",
                "pandas/tests/test_a.py",
                "pandas",
                "3.1.1",
                FileKind.TESTS,
                800_000,
            ),
            file(
                "framework-data",
                "pandas/tests/x/test_b.py",
                "pandas",
                "3.1.1",
                FileKind.TESTS,
                400_000,
            ),
            file(
                "framework-data", "pandas/samples/a.csv", "pandas", "3.1.1", FileKind.DATA, 90_000
            ),
            file(
                "framework-data", "numpy/core.so", "numpy", "2.5.5", FileKind.EXTENSION, 17_000_000
            ),
            file("app-main", "six.py", "six", "1.17.0", FileKind.PYTHON, 34_000, bytecode=40_000),
            file(
                "app-main",
                "new|pipe/x.py",
                "n\u202eew",
                "0.1",
                FileKind.PYTHON,
                1_000,
                bytecode=900,
            ),
        ],
        {"framework-data": 6_100_000, "app-main": 130_000},
    )
    return replace(found, debug={("framework-data", f"{SITE}/numpy/core.so"): 7_600_000})


def with_report(old: Snapshot) -> Snapshot:
    """The same, as the report of a run knows it: what rules did, and no single files."""
    key: FileKey = ("framework-data", f"{SITE}/pandas/samples/a.csv")
    return replace(
        old,
        records=None,
        rules={"pandas-samples": RuleEffect(saved=90_000, files=1)},
        removed={key: Removed(rule="pandas-samples", owner="pandas", size=90_000)},
    )


def budget(
    name: str,
    *limits: tuple[Metric, str],
    line: int,
    each: Each | None = None,
    **selectors: tuple[str, ...],
) -> Budget:
    return Budget(
        name=name,
        limits=tuple(parse_limit(metric, text) for metric, text in limits),
        each=each,
        origin="slim.toml",
        place=f"budget[{line // 5}]",
        line=line,
        **selectors,
    )  # type: ignore[arg-type]


BUDGETS = (
    budget("download", (Metric.ARCHIVE, "5 MB"), (Metric.ARCHIVE, "+2%"), line=3),
    budget("each layer", (Metric.DEPLOYED, "15 MB"), line=8, each=Each.LAYER),
    budget("tests", (Metric.UNPACKED, "+0%"), (Metric.FILES, "+1"), line=13, categories=("tests",)),
    budget("six, 100%", (Metric.UNPACKED, "40 kB"), line=18, owners=("six",)),
    budget("mac", (Metric.ARCHIVE, "1 MB"), line=23, platforms=("macosx_*",)),
)


def exceeded() -> Verdict:
    return check((after(),), BUDGETS, baseline=(before(),), rules=(RULE,), slim_version="0.1.0")


def against_report() -> Verdict:
    return check(
        (after(),), BUDGETS, baseline=(with_report(before()),), rules=(RULE,), slim_version="0.1.0"
    )


def no_baseline() -> Verdict:
    return check((after(),), BUDGETS, slim_version="0.1.0")


def within() -> Verdict:
    return check(
        (before(),), (*BUDGETS[:2], BUDGETS[3]), baseline=(before(),), slim_version="0.1.0"
    )


VERDICTS = {
    "exceeded": exceeded,
    "report": against_report,
    "no-baseline": no_baseline,
    "within": within,
}


def changed() -> list[Comparison]:
    return [compare(before(), after(), (RULE,))]


def same() -> list[Comparison]:
    return [compare(before(), before())]


def two_reports() -> list[Comparison]:
    later = replace(after(), records=None, rules={"tests-folders": RuleEffect(saved=5, files=1)})
    return [compare(with_report(before()), later)]


DIFFS = {"changed": changed, "same": same, "reports": two_reports}
