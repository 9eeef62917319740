"""A proxy on loopback that does to requests what networks and busy stores do."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Fault(Enum):
    """What becomes of one request."""

    RESET = auto()
    """The connection is reset before the server hears of it."""
    LOST = auto()
    """The server does it; the connection is reset before it can answer."""
    BUSY = auto()
    """429, and the server doesn't hear of it."""
    SLOW_DOWN = auto()
    """503, likewise."""
    BROKEN = auto()
    """500, likewise."""
    CUT = auto()
    """Half of the answer's body comes, then the connection ends."""
    SHORT = auto()
    """The answer has one byte less, and says so."""


_STATUS = {Fault.BUSY: 429, Fault.SLOW_DOWN: 503, Fault.BROKEN: 500}


@dataclass(frozen=True)
class Request:
    """A request as a plan of faults sees it. ``number`` counts from 0."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """By name in lower case."""


@dataclass
class Proxy:
    """The proxy's URL, what it saw, and what it does: ``plan`` may be set anew at any time.

    With ``ignore_conditions`` the server behind never hears of If-None-Match, as with stores that
    don't know it.
    """

    url: str
    plan: Callable[[Request], Fault | None] = lambda request: None
    seen: list[Request] = field(default_factory=list)
    ignore_conditions: bool = False


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    """Yield a proxy before the server at a URL."""
    target = urlsplit(upstream)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self._body()
            with lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(len(state.seen), self.command, self.path, headers)
                state.seen.append(request)
            fault = state.plan(request)
            if fault is Fault.RESET:
                return self._reset()
            if fault in _STATUS:
                return self._answer(_STATUS[fault], [], b"<Error><Code>Busy</Code></Error>")
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("transfer-encoding", "content-length", "connection")
                and not (state.ignore_conditions and name.lower() == "if-none-match")
            }
            there = http.client.HTTPConnection(target.hostname or "", target.port)
            there.request(self.command, self.path, body, headers)
            answer = there.getresponse()
            data = answer.read()
            kept = [
                (name, value)
                for name, value in answer.getheaders()
                if name.lower() not in ("transfer-encoding", "connection", "content-length")
            ]
            size = answer.getheader("Content-Length") if self.command == "HEAD" else None
            there.close()
            if fault is Fault.LOST:
                return self._reset()
            if fault is Fault.SHORT:
                return self._answer(answer.status, kept, data[:-1])
            return self._answer(answer.status, kept, data, size, cut=fault is Fault.CUT)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def _reset(self) -> None:
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)  # close(2) then sends RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.wfile.close()
            self.rfile.close()
            self.connection.close()

        def _answer(
            self,
            status: int,
            headers: list[tuple[str, str]],
            data: bytes,
            size: str | None = None,
            *,
            cut: bool = False,
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", size or str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """Clients that went away are what tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    state = Proxy(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
