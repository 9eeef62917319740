"""Sends requests to a running server of a stack: the slimmed one has to answer as the original.

    python bench/answers.py TABLE ORIGINAL SLIMMED

TABLE is a TOML file: the layer, a command that prepares a folder, one that starts the server, a
path that answers once it is ready, and the requests. Both servers run from deployed stacks, one
after the other, and get every request on a connection of its own. Status, headers (without the
date) and body have to be the same. The exit code is 1 if any differs.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

LONGEST = 600.0
"""Seconds that a server may take to start, or to answer."""


def main() -> int:
    """Ask both servers, print what differs, and tell whether anything does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("original", type=Path)
    parser.add_argument("slimmed", type=Path)
    options = parser.parse_args()
    table = tomllib.loads(options.table.read_text(encoding="utf-8"))
    before, after = (
        _answers(table, root.resolve()) for root in (options.original, options.slimmed)
    )
    different = [name for name in before if before[name] != after[name]]
    codes = sorted({answer.split(" ", 2)[1] for answer in before.values() if " " in answer})
    print(f"{len(before)} requests ({', '.join(codes)}): {len(different)} answered differently")
    for name in different:
        print(f"--- {name}\noriginal: {before[name][:400]!r}\nslimmed:  {after[name][:400]!r}")
    return 1 if different else 0


def _answers(table: dict[str, Any], root: Path) -> dict[str, str]:
    """Start the server of a deployed stack, and return its answers by request."""
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        words = {"folder": folder, "port": str(port)}
        subprocess.run(
            _command(table["prepare"], root, table, words),
            cwd=folder,
            env=_environment(),
            check=True,
            timeout=LONGEST,
        )
        server = subprocess.Popen(
            _command(table["start"], root, table, words),
            cwd=folder,
            env=_environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(server, port, table["ready"])
            return {request["name"]: _ask(port, request) for request in table["request"]}
        finally:
            server.terminate()
            server.wait(timeout=LONGEST)


def _command(
    argv: list[str], root: Path, table: dict[str, Any], words: dict[str, str]
) -> list[str]:
    program = root / table["layer"] / "bin" / argv[0]
    return [str(program), *(words.get(word.strip("{}"), word) for word in argv[1:])]


def _environment() -> dict[str, str]:
    fixed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"}
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **fixed}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait(server: subprocess.Popen[bytes], port: int, path: str) -> None:
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        try:
            if _ask(port, {"path": path}).startswith("HTTP/1.1 200"):
                return
        except OSError:
            if server.poll() is not None:
                raise SystemExit(f"the server ended with code {server.returncode}") from None
        time.sleep(0.2)
    raise SystemExit("the server wasn't ready in time")


def _ask(port: int, request: dict[str, Any]) -> str:
    """Send one request; return its answer without the date."""
    data = request["raw"].encode() if "raw" in request else _request(request)
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(1 << 16):
            received += part
    head, gap, body = received.decode("utf-8", "backslashreplace").partition("\r\n\r\n")
    kept = [line for line in head.split("\r\n") if not line.lower().startswith("date:")]
    return "\r\n".join(kept) + gap + body


def _request(request: dict[str, Any]) -> bytes:
    body: bytes = request.get("json", "").encode()
    headers = {"Host": "localhost", "Connection": "close"}
    if body:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers |= request.get("headers", {})
    lines = [f"{request.get('method', 'GET')} {request['path']} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


if __name__ == "__main__":
    raise SystemExit(main())
