"""A streamed answer."""

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

app = FastAPI()


@app.get("/")
def numbers() -> StreamingResponse:
    return StreamingResponse(str(number) for number in range(5))


with TestClient(app).stream("GET", "/") as answer:
    assert "".join(answer.iter_text()) == "01234"
