"""Current wheels from the package index as layers: what they can do before, they can do after.

The runtime layer is the running Python. Each framework layer holds what pip installs, so that
RECORD, scripts and native libraries are as a user has them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slim.config.load import load_config
from slim.model.outcome import RunResult
from slim.model.progress import Silent
from slim.model.stack import LayerKind
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.sample.contents import LayerContents
from slim.sample.layers import SampleLayer
from slim.sample.layout import Interpreter
from slim.sample.publish import publish_layers
from slim.sample.runtime import runtime_contents
from tests.support.deployed_stacks import deploy, python

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="deploys with tar and POSIX layers"),
    pytest.mark.skipif(
        shutil.which("tar") is None or shutil.which("bash") is None, reason="needs tar and bash"
    ),
    pytest.mark.xdist_group("wheels"),
]

FRAMEWORKS = {
    "framework-arrays": ("numpy", "scipy"),
    "framework-things": (
        "cryptography",
        "fastapi",
        "httpx",
        "jinja2",
        "lxml",
        "pillow",
        "pydantic",
        "regex",
        "tokenizers",
        "tzdata",
    ),
}

USES = {
    "numpy": """
import numpy as np
a = np.arange(12.0).reshape(3, 4)
chance = float(np.random.default_rng(1).random())
result = [np.linalg.norm(a).round(6), chance, np.fft.fft(a).real.sum().round(6)]
""",
    "numpy-testing": """
import numpy.testing as t
t.assert_allclose([1.0], [1.0 + 1e-9])
result = "fine"
""",
    "scipy": """
import numpy as np
from scipy import integrate, linalg, ndimage, optimize, signal, sparse, spatial, special, stats
import scipy.sparse.linalg
result = [
    round(float(linalg.det(np.eye(4) * 2)), 6),
    round(float(optimize.brentq(lambda x: x * x - 2, 0, 2)), 6),
    round(float(special.gamma(4.5)), 6),
    round(float(stats.norm.cdf(1)), 6),
    round(integrate.quad(np.cos, 0, 1)[0], 6),
    round(float(sparse.linalg.spsolve(sparse.eye(5, format="csc") * 4, np.ones(5)).sum()), 6),
    round(float(spatial.KDTree(np.eye(3)).query([0, 0, 0])[0]), 6),
    ndimage.label(np.eye(3))[1],
    len(signal.firwin(9, 0.3)),
]
""",
    "cryptography": """
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ed25519
key = ed25519.Ed25519PrivateKey.from_private_bytes(b"7" * 32)
result = [Fernet(Fernet.generate_key()) is not None, key.sign(b"x").hex()]
""",
    "fastapi": """
import asyncio, fastapi, httpx
app = fastapi.FastAPI()
@app.get("/add")
def add(a: int, b: int) -> dict[str, int]:
    return {"sum": a + b}
async def ask():
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        good = await client.get("/add", params={"a": 1, "b": 2})
        bad = await client.get("/add", params={"a": "x"})
        return [good.json(), bad.status_code, bad.json()]
result = asyncio.run(ask())
""",
    "jinja2": """
import jinja2
result = jinja2.Template("{% for x in y %}{{ x|upper }} {% endfor %}").render(y=["a", "b"])
""",
    "lxml": """
from lxml import etree, html
sheet = '<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform">'
sheet += '<x:template match="/"><y><x:value-of select="count(//b)"/></y></x:template>'
sheet += '</x:stylesheet>'
done = etree.XSLT(etree.fromstring(sheet))(etree.fromstring("<a><b/><b/></a>"))
result = [str(done), html.fromstring("<p>x<b>y").text_content()]
""",
    "pillow": """
import hashlib, io
from PIL import Image, ImageDraw, ImageFilter, features
image = Image.new("RGB", (64, 48), "white")
ImageDraw.Draw(image).text((4, 4), "slim", fill="black")
found = {}
for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF"):
    stream = io.BytesIO()
    image.filter(ImageFilter.BLUR).save(stream, kind)
    pixels = Image.open(io.BytesIO(stream.getvalue())).convert("RGB").tobytes()
    found[kind] = hashlib.sha256(pixels).hexdigest()[:12]
result = [found, features.get_supported()]
""",
    "pydantic": """
import datetime, pydantic
class M(pydantic.BaseModel):
    when: datetime.datetime
    n: pydantic.PositiveInt
result = [M(when="2024-01-02T03:04:05Z", n="3").model_dump_json(), M.model_json_schema()]
""",
    "regex": """
import regex
result = regex.findall(r"\\p{Lu}\\p{Ll}+", "Größe Zürich x")
""",
    "tokenizers": """
from tokenizers import Tokenizer, models, trainers, pre_tokenizers
t = Tokenizer(models.BPE(unk_token="u"))
t.pre_tokenizer = pre_tokenizers.Whitespace()
trainer = trainers.BpeTrainer(special_tokens=["u"], show_progress=False)
t.train_from_iterator(["low lower lowest"] * 5, trainer)
result = t.encode("lowest low").tokens
""",
    "tzdata": """
