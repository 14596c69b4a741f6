"""A workspace's own origin: its door, the one-time code that opens it, and the proxy behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from facility_agent.gateway.headers import cookie_of
from facility_agent.gateway.heads import RequestHead
from facility_agent.gateway.refusals import Refusals
from facility_agent.gateway.sessions import Sessions, set_cookie
from facility_agent.gateway.settings import GatewaySettings
from facility_agent.gateway.sign_in import SignIn
from facility_agent.gateway.verdicts import Verdicts
from facility_agent.ports.compute import Endpoint
from facility_agent.ports.doorkeeper import Doorkeeper, WorkspaceDoor
from shared.errors import NotFound, ParasolError
from shared.wire.proof import hashed, token
from shared.workspaces import is_workspace_id

PASS = "__Host-parasol-ws"  # noqa: S105 (a cookie's name)
STATE = "__Host-parasol-st-"
OURS = b"/.parasol/"
ENTER = "/.parasol/enter"


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may pass: by which cookie, and where to."""

    workspace_id: str
    cookie_hash: str
    endpoint: Endpoint


class WorkspaceDoors:
    """Serves `<workspace id>.<zone>` and, on the gateway's own origin, `/open`."""

    def __init__(
        self, settings: GatewaySettings, door: Doorkeeper, sessions: Sessions, sign_in: SignIn, verdicts: Verdicts,
        here: Refusals, there: Refusals,
    ) -> None:  # fmt: skip
        self._settings, self._door, self._sessions, self._sign_in = settings, door, sessions, sign_in
        self._verdicts, self._here, self._there = verdicts, here, there

    # --- on the gateway's origin

    async def open(self, request: Request) -> Response:
        """`GET /open?workspace=…&state=…`: ask UmbrellaID who this is, then hand out a one-time code."""
        workspace_id, state = (request.query_params.get(name, "") for name in ("workspace", "state"))
        if not is_workspace_id(workspace_id) or len(state) != 64:
            return self._here.unknown()
        session = await self._sessions.of(request)
        if not self._sign_in.is_fresh(request, session) or session.subject is None:
            return await self._sign_in.begin(request)
        await self._sessions.note(request, session, checked="")
        try:
            door = await self._door.visit(workspace_id, session.subject)
        except NotFound:
            return self._here.unknown()
        except ParasolError as error:
            return self._here.failed(error)
        if not door.allowed:
            return self._here.not_yours()
        if door.endpoint is None:
            return self._here.not_running(door)
        code = token()
        try:
            await self._door.invite(workspace_id, session.subject, session.sid, state, hashed(code))
        except ParasolError as error:
            return self._here.failed(error)
        query = urlencode({"code": code, "s": state[:8]})
        return RedirectResponse(f"{self._settings.workspace_origin(workspace_id)}{ENTER}?{query}", 302)

    # --- on a workspace's origin

    def known(self, workspace_id: str, head: RequestHead) -> Admitted | None:
        """What lets this request in at once, None when it must be decided."""
        cookie = cookie_of(head, PASS)
        if not cookie or head.target.startswith(OURS):
            return None
        cookie_hash = hashed(cookie)
        door = self._verdicts.known(workspace_id, cookie_hash)
        return _admitted(door, cookie_hash) if door is not None else None

    async def decide(self, workspace_id: str, head: RequestHead) -> Admitted | Response:
        """Let a request in, or what to answer instead."""
        if head.target.startswith(OURS):
            return await self._enter(workspace_id, head) if head.path == ENTER else Response(status_code=404)
        cookie = cookie_of(head, PASS)
        cookie_hash = hashed(cookie) if cookie else ""
        try:
            door = await self._verdicts.of(workspace_id, cookie_hash) if cookie else None
        except ParasolError as error:
            return self._there.failed(error)
        if door is None or not door.allowed:
            return self._knock(workspace_id, head)
        return _admitted(door, cookie_hash) or self._there.not_running(door)

    def on_cut(self, admitted: Admitted, cut: Callable[[], None]) -> Callable[[], None]:
        """Call `cut` when the cookie no longer opens the workspace; returns the unsubscribe."""
        return self._verdicts.on_cut(admitted.workspace_id, admitted.cookie_hash, cut)

    def gone(self) -> Response:
        """The workspace's socket does not answer."""
        return self._there.gone()

    def _knock(self, workspace_id: str, head: RequestHead) -> Response:
        """A person is sent to the gateway; a script is told to sign in."""
        document = head.one(b"sec-fetch-dest") in ("", "document")
        accepts = "text/html" in head.one(b"accept")
        if head.is_socket or head.method != "GET" or not (document and accepts):
            return JSONResponse(
                {"reason": "UNAUTHENTICATED", "message": "Open the workspace from the portal."}, 401
            )
        state = token()
        query = urlencode({"workspace": workspace_id, "state": hashed(state)})
        response = RedirectResponse(f"{self._settings.origin}/open?{query}", 302)
        set_cookie(response, STATE + hashed(state)[:8], f"{state}.{head.target[:1000].hex()}", 600)
        return response

    async def _enter(self, workspace_id: str, head: RequestHead) -> Response:
        """`/.parasol/enter`: a code opens once, and only for the browser that knocked."""
        asked = QueryParams(head.query)
        name = STATE + asked.get("s", "")[:8]
        state, _, packed = cookie_of(head, name).partition(".")
        cookie = token()
        try:
            await self._door.admit(workspace_id, hashed(asked.get("code", "")), hashed(state), hashed(cookie))
        except ParasolError as error:
            return self._there.failed(error)
        response = RedirectResponse(_local(packed), 303)
        set_cookie(response, PASS, cookie)
        set_cookie(response, name, "", 0)
        return response


def _admitted(door: WorkspaceDoor, cookie_hash: str) -> Admitted | None:
    if not door.allowed or door.endpoint is None:
        return None
    return Admitted(door.workspace_id, cookie_hash, door.endpoint)


def _local(packed: str) -> str:
    try:
        path = bytes.fromhex(packed).decode()
    except ValueError:
        return "/"
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"
