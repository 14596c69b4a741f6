"""A hub made of the shared end alone: it lets an agent in, asks, orders, and keeps what it hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from facility_agent.ports.link import AskedOrder
from shared.link.centre_end import CentreEnd
from shared.link.channel import COMMON_OPTIONS, CONNECT, PUT_BULK, SERVICE
from shared.link.outputs import (
    Closed,
    Ending,
    Greeted,
    OrderAccepted,
    OrderSettled,
    Output,
    PeerDrains,
    Reported,
    Settled,
)
from shared.link.pump import Pump, StreamLost
from shared.link.terms import DEFAULT, Terms
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb


class HubSession:
    """One agent's session as the hub sees it."""

    def __init__(self, hub: SmallHub, requests: AsyncIterator[bytes], context: Any) -> None:
        self._hub, self._requests, self._context = hub, requests, context
        self.end = CentreEnd(hub.terms, asyncio.get_running_loop().time())
        self.pump = Pump(self.end, self._read, self._write, self._handle, lambda _: False)
        self.hello = pb.Hello()
        self.epoch = 0
        self.accepted: list[str] = []
        self.results: dict[str, pb.OrderResult] = {}
        self.answers: dict[int, pb.Result] = {}
        self.events: list[pb.Event] = []
        self.drained = False
        self.closed: Closed | None = None

    async def _read(self) -> bytes | None:
        try:
            return await anext(self._requests)
        except StopAsyncIteration:
            return None
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            raise StreamLost("The agent is gone.") from error

    async def _write(self, data: bytes) -> None:
        try:
            await self._context.write(data)
        except (grpc.aio.AioRpcError, grpc.aio.UsageError) as error:
            raise StreamLost("The agent is gone.") from error

    async def _handle(self, output: Output) -> None:
        match output:
            case Greeted():
                self.hello = output.hello
                self._greet(output)
            case OrderAccepted(order_id):
                self.accepted.append(order_id)
            case OrderSettled(order_id, result):
                self.results[order_id] = result
                if self._hub.acknowledges:
                    self.end.acknowledge(order_id)
            case Settled(ticket, result) if isinstance(result, pb.Result):
                self.answers[ticket] = result
            case Reported(event):
                self.events.append(event)
            case PeerDrains():
                self.drained = True
        self.pump.wake()

    def _greet(self, greeted: Greeted) -> None:
        if self._hub.refusal is not None:
            self.pump.close(self._hub.refusal, "Release it at the centre.", tell=True)
            return
        self.epoch = self._hub.next_epoch()
        now = asyncio.get_running_loop().time()
        self.end.welcome(self.epoch, f"s-{self.epoch}", greeted.version, now, reconcile=self._hub.reconcile)

    def order(self, asked: AskedOrder) -> None:
        now = asyncio.get_running_loop().time()
        self.end.order(asked.order_id, asked.body, asked.grant_id, asked.mac, now)
        self.pump.wake()

    def ask(self, body: bytes, timeout_s: float = 5.0) -> int:
        ticket = self.end.ask(body, "", b"", timeout_s, asyncio.get_running_loop().time())
        self.pump.wake()
        return ticket

    def acknowledge(self, order_id: str) -> None:
        self.end.acknowledge(order_id)
        self.pump.wake()

    def drain(self, deadline_s: float = 5.0, reconnect_after_s: float = 0.0) -> None:
        self.end.drain(deadline_s, reconnect_after_s)
        self.pump.wake()


class SmallHub:
    """Listens on loopback. `sessions` holds every one that ever was, in order."""

    def __init__(self, terms: Terms = DEFAULT) -> None:
        self.terms, self.port = terms, 0
        self.sessions: list[HubSession] = []
        self.acknowledges, self.reconcile = True, False
        self.refusal: Ending | None = None
        self.takes_bulk = True
        self.bulk: dict[tuple[str, int], tuple[int, bytes]] = {}
        self.metadata: list[dict[str, str]] = []
        self._epoch = 0
        self.epochs: Callable[[], int] | None = None
        self._server: Any = None

    def next_epoch(self) -> int:
        if self.epochs is not None:
            return self.epochs()
        self._epoch += 1
        return self._epoch

    async def start(self, port: int = 0) -> None:
        self._server = grpc.aio.server(options=(*COMMON_OPTIONS, ("grpc.so_reuseport", 0)))  # type: ignore[attr-defined]
        methods = {
            CONNECT: grpc.stream_stream_rpc_method_handler(self._connect),
            PUT_BULK: grpc.stream_unary_rpc_method_handler(self._put_bulk),
        }
        if not self.takes_bulk:
            del methods[PUT_BULK]
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)

    async def _connect(self, requests: AsyncIterator[bytes], context: Any) -> None:
        session = HubSession(self, requests, context)
        self.sessions.append(session)
        with suppress(asyncio.CancelledError):
            session.closed = await session.pump.run()

    async def _put_bulk(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        chunks = [pb.BulkChunk.FromString(data) async for data in requests]
        data = b"".join(chunk.data for chunk in chunks)
        self.bulk[chunks[0].session_id, chunks[0].ticket] = (len(chunks), data)
        return pb.BulkReceipt(bytes=len(data)).SerializeToString()

    @property
    def newest(self) -> HubSession:
        return self.sessions[-1]

    def open(self) -> list[HubSession]:
        """The sessions that have not ended."""
        return [session for session in self.sessions if session.end.ready]
