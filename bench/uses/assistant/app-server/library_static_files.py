"""Static files from a folder."""

import tempfile
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient

with tempfile.TemporaryDirectory() as name:
    (Path(name) / "a.html").write_text("<p>hi")
    app = FastAPI()
    app.mount("/", StaticFiles(directory=name))
    assert TestClient(app).get("/a.html").text == "<p>hi"
