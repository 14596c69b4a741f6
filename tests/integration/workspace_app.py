"""A workspace's program: `python workspace_app.py SOCKET [PORT]`. HTTP and WebSocket by uvicorn, on both if given."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvicorn

CHUNK = bytes(1024 * 1024)
SEEN: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await _echo(scope, receive, send)
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    path = scope["path"]
    if path not in ("/", "/seen"):
        SEEN.append(f"{scope['method']} {path}")
    headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
    if path.startswith("/bytes/"):
        await _bytes(int(path.rpartition("/")[2]), send)
    elif path == "/echo":
        query = scope["query_string"].decode()
        told = {"method": scope["method"], "query": query, "headers": headers, "body": len(body)}
        await _answer(send, json.dumps(told).encode())
    elif path == "/seen":
        await _answer(send, json.dumps(SEEN).encode())
    elif path == "/cookies":
        await _answer(
            send, b"ok",
            [(b"set-cookie", b"own=1; Path=/"), (b"set-cookie", b"wide=1; Domain=localhost"), (b"set-cookie", b"__Host-parasol-ws=x; Secure")],
        )  # fmt: skip
    elif path == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        SEEN.append("left /events")
    else:
        await _answer(send, b"Hello, world.")


async def _answer(send: Any, body: bytes, headers: Any = ()) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _bytes(count: int, send: Any) -> None:
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(count).encode())]}
    )
    for start in range(0, count, len(CHUNK)):
        part = CHUNK[: min(len(CHUNK), count - start)]
        await send({"type": "http.response.body", "body": part, "more_body": start + len(part) < count})


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    SEEN.append(f"SOCKET {scope['path']}")
    await receive()
    if scope["path"] == "/refused":
        await send({"type": "websocket.close"})
        return
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4000})
            return
        await send({"type": "websocket.send", "bytes": message.get("bytes"), "text": message.get("text")})
    SEEN.append(f"closed {message.get('code')}")


async def main() -> None:
    common: dict[str, Any] = {
        "http": "httptools",
        "ws": "websockets-sansio",
        "lifespan": "off",
        "log_level": "error",
    }
    servers = [uvicorn.Server(uvicorn.Config(app, uds=sys.argv[1], **common))]
    if len(sys.argv) > 2:
        servers.append(uvicorn.Server(uvicorn.Config(app, port=int(sys.argv[2]), **common)))
    await asyncio.gather(*(server.serve() for server in servers))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
