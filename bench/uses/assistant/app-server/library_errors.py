"""Errors of requests: not found, not valid, and raised."""

from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

app = FastAPI()


@app.get("/{number}")
def one(number: int) -> int:
    if number > 9:
        raise HTTPException(418, "too large")
    return number


client = TestClient(app)
assert [client.get(path).status_code for path in ("/3", "/x", "/12", "/a/b")] == [
    200,
    422,
    418,
    404,
]