import zoneinfo, datetime
zoneinfo.reset_tzpath([])
result = str(datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")).utcoffset())
""",
    "metadata": """
import importlib.metadata as m
names = sorted({d.metadata["Name"] for d in m.distributions()})
points = [e for d in m.distributions() for e in d.entry_points]
entry_points = sorted(f"{e.group}:{e.name}={e.value}" for e in points)
licences = sorted(d.metadata["Name"] for d in m.distributions()
                  if any("licen" in str(f).lower() for f in d.files or ()))
result = [{n: m.version(n) for n in names}, entry_points, licences]
""",
    "files": """
import importlib.metadata as m
gone = [str(f) for d in m.distributions() for f in d.files or () if not f.locate().exists()]
result = [f for f in gone if not f.startswith("..") and not f.endswith(".pyc")]
""",
    "standard library": """
import asyncio, bz2, concurrent.futures, csv, ctypes, curses, dbm, decimal, email, hashlib
import html.parser, http.client, locale, logging.config, lzma, mimetypes, multiprocessing, pdb
import pickle, queue, sqlite3, ssl, statistics, tarfile, tomllib, unicodedata, unittest.mock
import urllib.request, uuid, venv, wsgiref, xml.dom.minidom, xmlrpc.client, zipfile
digest = hashlib.blake2b(b"x").hexdigest()[:8]
result = [digest, str(decimal.Decimal(1) / 3), sqlite3.sqlite_version]
""",
}


@dataclass(frozen=True)
class Layers:
    """The stack deployed before and after."""

    before: Path
    after: Path
    result: RunResult


def installed(requirements: tuple[str, ...], folder: Path) -> Path:
    """site-packages with wheels and nothing else; skips where there is no index."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--only-binary=:all:",
    ]
    command += [
        "--disable-pip-version-check",
        "--ignore-installed",
        "--prefix",
        str(folder),
        *requirements,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        trouble = done.stderr.strip().splitlines() or ["no message"]
        if os.environ.get("CI"):
            pytest.fail(f"pip couldn't install {requirements}: {trouble[-1]}")
        pytest.skip(f"pip couldn't install {requirements}: {trouble[-1]}")
    return next(folder.glob("lib*/python3*/site-packages"))


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Layers:
    top = tmp_path_factory.mktemp("wheels")
    interpreter = Interpreter.running()
    stack = [
        SampleLayer(
            name=f"cpython{interpreter.short}",
            kind=LayerKind.RUNTIME,
            contents=runtime_contents(interpreter),
        )
    ]
    for name, requirements in FRAMEWORKS.items():
        contents = LayerContents()
        site = installed(requirements, top / name)
        contents.add_tree(interpreter.layout.site, site, skip=lambda name: name == "__pycache__")
        stack.append(
            SampleLayer(name=name, kind=LayerKind.FRAMEWORK, contents=contents, pins=requirements)
        )
    # The uses are part of the application, so that slim sees what it imports.
    modules = {f"{module(use)}.py": code.encode() for use, code in USES.items()}
    stack.append(
        SampleLayer(
            name="app-uses",
            kind=LayerKind.APPLICATION,
            contents=LayerContents(),
            requires=tuple(FRAMEWORKS),
            launch_module=module("numpy"),
            modules=modules,
        )
    )
    # Uncompressed: this is about what is in the layers, and takes a quarter of the time.
    published = publish_layers(top / "published", stack, interpreter, Silent(), format_name="tar")
    (result,) = run(RunRequest(source=published, output=top / "out", config=load_config(SCHEMAS)))
    return Layers(
        before=deploy(published, top / "before"),
        after=deploy(top / "out", top / "after"),
        result=result,
    )


def module(use: str) -> str:
    """The module of the application that makes this use."""
    return f"use_{use.replace('-', '_').replace(' ', '_')}"


def outcome(deployed: Path, use: str) -> Any:
    """What a use of a package comes to, errors included."""
    code = f"""
import json
try:
    from {module(use)} import result
except BaseException as error:
    result = type(error).__name__ + ": " + str(error)
print(json.dumps(result, default=str, sort_keys=True))
"""
    return python(deployed, "app-uses", code)


@pytest.mark.parametrize("use", USES)
def test_a_use_gives_the_same(layers: Layers, use: str) -> None:
    before = outcome(layers.before, use)
    assert "Error" not in json.dumps(before), "the test itself doesn't work with these wheels"
    assert outcome(layers.after, use) == before


def test_something_was_gained_in_every_layer_of_wheels(layers: Layers) -> None:
    for layer in layers.result.layers:
        if layer.layer.kind is not LayerKind.APPLICATION:
            assert layer.after.unpacked < 0.95 * layer.before.unpacked, layer.layer.name


def test_native_libraries_only_need_what_they_needed_and_what_is_there(layers: Layers) -> None:
    """The system's own loader agrees: nothing is missing that wasn't missing before."""
    if shutil.which("ldd") is None:
        pytest.skip("ldd is absent")

    def missing(top: Path) -> dict[str, list[str]]:
        found = {}
        for path in sorted(top.rglob("*.so*")):
            if path.is_symlink() or not path.is_file():
                continue
            done = subprocess.run(["ldd", path], capture_output=True, text=True)
            found[str(path.relative_to(top))] = [
                line.split()[0] for line in done.stdout.splitlines() if "not found" in line
            ]
        return found

    before, after = missing(layers.before), missing(layers.after)
    assert len(after) > 50
    assert {path: libraries for path, libraries in after.items() if libraries != before[path]} == {}
