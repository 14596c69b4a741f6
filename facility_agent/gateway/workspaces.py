"""A workspace's own origin: its door, the one-time code that opens it, and the proxy behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from facility_agent.gateway import proxy
from facility_agent.gateway.pages import Pages
from facility_agent.gateway.sessions import Sessions, set_cookie
from facility_agent.gateway.settings import GatewaySettings
from facility_agent.gateway.sign_in import SignIn
from facility_agent.gateway.verdicts import Verdicts
from facility_agent.ports.doorkeeper import Doorkeeper, WorkspaceDoor
from shared.errors import NotFound, ParasolError
from shared.identity import Subject
from shared.limits import LIMITS
from shared.wire.proof import hashed, same, token
from shared.workspaces import is_workspace_id

PASS = "__Host-parasol-ws"  # noqa: S105 (a cookie's name)
STATE = "__Host-parasol-st-"
ENTER = "/.parasol/enter"
CODES = 10_000
_SENTENCES = {
    "REQUESTED": ("It is not running yet", "It is still being started. Watch it in the portal."),
    "STARTING": ("It is not running yet", "It is still being started. Watch it in the portal."),
    "STOPPING": ("It is being stopped", "Start another one from the portal."),
    "ENDED": ("This workspace has ended", "Start another one from the portal."),
    "FAILED": ("This workspace has ended", "The portal says why. Start another one from there."),
}


@dataclass(frozen=True, slots=True)
class _Code:
    workspace_id: str
    state_hash: str
    subject: Subject
    sid: str
    expires_at: float


class WorkspaceDoors:
    """Serves `<workspace id>.<zone>` and, on the gateway's own origin, `/open`."""

    def __init__(
        self, settings: GatewaySettings, door: Doorkeeper, sessions: Sessions, sign_in: SignIn, pages: Pages,
        inline: Pages, verdicts: Verdicts, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._settings, self._door, self._sessions, self._sign_in = settings, door, sessions, sign_in
        self._pages, self._inline, self._verdicts, self._clock = pages, inline, verdicts, clock
        self._codes: dict[str, _Code] = {}
        self._upstreams = proxy.Upstreams()

    async def close(self) -> None:
        """Close the connections to workspaces."""
        await self._upstreams.close()

    # --- on the gateway's origin

    async def open(self, request: Request) -> Response:
        """`GET /open?workspace=…&state=…`: ask UmbrellaID who this is, then hand out a one-time code."""
        workspace_id, state = (request.query_params.get(name, "") for name in ("workspace", "state"))
        if not is_workspace_id(workspace_id) or len(state) != 64:
            return self._refused(404, "NOT_FOUND", "There is no such workspace", "Open it from the portal.")
        session = await self._sessions.of(request)
        if not self._sign_in.is_fresh(request, session) or session.subject is None:
            return await self._sign_in.begin(request)
        await self._sessions.note(request, session, checked="")
        try:
            door = await self._door.visit(workspace_id, session.subject)
        except NotFound:
            return self._refused(404, "NOT_FOUND", "There is no such workspace", "Open it from the portal.")
        except ParasolError as error:
            return self._unavailable(error)
        if not door.allowed:
            return self._refused(
                403,
                "ACCESS_DENIED",
                "This workspace is not yours",
                "Sign in as its owner, or open your own from the portal.",
            )
        if door.endpoint is None:
            return self._not_running(door)
        code, now = token(), self._clock()
        self._codes = {key: value for key, value in self._codes.items() if value.expires_at > now}
        if len(self._codes) >= CODES:
            return self._refused(503, "RATE_LIMITED", "Too many people at once", "Try again in a minute.")
        self._codes[hashed(code)] = _Code(
            workspace_id, state, session.subject, session.sid, now + LIMITS.one_time_code
        )
        query = urlencode({"code": code, "s": state[:8]})
        return RedirectResponse(f"{self._settings.workspace_origin(workspace_id)}{ENTER}?{query}", 302)

    # --- on a workspace's origin

    async def serve(self, workspace_id: str, scope: Any, receive: Any, send: Any) -> None:
        """One request or socket of a workspace's origin."""
        connection = HTTPConnection(scope)
        if scope["type"] == "http" and scope["path"].startswith("/.parasol/"):
            request = Request(scope, receive)
            response = (
                await self._enter(workspace_id, request) if scope["path"] == ENTER else Response(status_code=404)
            )
            await response(scope, receive, send)
            return
        cookie = connection.cookies.get(PASS, "")
        cookie_hash = hashed(cookie) if cookie else ""
        try:
            door = await self._verdicts.of(workspace_id, cookie_hash) if cookie else None
        except ParasolError as error:
            await self._tell(self._unavailable(error), scope, receive, send)
            return
        if door is None or not door.allowed:
            await self._tell(self._knock(workspace_id, scope, connection), scope, receive, send)
        elif door.endpoint is None:
            await self._tell(self._not_running(door), scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(door, cookie_hash, scope, receive, send)
        else:
            await self._request(door, scope, receive, send)

    def _knock(self, workspace_id: str, scope: Any, connection: HTTPConnection) -> Response:
        """A person is sent to the gateway; a script is told to sign in."""
        document = connection.headers.get("sec-fetch-dest", "document") == "document"
        accepts = "text/html" in connection.headers.get("accept", "")
        if scope["type"] == "websocket" or scope["method"] != "GET" or not (document and accepts):
            return JSONResponse(
                {"reason": "UNAUTHENTICATED", "message": "Open the workspace from the portal."}, 401
            )
        state = token()
        query = urlencode({"workspace": workspace_id, "state": hashed(state)})
        response = RedirectResponse(f"{self._settings.origin}/open?{query}", 302)
        path = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        set_cookie(response, STATE + hashed(state)[:8], f"{state}.{path[:1000].encode().hex()}", 600)
        return response

    async def _enter(self, workspace_id: str, request: Request) -> Response:
        """`/.parasol/enter`: a code opens once, and only for the browser that knocked."""
        name = STATE + request.query_params.get("s", "")[:8]
        state, _, packed = request.cookies.get(name, "").partition(".")
        code = self._codes.pop(hashed(request.query_params.get("code", "")), None)
        good = (
            code is not None
            and code.workspace_id == workspace_id
            and bool(state)
            and same(hashed(state).encode(), code.state_hash.encode())
            and code.expires_at > self._clock()
        )
        if code is None or not good:
            return self._refused(
                403,
                "CODE_NOT_VALID",
                "This link works once, and only where it was asked for",
                "Open the workspace from the portal.",
            )
        cookie = token()
        try:
            await self._door.admit(workspace_id, code.subject, code.sid, hashed(cookie))
        except ParasolError as error:
            return self._unavailable(error)
        response = RedirectResponse(_local(packed), 303)
        set_cookie(response, PASS, cookie)
        set_cookie(response, name, "", 0)
        return response

    async def _request(self, door: WorkspaceDoor, scope: Any, receive: Any, send: Any) -> None:
        assert door.endpoint is not None
        try:
            await proxy.http(self._upstreams, door.endpoint, self._settings.scheme, scope, receive, send)
        except proxy.UpstreamGone:
            sentence = "It may be starting or ending. Reload in a moment, or look in the portal."
            await self._refused(502, "BACKEND_UNAVAILABLE", "The workspace does not answer", sentence)(
                scope, receive, send
            )

    async def _socket(self, door: WorkspaceDoor, cookie_hash: str, scope: Any, receive: Any, send: Any) -> None:
        assert door.endpoint is not None
        cut = asyncio.Event()
        unsubscribe = self._verdicts.on_cut(door.workspace_id, cookie_hash, cut.set)
        try:
            await proxy.websocket(self._upstreams, door.endpoint, self._settings.scheme, cut, scope, receive, send)
        except proxy.UpstreamGone:
            await receive()
            await send({"type": "websocket.close", "code": 1013})
        finally:
            unsubscribe()

    # --- pages

    def _refused(self, status: int, code: str, title: str, sentence: str) -> Response:
        return self._inline.problem(status, title, sentence, code=code)

    def _not_running(self, door: WorkspaceDoor) -> Response:
        title, sentence = _SENTENCES.get(
            door.state, ("Nobody can tell at the moment", "Nothing was ended. Try again shortly.")
        )
        return self._refused(409, door.state, title, sentence)

    def _unavailable(self, error: ParasolError) -> Response:
        status = 503 if error.retryable else 403
        return self._refused(status, error.reason, "This cannot be opened now", error.message)

    async def _tell(self, response: Response, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            code = 4403 if response.status_code in (401, 403) else 1013
            await send({"type": "websocket.close", "code": code})
        else:
            await response(scope, receive, send)


def _local(packed: str) -> str:
    try:
        path = bytes.fromhex(packed).decode()
    except ValueError:
        return "/"
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"
