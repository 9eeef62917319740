"""The HTTP client, asynchronously, against an application in the same process."""

import asyncio

import httpx
from fastapi import FastAPI

app = FastAPI()
app.get("/")(lambda: {"a": 1})


async def ask() -> dict[str, int]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return (await client.get("/")).json()


assert asyncio.run(ask()) == {"a": 1}
