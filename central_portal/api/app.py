"""GraphQL over HTTP as an ASGI application of its own: Django's handler would cost twenty times the query."""

from __future__ import annotations

import time
from http.cookies import CookieError, SimpleCookie
from inspect import isawaitable
from typing import Any

import orjson
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
)
from prometheus_client import Counter

from central_portal.api.context import Context, Services
from central_portal.api.errors import formatted, refusal
from central_portal.api.execute import Documents, PlainContext
from shared import trace
from shared.limits import LIMITS

JSON = b"application/json"
GRAPHQL_JSON = b"application/graphql-response+json"
REQUESTS = Counter("parasol_graphql_requests", "GraphQL requests over HTTP by outcome.", ["outcome"])
HELP = b'POST a GraphQL document here as JSON: {"query": "{ facilities { nodes { name } } }"}. Introspection is open.\n'
CACHED_ANSWERS = 256
FRESH_FOR = 1.0


def cookies_of(scope: Any) -> dict[str, str]:
    """The cookies of a request; malformed ones are left out."""
    jar: SimpleCookie = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:
                continue
    return {key: morsel.value for key, morsel in jar.items()}


class PublicAnswers:
    """Rendered answers for anonymous readers that touch facilities alone.

    Dropped when a facility changes, and after one second, so that ages stay true to the second.
    """

    ROOTS = frozenset({"facilities", "facility", "signInProviders", "__typename"})

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[int, float, bytes]] = {}

    def get(self, request: bytes, version: int) -> bytes | None:
        """The answer to the same bytes, while it holds."""
        kept = self._kept.get(request)
        return kept[2] if kept and kept[0] == version and time.monotonic() - kept[1] < FRESH_FOR else None

    def put(self, request: bytes, version: int, answer: bytes) -> None:
        """Keep an answer; the oldest goes when there are too many."""
        if len(self._kept) >= CACHED_ANSWERS and request not in self._kept:
            self._kept.pop(next(iter(self._kept)))
        self._kept[request] = (version, time.monotonic(), answer)


class GraphQLOverHTTP:
    """POST with JSON; anything else is told how."""

    def __init__(self, schema: GraphQLSchema, documents: Documents, services: Services) -> None:
        self._schema, self._documents, self._services = schema, documents, services
        self._public = PublicAnswers()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["method"] != "POST":
            await _send(
                send, 200 if scope["method"] in ("GET", "HEAD") else 405, HELP, b"text/plain; charset=utf-8"
            )
            return
        headers = dict(scope["headers"])
        kind = GRAPHQL_JSON if GRAPHQL_JSON in headers.get(b"accept", b"") else JSON
        body = await _read(receive)
        if body is None:
            await self._refuse(send, kind, 413, "DOCUMENT_TOO_LARGE", "The request is larger than 64 KiB.")
            return
        if not headers.get(b"content-type", b"").startswith(JSON):
            await self._refuse(send, kind, 415, "BAD_REQUEST", "Send the request as application/json.")
            return
        version, anonymous = self._services.facilities.version, b"cookie" not in headers
        known = self._public.get(body, version) if anonymous else None
        if known is not None:
            REQUESTS.labels("CACHED").inc()
            await _send(send, 200, known, kind)
            return
        trace.enter(headers.get(b"traceparent", b"").decode("latin-1"))
        await self._answer(scope, send, kind, body, version, anonymous=anonymous)

    async def _answer(
        self, scope: Any, send: Any, kind: bytes, body: bytes, version: int, *, anonymous: bool
    ) -> None:
        try:
            request = orjson.loads(body)
            query, variables = request["query"], request.get("variables")
            name = request.get("operationName")
            if (
                not isinstance(query, str)
                or not isinstance(variables, dict | None)
                or not isinstance(name, str | None)
            ):
                raise TypeError
        except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
            message = "The request is not a JSON object with a query."
            await self._refuse(send, kind, 400, "BAD_REQUEST", message)
            return
        document = self._documents.prepare(query, variables)
        if isinstance(document, list):
            REQUESTS.labels("REFUSED").inc()
            await self._errors(send, kind, document)
            return
        operation = get_operation_ast(document, name)
        if operation is None or operation.operation is OperationType.SUBSCRIPTION:
            message = "The document has no such query or mutation; subscriptions go over the WebSocket."
            await self._refuse(send, kind, 400, "BAD_REQUEST", message)
            return
        caller = None if anonymous else await self._services.identity.caller(cookies_of(scope))
        result = execute(
            self._schema, document, context_value=Context(self._services, caller), variable_values=variables,
            operation_name=name, execution_context_class=PlainContext,
        )  # fmt: skip
        done: ExecutionResult = await result if isawaitable(result) else result
        REQUESTS.labels("ERRORS" if done.errors else "OK").inc()
        answer = orjson.dumps(result_of(done))
        if anonymous and not done.errors and _roots(operation) <= PublicAnswers.ROOTS:
            self._public.put(body, version, answer)
        await _send(send, 200, answer, kind)

    async def _refuse(self, send: Any, kind: bytes, status: int, code: str, message: str) -> None:
        REQUESTS.labels("REFUSED").inc()
        await _send(send, status, orjson.dumps({"errors": [formatted(refusal(code, message))]}), kind)

    async def _errors(self, send: Any, kind: bytes, errors: list[GraphQLError]) -> None:
        await _send(send, 400, orjson.dumps({"errors": [formatted(error) for error in errors]}), kind)


def _roots(operation: OperationDefinitionNode) -> set[str]:
    return {node.name.value if isinstance(node, FieldNode) else "" for node in operation.selection_set.selections}


def result_of(result: ExecutionResult) -> dict[str, Any]:
    """The result as GraphQL over HTTP and over WebSocket write it."""
    shown: dict[str, Any] = {"data": result.data}
    if result.errors:
        shown["errors"] = [formatted(error) for error in result.errors]
    return shown


async def _read(receive: Any) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > LIMITS.graphql_bytes:
            return None
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _send(send: Any, status: int, body: bytes, kind: bytes) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"cookie"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
