"""``slim run`` on installations that differ from RECORD: told, left alone, the rest slimmed."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from slim.cli import main
from tests.support.published_stacks import (
    SITE,
    Files,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
    raw,
)

BUNDLE = f"{SITE}/certifi/tests/cacert.pem"
RULES = """schema = 1
[[rule]]
id = "own"
pass = "leftovers"
safety = "safe"
reason = "r"
remove = ["**/extra/**", "**/tests/**"]
"""


def certifi(**more: str) -> Files:
    files = {
        "certifi/__init__.py": "",
        "certifi/tests/cacert.pem": "root\n",
        "certifi/extra/a.txt": "notes\n",
        **more,
    }
    return distribution("certifi", files)


def record_of(files: Files, name: str) -> str:
    return f"{SITE}/{name}-1.0.dist-info/RECORD"


def slimmed(tmp_path: Path, files: Files, *options: str) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files of the layer after a run (relative to the layer), and its JSON report."""
    publish(
        tmp_path / "stack",
        {
            "cpython": LayerSpec(kind="runtime", files={"bin/python3": "x"}),
            "app": LayerSpec(kind="application", files=files, requires=("cpython",)),
        },
    )
    (tmp_path / "slim.toml").write_text(RULES)
    report = tmp_path / "report.json"
    arguments = ["run", str(tmp_path / "stack"), "-o", str(tmp_path / "out"), "-q"]
    arguments += ["--config", str(tmp_path / "slim.toml"), "--report", f"json={report}", *options]
    assert main(arguments) == 0
    with tarfile.open(tmp_path / "out" / "app.tar.xz") as archive:
        found = {
            member.name.removeprefix("app/"): archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile()
        }
    return found, json.loads(report.read_text())["runs"][0]


def rows(record: bytes) -> dict[str, tuple[str, str]]:
    return {row[0]: (row[1], row[2]) for row in csv.reader(record.decode().splitlines())}


def test_a_bundle_that_a_user_appended_to_stays_with_its_row(tmp_path: Path) -> None:
    files = merge(certifi(), {BUNDLE: "root\ncompany\n"})
    after, report = slimmed(tmp_path, files)
    record = record_of(files, "certifi")
    assert after[BUNDLE] == b"root\ncompany\n", "changed files stay, though a rule selects them"
    assert f"{SITE}/certifi/extra/a.txt" not in after, "the rest is slimmed"
    old, new = rows(raw(files[record])), rows(after[record])  # type: ignore[arg-type]
    assert set(old) - set(new) == {"certifi/extra/a.txt"}
    assert all(new[name] == old[name] for name in new)
    (warning,) = report["warnings"]
    assert "1 file changed since the installation" in str(warning)
    assert "cacert.pem" in str(warning)
    assert any(
        skipped["path"] == BUNDLE and skipped["reason"] == "protected"
        for skipped in report["skipped"]
    )


def test_a_file_of_two_distributions_stays_with_both_rows(tmp_path: Path) -> None:
    core = distribution("core", {"dbt/tests/a.sql": "core\n", "dbt/extra/x.txt": "x"})
    adapters = distribution("adapters", {"dbt/tests/a.sql": "adapters\n", "dbt/b.py": ""})
    after, report = slimmed(tmp_path, merge(core, adapters))
    assert after[f"{SITE}/dbt/tests/a.sql"] == b"adapters\n"
    for name, files in (("core", core), ("adapters", adapters)):
        record = record_of(files, name)
        before = rows(raw(files[record]))["dbt/tests/a.sql"]  # type: ignore[arg-type]
        assert rows(after[record])["dbt/tests/a.sql"] == before
    assert "dbt/extra/x.txt" not in rows(after[record_of(core, "core")])
    (warning,) = report["warnings"]
    assert "core-1.0.dist-info/RECORD: adapters installed the same file" in str(warning)


