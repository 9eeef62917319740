"""An audit counts what a file system and tar count, whatever the tree is packed into."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.audits import adds_up, audit_of, by_du
from tests.support.examples import examples

NAMES = st.sampled_from(
    ["a", "b.py", "c.so", "site-packages", "x-1.dist-info", "METADATA", "RECORD", "__pycache__",
     "b.cpython-313.pyc", "tests", "Contents", "lib", "ü", "x", "__init__.py", "LICENSE"]
)  # fmt: skip
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"\x7fELF\2\1\1" + bytes(60),
            b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(40),
            b"MZ" + bytes(70),
            b"x" * 5000,
        ]
    ),
)
TREES = st.dictionaries(PATHS, CONTENTS, min_size=1, max_size=14)  # an empty tar is no tar


def without_conflicts(tree: dict[str, bytes]) -> dict[str, bytes]:
    """A path can't be a file and a folder."""
    folders = {
        path.rsplit("/", depth)[0] for path in tree for depth in range(1, path.count("/") + 1)
    }
    return {path: content for path, content in tree.items() if path not in folders}


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=TREES)
def test_totals_are_exact_in_every_container(tree: dict[str, bytes]) -> None:
    tree = without_conflicts(tree)
    wanted = (sum(len(content) for content in tree.values()), len(tree))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = folder / "plain"
        plain.mkdir()
        with (
            tarfile.open(folder / "t.tar", "w") as tar,
            zipfile.ZipFile(folder / "z.whl", "w") as wheel,
        ):
            for path, content in tree.items():
                file = plain / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                info = tarfile.TarInfo(path)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
                wheel.writestr(path, content)
        for source in (plain, folder / "t.tar", folder / "z.whl"):
            found = audit_of(source, findings=False)
            assert (adds_up(found), found.total.files) == wanted, source.name
            by_disk = sum(path.stat().st_size for path in plain.rglob("*") if path.is_file())
            assert adds_up(found) == by_disk


@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tree=TREES,
    names=st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=6),
)
def test_totals_are_those_of_du_and_tar_with_links_too(
    tree: dict[str, bytes], names: list[tuple[int, bool]]
) -> None:
    tree = without_conflicts(tree)
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / "plain"
        for path, content in tree.items():
            file = plain / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        for number, (which, hard) in enumerate(names):
            file = plain / sorted(tree)[which % len(tree)]
            link = plain / f"link{number}"
            if hard:
                os.link(file, link)
            else:
                link.symlink_to(os.path.relpath(file, plain))
        with tarfile.open(Path(name) / "t.tar", "w") as tar:
            tar.add(plain, "plain")
        with tarfile.open(Path(name) / "t.tar") as tar:
            by_tar = sum(member.size for member in tar if member.isreg())
        for source in (plain, Path(name) / "t.tar"):
            found = audit_of(source, findings=False)
            assert (adds_up(found), found.total.files) == (by_du(plain), len(tree) + len(names)), (
                source.name
            )
        assert by_du(plain) == by_tar
