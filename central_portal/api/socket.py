"""Subscriptions: graphql-transport-ws on Channels.

The cookie is seen once, at the handshake. The socket keeps the sealing key, looks the session up again for each
operation, and closes with 4401 when the session is renewed, ends or expires.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any

import orjson
from channels.generic.websocket import AsyncWebsocketConsumer
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    create_source_event_stream,
    execute,
    get_operation_ast,
)
from prometheus_client import Gauge

from central_portal.api.app import cookies_of, result_of
from central_portal.api.context import Context, Services
from central_portal.api.errors import formatted, refusal
from central_portal.api.execute import Documents, PlainContext
from central_portal.identity.services import Caller
from shared.errors import ParasolError
from shared.limits import LIMITS

PROTOCOL = "graphql-transport-ws"
INIT_WITHIN = 10.0
READ_WITHIN = 20.0
OPERATIONS = 32
SOCKETS = Gauge("parasol_graphql_sockets", "WebSockets that are open.")


class GraphQLSocket(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One browser's socket: a bounded number of operations, each a task."""

    schema: GraphQLSchema
    documents: Documents
    services: Services

    async def connect(self) -> None:
        """Accept the one protocol we speak, and learn who this is."""
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._initialised = self._closed = False
        self._caller: Caller | None = None
        self._undo: list[Callable[[], object]] = []
        if PROTOCOL not in self.scope.get("subprotocols", []):
            await self._close(4406, "Subprotocol not acceptable")
            return
        self._caller = await self.services.identity.caller(cookies_of(self.scope))
        loop = asyncio.get_running_loop()
        if self._caller is not None:
            self._undo.append(
                self.services.identity.on_session_end(
                    self._caller.session_hash, lambda: self._end(4401, "The session has changed.")
                )
            )
            left = max(0.0, self._caller.expires_at - time.time())
            self._undo.append(loop.call_later(left, self._end, 4401, "The session has expired.").cancel)
        await self.accept(PROTOCOL)
        SOCKETS.inc()
        self._undo.append(SOCKETS.dec)
        self._timer = loop.call_later(INIT_WITHIN, self._end, 4408, "Connection initialisation timeout")
        self._undo.append(self._timer.cancel)

    def _end(self, code: int, reason: str) -> None:
        self._closing = asyncio.ensure_future(self._close(code, reason))

    async def _close(self, code: int, reason: str) -> None:
        """Close once; nothing is told afterwards, and every operation stops."""
        if self._closed:
            return
        self._closed = True
        self._stop()
        try:
            await self.close(code, reason)
        except RuntimeError:
            return  # the other side was faster

    def _stop(self) -> None:
        for undo in self._undo:
            undo()
        self._undo.clear()
        running = asyncio.current_task()
        for task in self._operations.values():
            if task is not running:
                task.cancel()

    async def disconnect(self, code: int) -> None:
        """Stop every operation."""
        self._closed = True
        self._stop()
        await asyncio.gather(*self._operations.values(), return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One message of the protocol."""
        if text_data is None or len(text_data) > LIMITS.graphql_bytes:
            await self._close(4400, "Invalid message")
            return
        if self._closed:
            return
        try:
            message = json.loads(text_data)
            kind = message["type"]
        except (ValueError, TypeError, KeyError, RecursionError):
            await self._close(4400, "Invalid message")
            return
        if kind == "connection_init":
            await self._init()
        elif kind == "ping":
            await self._tell(type="pong")
        elif kind == "subscribe":
            await self._subscribe(message.get("id"), message.get("payload"))
        elif kind == "complete":
            task = self._operations.pop(str(message.get("id")), None)
            if task:
                task.cancel()
        elif kind != "pong":
            await self._close(4400, "Unknown message type")

    async def _init(self) -> None:
        if self._initialised:
            await self._close(4429, "Too many initialisation requests")
            return
        self._initialised = True
        self._timer.cancel()
        await self._tell(type="connection_ack")

    async def _subscribe(self, name: object, payload: object) -> None:
        if not self._initialised:
            await self._close(4401, "Unauthorized")
            return
        if not isinstance(name, str) or not name or not isinstance(payload, dict):
            await self._close(4400, "Invalid message")
            return
        if name in self._operations:
            await self._close(4409, f"Subscriber for {name[:40]} already exists")
            return
        if len(self._operations) >= OPERATIONS:
            error = refusal("RATE_LIMITED", "This socket has too many operations under way.")
            await self._tell(id=name, type="error", payload=[formatted(error)])
            return
        self._operations[name] = asyncio.create_task(self._run(name, payload))

    async def _run(self, name: str, payload: dict[str, Any]) -> None:
        try:
            caller = self._caller and await self.services.identity.refresh(self._caller)
            if self._caller is not None and caller is None:
                await self._close(4401, "The session has ended.")
                return
            async with aclosing(self._results(payload, caller)) as results:
                async for result in results:
                    if isinstance(result, list):
                        await self._tell(id=name, type="error", payload=result)
                        return
                    await self._tell(id=name, type="next", payload=result_of(result))
                    if self._closed:
                        return
            await self._tell(id=name, type="complete")
        except Exception as error:  # noqa: BLE001 (`formatted` logs it, and the browser must hear of it)
            await self._tell(id=name, type="error", payload=[formatted(GraphQLError("", original_error=error))])
        finally:
            if self._operations.get(name) is asyncio.current_task():
                del self._operations[name]

    async def _results(
        self, payload: dict[str, Any], caller: Caller | None
    ) -> AsyncGenerator[ExecutionResult | list[Any], None]:
        query, variables, operation_name = (payload.get(key) for key in ("query", "variables", "operationName"))
        if not (
            isinstance(query, str)
            and isinstance(variables, dict | None)
            and isinstance(operation_name, str | None)
        ):
            yield [formatted(refusal("BAD_REQUEST", "The payload has no query."))]
            return
        document = self.documents.prepare(query, variables)
        if isinstance(document, list):
            yield [formatted(error) for error in document]
            return
        operation = get_operation_ast(document, operation_name)
        if operation is None:
            yield [formatted(refusal("BAD_REQUEST", "The document has no such operation."))]
            return
        options: dict[str, Any] = {
            "context_value": Context(self.services, caller), "variable_values": variables,
            "operation_name": operation_name,
        }  # fmt: skip
        if operation.operation is not OperationType.SUBSCRIPTION:
            done = execute(self.schema, document, execution_context_class=PlainContext, **options)
            yield await done if isawaitable(done) else done
            return
        async with aclosing(self._events(document, options)) as events:
            async for result in events:
                yield result

    async def _events(
        self, document: DocumentNode, options: dict[str, Any]
    ) -> AsyncGenerator[ExecutionResult | list[Any], None]:
        """One result per event of a subscription; its source is closed with it."""
        source = await create_source_event_stream(self.schema, document, **options)
        if isinstance(source, ExecutionResult):
            yield [formatted(error) for error in source.errors or ()]
            return
        try:
            async for event in source:
                done = execute(
                    self.schema, document, root_value=event, execution_context_class=PlainContext, **options
                )
                yield await done if isawaitable(done) else done
        except ParasolError as error:
            yield [formatted(GraphQLError(error.message, original_error=error))]
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                await close()

    async def _tell(self, **message: Any) -> None:
        """Send unless the socket has been closed. Who does not read for long is let go."""
        if self._closed:
            return
        try:
            async with asyncio.timeout(READ_WITHIN):
                await self.send(orjson.dumps(message).decode())
        except TimeoutError:
            await self._close(4408, "Too slow")
        except RuntimeError:
            self._closed = True  # the other side was faster


def socket_application(schema: GraphQLSchema, documents: Documents, services: Services) -> Any:
    """An ASGI application of sockets."""
    wired: Any = type(
        "WiredSocket", (GraphQLSocket,), {"schema": schema, "documents": documents, "services": services}
    )
    return wired.as_asgi()
