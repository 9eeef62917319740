"""Large files, a window at a time: the same finds as in one piece, in little memory."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slim.analysis.imports import native_names
from slim.system import mapped

PATTERNS = [
    rb"\.(?:so|dylib|[dD][lL][lL])(?![a-zA-Z])",
    rb"(?i:blas)",
    rb"/proc/self/exe\0",
    rb"ab{1,5}",
    rb"x[\x01\x5e\x9c\xda]",
]
WORDS = [b"libx.so.1", b".dll", b"openBLAS", b"/proc/self/exe\0", b"abbbb", b"x\x9c", b"\0", b"zz"]


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_WINDOW", 64)
    monkeypatch.setattr(native_names, "PART", 64)


def texts() -> Iterator[bytes]:
    chance = random.Random(14)
    for _ in range(60):
        yield b"".join(chance.choice(WORDS) for _ in range(chance.randrange(120)))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_same_is_found_window_by_window(pattern: bytes) -> None:
    compiled = re.compile(pattern)
    for text in texts():
        whole = [(match.span(), match[0]) for match in compiled.finditer(text)]
        found = mapped.find_all(compiled, memoryview(text), 32)
        assert [(match.span(), match[0]) for match in found] == whole


def test_words_across_windows_are_found() -> None:
    words = [*WORDS, b"absent", b"sox"]
    for text in texts():
        expected = {word for word in words if word in text}
        assert mapped.words_in(memoryview(text), words) == expected == mapped.words_in(text, words)
        assert b"".join(mapped.pieces_of(memoryview(text))) == text


def test_parts_of_a_compiled_file_cut_no_string() -> None:
    for text in texts():
        parts = list(native_names._parts(memoryview(text)))
        joined = b"".join(part[:-1] if part.endswith(b"\0") else part for part in parts[:-1])
        runs = set(re.findall(rb"[^\0]+", text))
        if all(len(run) < 60 for run in re.findall(rb"[^\0]*", text)):
            assert {run for part in parts for run in re.findall(rb"[^\0]+", part)} == runs
        assert joined + b"".join(parts[-1:]) == text


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_searching_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    """A sparse file of 512 MiB is read, searched, hashed and edited in a tenth of that."""
    place = tmp_path / "large"
    with place.open("wb") as file:
        file.write(b"start")
        file.seek((512 << 20) - 5)
        file.write(b"x.so\0")
    code = f"""
import re, resource
from pathlib import Path
from slim.formats.base import ReadOptions
from slim.formats.digests import digest_of
from slim.formats.directory import read_directory
from slim.formats.edited import EditedContent
from slim.model.recipe import Kept, Recipe
from slim.system.mapped import find_all, words_in
folder = Path({str(tmp_path)!r})
content = read_directory(folder, ReadOptions(spool_dir=folder)).members["large"].content
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
before = peak()
found = find_all(re.compile(rb"\\.so"), content.view())
assert [match.start() for match in found] == [(512 << 20) - 4]
assert words_in(content.view(), [b"start", b"x.so", b"no"]) == {{b"start", b"x.so"}}
recipe = Recipe((Kept(0, 400 << 20), b"end"))
edited = EditedContent(original=content, recipe=recipe, size=recipe.size, spool_dir=folder)
digest_of(edited)
assert bytes(edited.view()[-4:]) == b"\\0end"
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 51 << 20
