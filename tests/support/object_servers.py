"""Object stores on loopback, and what may go wrong between them and slim: for tests alone."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

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
