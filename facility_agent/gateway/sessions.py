"""A browser's session at the gateway: one cookie, renewed at each step, its content in the agent's store."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from facility_agent.ports.doorkeeper import GatewaySession, SessionDoor
from shared.wire.proof import hashed, token

COOKIE = "__Host-parasol-gateway"
ATTEMPT = "__Host-parasol-gateway-attempt"
EMPTY = GatewaySession(None, "")


def set_cookie(response: Response, name: str, value: str, max_age: int | None = None) -> None:
    """A cookie that only this origin sees."""
    response.set_cookie(name, value, max_age=max_age, path="/", secure=True, httponly=True, samesite="lax")


def attempt_of(request: Request) -> str:
    """This browser's attempt value; a new one when it has none."""
    known = request.cookies.get(ATTEMPT, "")
    return known if len(known) == 43 else token()


class Sessions:
    """Reads and renews sessions."""

    def __init__(self, door: SessionDoor) -> None:
        self._door = door

    async def of(self, request: Request) -> GatewaySession:
        """The session of a request; an empty one when there is none."""
        cookie = request.cookies.get(COOKIE, "")
        if not cookie:
            return EMPTY
        return await self._door.session(hashed(cookie)) or EMPTY

    async def renew(self, request: Request, response: Response, session: GatewaySession) -> None:
        """Put `session` under a new cookie; the old one is worth nothing any more. Raises SignInNeeded."""
        old, new = request.cookies.get(COOKIE, ""), token()
        await self._door.renew_session(hashed(old) if old else "", hashed(new), session)
        set_cookie(response, COOKIE, new)

    async def note(self, request: Request, session: GatewaySession, **data: str) -> None:
        """Change the session's data under the same cookie (a step that grants nothing)."""
        cookie = request.cookies.get(COOKIE, "")
        await self._door.renew_session("", hashed(cookie), with_data(session, **data))


def with_data(session: GatewaySession, **data: str) -> GatewaySession:
    """The session with these entries; empty values remove theirs."""
    merged = {**session.data, **data}
    return replace(session, data={name: value for name, value in merged.items() if value})