@pytest.mark.parametrize("algorithm", ["sha256", "md5", "shake_128", "klingon"])
def test_a_wheel_with_another_form_of_hash_stays_and_the_rest_is_slimmed(
    tmp_path: Path, algorithm: str
) -> None:
    content = "mesh\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    gmsh = dict(distribution("gmsh", {"gmsh/tests/a.geo": content, "gmsh/__init__.py": ""}))
    record = record_of(gmsh, "gmsh")
    gmsh[record] = f"gmsh/tests/a.geo,{algorithm}={digest},5\ngmsh-1.0.dist-info/RECORD,,\n"
    # The built-in rule would leave a folder of tests without test code alone.
    files = merge(certifi(), gmsh)
    after, report = slimmed(tmp_path, files, "--disable", "tests-folders")
    assert after[record] == gmsh[record].encode()
    assert f"{SITE}/gmsh/tests/a.geo" in after
    assert BUNDLE not in after
    (warning,) = report["warnings"]
    assert "with a hash that can't be compared" in str(warning)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_with_another_form_of_hash_is_not_edited_either(
    tmp_path: Path, algorithm: str
) -> None:
    metadata = "Metadata-Version: 2.1\nName: gmsh\nVersion: 1.0\n\n# gmsh\nA long description.\n"
    digest = hashlib.new(algorithm, metadata.encode()).hexdigest()
    gmsh = dict(distribution("gmsh", {"gmsh/__init__.py": ""}))
    record = record_of(gmsh, "gmsh")
    info = record.rpartition("/")[0]
    gmsh[f"{info}/METADATA"] = metadata
    gmsh[record] = f"gmsh-1.0.dist-info/METADATA,{algorithm}={digest},{len(metadata)}\n"
    after, report = slimmed(tmp_path, merge(certifi(), gmsh))
    assert after[f"{info}/METADATA"] == metadata.encode(), "its row couldn't be written"
    assert after[record] == gmsh[record].encode()
    assert BUNDLE not in after, "the rest is slimmed"
    assert any(skipped["path"] == f"{info}/METADATA" for skipped in report["skipped"])


def test_dropping_a_distribution_takes_its_changed_files_too(tmp_path: Path) -> None:
    files = merge(certifi(), {BUNDLE: "root\ncompany\n"})
    after, _ = slimmed(tmp_path, files, "--drop", "certifi")
    assert not [path for path in after if "certifi" in path]


def test_sizes_without_hash_and_rows_of_links_are_true_afterwards(tmp_path: Path) -> None:
    info = "lib-1.0.dist-info"
    other = "other-1.0.dist-info"
    inner = f"lib/extra/a.txt,,2\nlib/__init__.py,,0\n{info}/RECORD,,\n"
    digest = hashlib.sha256(inner.encode()).digest()
    spelled = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    files: Files = {
        f"{SITE}/lib/__init__.py": "",
        f"{SITE}/lib/extra/a.txt": "ab",
        f"{SITE}/{info}/METADATA": "Metadata-Version: 2.4\nName: lib\nVersion: 1.0\n",
        f"{SITE}/{info}/RECORD": inner,
        f"{SITE}/{other}/METADATA": "Metadata-Version: 2.4\nName: other\nVersion: 1.0\n",
        f"{SITE}/{other}/RECORD": (
            f"{info}/RECORD,sha256={spelled},{len(inner)}\n"
            f"link,sha256={spelled},{len(inner)}\n{other}/RECORD,,\n"
        ),
        f"{SITE}/link": Link(f"{info}/RECORD"),
    }
    after, report = slimmed(tmp_path, files)
    new = after[f"{SITE}/{info}/RECORD"]
    assert b"lib/extra" not in new
    listed = rows(after[f"{SITE}/{other}/RECORD"])
    true = base64.urlsafe_b64encode(hashlib.sha256(new).digest()).rstrip(b"=").decode()
    assert listed[f"{info}/RECORD"] == listed["link"] == (f"sha256={true}", str(len(new)))
    assert report["warnings"] == []
