"""Object stores on loopback, and what may go wrong between them and slim: for tests alone."""

from __future__ import annotations

import base64
import hmac
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "slim-test-key", "slim-test-secret"

Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


@contextmanager
def moto() -> Iterator[str]:
    """Yield the URL of an S3 server of moto's, which does one request after the other.

    Its create-only writes look first and write then, with nothing that holds others off.
    """
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    one = threading.Lock()

    def serial(environment: dict[str, Any], start: Any) -> Iterable[bytes]:
        with one:
            return application(environment, start)

    server = make_server("127.0.0.1", 0, serial, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        reset(url)
        yield url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def reset(url: str) -> None:
    """Empty moto, whose state is one for the whole process, and make the bucket ``bucket``."""
    call(f"{url}/moto-api/reset", "POST")
    call(f"{url}/bucket", "PUT")


def call(url: str, method: str) -> bytes:
    """Send a request without a signature, which moto doesn't ask for."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        return answer.read()


def environment(url: str) -> dict[str, str]:
    """Environment variables that lead slim to a server that speaks S3."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }


def make_bucket(url: str) -> None:
    """Make the bucket ``bucket`` at a server that asks for signatures."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")


def free_port() -> int:
    """A port that nobody listens on, nor on the two above it, a moment ago."""
    while True:
        with socket.socket() as probe, socket.socket() as next_one, socket.socket() as third:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            try:
                next_one.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except OSError:
                continue
            return port


@contextmanager
def _started(
    command: list[str], more: Mapping[str, str], port: int, *, bucket: bool = True
) -> Iterator[str]:
    """Yield the URL of a server of another program, which ends with the block."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command,
        env={**os.environ, **more},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _answers(url):
            assert process.poll() is None, f"{command[0]} has ended"
            time.sleep(0.1)
        if bucket:
            make_bucket(url)
        yield url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def ministack(folder: Path) -> AbstractContextManager[str]:
    """S3 of ministack (PyPI), where it is installed."""
    if importlib.util.find_spec("ministack") is None:
        pytest.skip("ministack isn't installed: pip install ministack")
    port = free_port()
    more = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3"}
    return _started([sys.executable, "-m", "ministack"], more, port)


def nanio(folder: Path) -> AbstractContextManager[str]:
    """Server nanio (PyPI), an S3 server that ignores If-None-Match, where it is installed."""
    if importlib.util.find_spec("nanio") is None:
        pytest.skip("nanio isn't installed: pip install nanio")
    port = free_port()
    where = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder)]
    code = "from nanio.cli import main; main()"
    keys = {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET}
    return _started([sys.executable, "-c", code, "serve", *where], keys, port)


AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""What Azurite's documentation says."""


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Azurite (npm), a server that speaks as Azure's Blob Storage does, where it is installed."""
    program = os.environ.get("SLIM_TEST_AZURITE") or shutil.which("azurite-blob")
    if program is None:
        pytest.skip("azurite-blob isn't there: npm install azurite; SLIM_TEST_AZURITE names it")
    folder.mkdir(exist_ok=True)
    port = free_port()
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    command = [program, *where, "--silent", "--skipApiVersionCheck"]
    with _started(command, {}, port, bucket=False) as url:
        _make_container(url)
        yield url


def _make_container(url: str) -> None:
    """Make the container ``bucket``: a request signed as "Authorize with Shared Key" says."""
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": now, "x-ms-version": "2021-08-06"}
    named = "".join(f"{name}:{value}\n" for name, value in headers.items())
    resource = f"/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/bucket\nrestype:container"
    text = "PUT" + 5 * "\n" + "text/plain" + 7 * "\n" + named + resource
    digest = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), "sha256").digest()
    headers["Authorization"] = f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}"
    headers["Content-Type"] = "text/plain"
    place = f"{url}/{AZURE_ACCOUNT}/bucket?restype=container"
    request = urllib.request.Request(place, b"", headers, method="PUT")
    urllib.request.urlopen(request).close()


def azure_environment(url: str) -> dict[str, str]:
    """Environment variables that lead slim to Azurite."""
    return {
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURITE_BLOB_STORAGE_URL": url,
        "AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY,
    }


CEPH = "SLIM_TEST_CEPH"
"""Environment variable with the folder that ``ceph_gateway.sh fetch`` filled."""


@contextmanager
def ceph(folder: Path) -> Iterator[str]:
    """Ceph's object gateway, where its packages are."""
    packages = os.environ.get(CEPH)
    if packages is None:
        pytest.skip(f"{CEPH} doesn't name Ceph's packages: see tests/support/ceph_gateway.sh")
    port = free_port()
    try:
        _gateway("start", packages, str(folder), str(port))
        url = f"http://127.0.0.1:{port}"
        make_bucket(url)
        yield url
    finally:
        _gateway("stop", str(folder))


def _gateway(*words: str) -> None:
    script = str(Path(__file__).with_name("ceph_gateway.sh"))
    subprocess.run(["bash", script, *words], check=True, stdout=subprocess.DEVNULL)


def kill_gateway(folder: Path) -> None:
    """End Ceph's gateway at once; monitor and OSD stay."""
    os.kill(int((folder / "rgw.pid").read_text()), 9)


def restart_gateway(folder: Path) -> None:
    """Start it again."""
    _gateway("gateway", os.environ[CEPH], str(folder))
