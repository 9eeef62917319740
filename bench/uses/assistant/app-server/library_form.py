"""A form and a file upload's error, posted to the application."""

import fastapi
from fastapi.testclient import TestClient

app = fastapi.FastAPI()


@app.post("/echo")
async def echo(request: fastapi.Request) -> dict[str, str]:
    return {"got": (await request.body()).decode()}


assert TestClient(app).post("/echo", data={"a": "1"}).json() == {"got": "a=1"}
