"""The gateway as a client of UmbrellaID: silent first, asked for real when that fails, and told when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from facility_agent.gateway.pages import Pages
from facility_agent.gateway.sessions import ATTEMPT, Sessions, attempt_of, set_cookie
from facility_agent.gateway.settings import GatewaySettings
from facility_agent.ports.doorkeeper import Doorkeeper, GatewaySession
from facility_agent.ports.tokens import SignOnToken
from shared.errors import SignInNeeded
from shared.limits import LIMITS
from shared.oidc import OidcError, OidcProvider, SignedIn, pack_state, unpack_state
from shared.wire.proof import hashed

log = logging.getLogger(__name__)
SILENT, ASKED, QUIETLY = "silent", "asked", "sign-on-quietly"


@dataclass(frozen=True, slots=True)
class SignedOn:
    """Whom the facility's own sign-on vouches for, nobody when empty; `back` is where a quiet visit there came from."""

    username: str
    back: str = ""
    done: SignedIn | None = None


def address(request: Request) -> str:
    """Path and query of a request: what a step comes back to, and what a fresh sign-in is good for."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


class SignIn:
    """Sends browsers to UmbrellaID and takes them back."""

    def __init__(self, settings: GatewaySettings, door: Doorkeeper, sessions: Sessions, pages: Pages) -> None:
        self._settings, self._door, self._sessions, self._pages = settings, door, sessions, pages

    def is_fresh(self, request: Request, session: GatewaySession) -> bool:
        """Whether UmbrellaID was asked for this very request, whatever the session says."""
        return session.subject is not None and session.data.get("checked") == hashed(address(request))

    async def begin(self, request: Request, *, back: str | None = None, mode: str = SILENT) -> Response:
        """Send the browser to UmbrellaID; it returns to `back`, by default to this request."""
        attempt = attempt_of(request)
        state = pack_state(attempt, back or address(request), mode)
        extra = {"prompt": "none"} if mode == SILENT else {}
        return await self._send(request, self._settings.umbrella, state, attempt, extra)

    async def _send(
        self, request: Request, provider: OidcProvider, state: str, attempt: str, extra: dict[str, str]
    ) -> Response:
        try:
            url = await asyncio.to_thread(lambda: provider.authorization_url(state, attempt, **extra))
        except OidcError as error:
            log.warning("sign-in cannot start: %s", error.reason)
            return self._pages.problem(
                502, "The sign-in service does not answer", "Try again in a minute.", code="PROVIDER_UNREACHABLE"
            )
        response = RedirectResponse(url, 302)
        set_cookie(response, ATTEMPT, attempt, int(LIMITS.sign_in_attempt))
        return response

    async def callback(self, request: Request) -> Response:
        """UmbrellaID has answered."""
        attempt = request.cookies.get(ATTEMPT, "")
        unpacked = unpack_state(attempt, request.query_params.get("state", ""))
        if unpacked is None:
            return self._lost()
        back, mode = unpacked
        query = dict(request.query_params)
        try:
            done = await asyncio.to_thread(self._settings.umbrella.finish, query, query["state"], attempt)
        except OidcError as error:
            return await self._not_signed_in(request, back, mode, error)
        old = await self._sessions.of(request)
        # Somebody else answered: nothing of the earlier session is inherited.
        data = dict(old.data) if old.subject in (None, done.subject) else {}
        data |= {"name": done.name or "an UmbrellaID user", "checked": hashed(back)}
        response = RedirectResponse(back, 303)
        try:
            await self._sessions.renew(request, response, GatewaySession(done.subject, done.sid, data))
        except SignInNeeded as error:
            return self._pages.problem(403, "You have signed out", error.message, code=error.reason)
        return response

    async def _not_signed_in(self, request: Request, back: str, mode: str, error: OidcError) -> Response:
        if error.reason not in ("login_required", "interaction_required", "consent_required") or mode != SILENT:
            log.warning("sign-in failed: %s", error.reason)
            return self._pages.problem(
                403, "You are not signed in", "The sign-in service did not confirm who you are. Start again at the portal.",
                code="SIGN_IN_FAILED",
            )  # fmt: skip
        if "prompt=none" in back.partition("?")[2].split("&"):
            return RedirectResponse(f"{back}&silent=failed", 303)
        return await self.begin(request, back=back, mode=ASKED)

    def _lost(self) -> Response:
        return self._pages.problem(
            400, "This sign-in is not known here", "It was begun in another browser or too long ago. Start again at the portal.",
            code="NO_SUCH_ATTEMPT",
        )  # fmt: skip

    # --- the facility's own sign-on

    async def begin_sign_on(self, request: Request, *, quietly_for: str = "") -> Response:
        """Send the browser to the facility's own sign-on, to sign in afresh; or, without a question, for a token alone.

        It then returns to `quietly_for` whatever comes of it.
        """
        assert self._settings.sign_on is not None
        attempt = attempt_of(request)
        state = pack_state(attempt, quietly_for or "/confirm", QUIETLY if quietly_for else "sign-on")
        extra = {"prompt": "none"} if quietly_for else {"prompt": "login", "max_age": "0"}
        if "://" in self._settings.token_audience:
            extra["resource"] = self._settings.token_audience
        return await self._send(request, self._settings.sign_on, state, attempt, extra)

    async def finish_sign_on(self, request: Request) -> SignedOn | None:
        """Whom the facility's sign-on vouches for; None when it does not, or not freshly although that was asked for."""
        attempt, provider = request.cookies.get(ATTEMPT, ""), self._settings.sign_on
        state = request.query_params.get("state", "")
        unpacked = unpack_state(attempt, state)
        if provider is None or unpacked is None or unpacked[1] not in ("sign-on", QUIETLY):
            return None
        back = unpacked[0] if unpacked[1] == QUIETLY else ""
        nobody = SignedOn("", back) if back else None
        try:
            done = await asyncio.to_thread(provider.finish, dict(request.query_params), state, attempt)
        except OidcError as error:
            log.log(logging.INFO if back else logging.WARNING, "local sign-on failed: %s", error.reason)
            return nobody
        username, at, now = (done.claims.get(key) for key in (self._settings.username_claim, "auth_time", "iat"))
        fresh = isinstance(at, int | float) and isinstance(now, int | float) and now - at <= 300
        return SignedOn(username, back, done) if isinstance(username, str) and (fresh or back) else nobody

    async def token_of(self, signed_on: SignedOn) -> SignOnToken | None:
        """The access token that the sign-on gave, None for one that the catalogue must not see."""
        provider, done = self._settings.sign_on, signed_on.done
        if provider is None or done is None:
            return None
        try:
            until = await asyncio.to_thread(provider.access_until, done, self._settings.token_audience)
        except OidcError as error:
            log.warning("the local sign-on's access token is of no use: %s", error.reason)
            return None
        left = until - time.time()
        return SignOnToken(done.access_token, left) if left > 0 else None

    # --- its end

    async def backchannel(self, request: Request) -> Response:
        """OpenID back-channel logout."""
        form = await request.form()
        raw = form.get("logout_token")
        try:
            told = await asyncio.to_thread(
                self._settings.umbrella.logout_token, raw if isinstance(raw, str) else ""
            )
        except OidcError as error:
            log.warning("logout token refused: %s", error.reason)
            return JSONResponse({"error": "invalid_request"}, 400)
        await self._door.signed_out(told.issuer, told.sub, told.sid)
        return Response(status_code=200, headers={"cache-control": "no-store"})
