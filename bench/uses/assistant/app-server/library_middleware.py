"""Middleware: CORS, compression, trusted hosts."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.testclient import TestClient

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["*"])
app.add_middleware(GZipMiddleware, minimum_size=10)
app.get("/")(lambda: "x" * 100)
answer = TestClient(app).get("/", headers={"Origin": "http://a", "Accept-Encoding": "gzip"})
assert answer.headers["access-control-allow-origin"] == "*"
assert answer.headers["content-encoding"] == "gzip"
