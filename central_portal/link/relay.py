"""From a web process to the hub that holds a facility's session: one call per query, the answer as the agent gave it.

Nothing personal passes Redis or the database. The hub says when it has taken a query; before that a web
process may ask another hub, since the facility may just be moving.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from central_portal.link.ports import SealedBody
from central_portal.link.session import Session
from shared import trace
from shared.commands import Problem
from shared.errors import ParasolError
from shared.link.terms import MESSAGE_BYTES
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.parse import parse
from shared.wire.status import encode_problem
from shared.wire.text import Malformed

log = logging.getLogger(__name__)
SERVICE, ASK = "parasol.relay.v1.Relay", "Ask"
METHOD = f"/{SERVICE}/{ASK}"
FACILITY, TAKEN, PROBLEM = "parasol-facility", "parasol-taken", "parasol-problem-bin"
LIFE, SKEW = 60, 60
_AUDIENCE = "parasol-relay"
_KNOWN = 256
Code = grpc.StatusCode


class RelayKey:
    """The key that the centre's own processes share: who has it may ask any facility what a web process may."""

    def __init__(self, secret: bytes) -> None:
        self._key = OctKey.import_key(secret)
        self._token, self._until = "", 0.0
        self._accepted: dict[str, float] = {}

    def token(self) -> str:
        """A token that is good for at least half its life."""
        now = time.time()
        if now >= self._until:
            claims = {"aud": _AUDIENCE, "iat": int(now), "exp": int(now) + LIFE}
            self._token, self._until = jwt.encode({"alg": "HS256"}, claims, self._key), now + LIFE / 2
        return self._token

    def accepts(self, token: str) -> bool:
        """Whether this is a token of another process with this key, made within the last minute or so."""
        now = time.time()
        if now < self._accepted.get(token, 0.0):
            return True
        until = self._good_until(token, now)
        if until is None:
            return False
        if len(self._accepted) >= _KNOWN:
            self._accepted.clear()
        self._accepted[token] = until
        return True

    def _good_until(self, token: str, now: float) -> float | None:
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError, TypeError):
            return None
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(expires, int) or claims.get("aud") != _AUDIENCE:
            return None
        good = 0 < expires - issued <= LIFE and issued - SKEW <= now <= expires + SKEW
        return expires + SKEW if good else None


class RelayService:
    """The hub's side. `session_of` gives the session that takes asks for a facility, None when it is not here."""

    def __init__(self, key: RelayKey, session_of: Callable[[str], Session | None]) -> None:
        self._key, self._session_of = key, session_of

    def handler(self) -> Any:
        """What a gRPC server adds."""
        method = grpc.unary_unary_rpc_method_handler(self._ask)
        return grpc.method_handlers_generic_handler(SERVICE, {ASK: method})

    async def _ask(self, request: bytes, context: Any) -> bytes:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        if not self._key.accepts(metadata.get("authorization", "").removeprefix("Bearer ")):
            log.warning("A relayed ask from %s was refused: its token is not good.", context.peer())
            await _abort(context, Code.UNAUTHENTICATED, "The token was refused.")
        try:
            command = parse(pb.Command, request, MESSAGE_BYTES)
        except Malformed:
            await _abort(context, Code.INVALID_ARGUMENT, "The command cannot be read.")
        trace.enter(metadata.get("traceparent", ""))
        session = self._session_of(metadata.get(FACILITY, ""))
        if session is None or not session.ready:
            await _abort(context, Code.FAILED_PRECONDITION, "The facility is not connected here.")
        try:
            return await _exchange(session, command, context)
        except ParasolError as error:
            problem = encode_problem(Problem.of(error)).SerializeToString()
            await _abort(context, Code.ABORTED, error.reason, ((PROBLEM, problem),))


async def _exchange(session: Session, command: pb.Command, context: Any) -> bytes:
    sealed = SealedBody(command.body, command.grant_id, command.mac)
    result = asyncio.ensure_future(session.exchange(sealed, command.timeout_ms / 1000))
    try:
        await context.send_initial_metadata(((TAKEN, "1"),))
        return (await result).SerializeToString()
    finally:
        result.cancel()


async def _abort(context: Any, code: grpc.StatusCode, why: str, trailing: tuple[Any, ...] = ()) -> NoReturn:
    await context.abort(code, why, trailing)
    raise AssertionError("abort raises")
