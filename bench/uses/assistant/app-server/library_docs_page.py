"""The application's documentation pages and schema."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

client = TestClient(FastAPI(title="Ours"))
assert "swagger" in client.get("/docs").text
assert "redoc" in client.get("/redoc").text
assert client.get("/openapi.json").json()["info"]["title"] == "Ours"
