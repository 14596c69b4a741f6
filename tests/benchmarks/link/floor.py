"""What no durable order can do without: `python -m tests.benchmarks.link.floor centre|agent FOLDER DATABASE|PORT`.

One process commits a row, sends 300 bytes to the other over a gRPC stream, which commits twice and answers; then the first
commits again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop

from tests.benchmarks.link.helper import obey

PATH = "/floor.Echo/Connect"
PAYLOAD = b"x" * 300
_aio: Any = grpc.aio


def sqlite(file: Path, synchronous: str) -> sqlite3.Connection:
    """A database as Parasol opens it."""
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    db.executescript(
        f"pragma journal_mode=wal; pragma synchronous={synchronous}; create table if not exists t (a blob)"
    )
    return db


class Centre:
    """Commits to PostgreSQL, or to SQLite as an embedded centre does; and echoes."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._database = folder, database
        self._stream: Any = None
        self._up, self._over = asyncio.Event(), asyncio.Event()

    async def connect(self, _: Any, context: Any) -> None:
        """The other process."""
        self._stream = context
        self._up.set()
        await self._over.wait()

    async def port(self) -> int:
        """Listen."""
        self._server = _aio.server()
        handler = grpc.stream_stream_rpc_method_handler(self.connect)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("floor.Echo", {"Connect": handler}),)
        )
        port = int(self._server.add_insecure_port("127.0.0.1:0"))
        await self._server.start()
        return port

    def _commits(self) -> Any:
        if not self._database:
            db = sqlite(self._folder / "floor-centre.sqlite3", "normal")
            return lambda: db.execute("insert into t values (?)", (PAYLOAD,))
        import psycopg

        connection = psycopg.connect(self._database, autocommit=True, prepare_threshold=0)
        connection.execute("create table if not exists floor (a bytea)")
        return lambda: connection.execute("insert into floor values (%s)", (PAYLOAD,))

    async def measure(self, count: int) -> list[float]:
        """Seconds of so many rounds, one after the other."""
        await self._up.wait()
        commit, took = self._commits(), []
        for _ in range(count):
            begun = time.perf_counter()
            commit()
            await self._stream.write(PAYLOAD)
            await self._stream.read()
            commit()
            took.append(time.perf_counter() - begun)
        return took


async def centre(folder: Path, database: str) -> None:
    """The side that is measured."""
    mine = Centre(folder, database)
    await obey({"port": mine.port, "measure": mine.measure})
    mine._over.set()


async def agent(folder: Path, port: int) -> None:
    """The side that commits twice and answers."""
    db = sqlite(folder / "floor-agent.sqlite3", "full")

    async def answer() -> None:
        async with _aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.stream_stream(PATH)()
            await call.write(b"")
            while isinstance(data := await call.read(), bytes):
                for _ in range(2):
                    db.execute("insert into t values (?)", (data,))
                await call.write(data)

    answering = asyncio.create_task(answer())
    await obey({})
    answering.cancel()


if __name__ == "__main__":
    role, place, rest = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    uvloop.run(centre(place, rest) if role == "centre" else agent(place, int(rest)))
