"""The HTTP client: redirects, cookies, authentication, time-outs, a mock of a server."""

import httpx


def answer(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/old":
        return httpx.Response(302, headers={"Location": "/new", "Set-Cookie": "a=1"})
    return httpx.Response(200, json={"auth": request.headers.get("authorization", "")})


with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://x", auth=("a", "b")) as c:
    got = c.get("/old", follow_redirects=True)
assert got.json()["auth"].startswith("Basic") and got.history
