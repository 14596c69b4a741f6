"""A workspace's program that answers with exactly the bytes a test asks for: `python workspace_raw.py SOCKET`.

`GET /raw/<hex>` answers these bytes; with `?close` the connection is closed after them. Every request byte is
appended to the file `seen` in the working folder. `/never` is not answered, and what follows it not read;
`/fresh` is answered as a connection's first request only, and closes it unread otherwise.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

SEEN = Path("seen")
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def note(head: bytes) -> None:
    with SEEN.open("ab") as file:
        file.write(head)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    served = 0
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            note(head)
            target = head.split(b" ")[1].decode()
            path, _, query = target.partition("?")
            if path == "/fresh" and served:
                return
            served += 1
            if path == "/never":
                await asyncio.Event().wait()
            writer.write(bytes.fromhex(path.removeprefix("/raw/")) if path.startswith("/raw/") else HELLO)
            await writer.drain()
            if query == "close":
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def main() -> None:
    SEEN.touch()
    server = await asyncio.start_unix_server(serve, sys.argv[1])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
