"""The authorization endpoint, the account link, and the page that asks: each step in one browser session."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from facility_agent.gateway.pages import Pages
from facility_agent.gateway.sessions import Sessions, with_data
from facility_agent.gateway.settings import GatewaySettings
from facility_agent.gateway.sign_in import ASKED, SILENT, SignedOn, SignIn, address
from facility_agent.ports.doorkeeper import Doorkeeper, GatewaySession, LinkInfo, LocalIdentity
from facility_agent.ports.tokens import PersonSession
from shared.errors import AccountNotLinked, BackendUnavailable, Conflict, ParasolError
from shared.identity import Scope, Subject
from shared.wire.proof import hashed, same, token

LOCAL_FRESH_S = 300.0
IN_WORDS = {
    Scope.READ: "search your datasets and proposals",
    Scope.RUN: "start and stop workspaces that read your proposals",
}


class Authorize:
    """OAuth 2 with PKCE for one client, the portal. Nothing is ever sent anywhere but to its one redirect address."""

    def __init__(
        self, settings: GatewaySettings, door: Doorkeeper, sessions: Sessions, sign_in: SignIn, pages: Pages
    ) -> None:
        self._settings, self._door, self._sessions = settings, door, sessions
        self._sign_in, self._pages = sign_in, pages

    async def authorize(self, request: Request) -> Response:
        """`GET /authorize`."""
        query = request.query_params
        if (
            query.get("client_id") != self._settings.portal
            or query.get("redirect_uri") != self._settings.redirect_uri
        ):
            return self._pages.problem(
                400, "This request is not from your portal", "Start again at the portal.", code="UNKNOWN_CLIENT"
            )
        state, scopes = query.get("state", ""), _scopes(query.get("scope", ""))
        well_formed = query.get("response_type") == "code" and query.get("code_challenge_method") == "S256"
        if (
            not well_formed
            or not scopes
            or not 16 <= len(state) <= 500
            or len(query.get("code_challenge", "")) != 43
        ):
            return self._back("invalid_request", state)
        try:
            return await self._answer(request, state, scopes)
        except BackendUnavailable:
            return self._back("temporarily_unavailable", state)

    async def _answer(self, request: Request, state: str, scopes: frozenset[Scope]) -> Response:
        """A well-formed request's next step: sign in, ask, or give a code."""
        query = request.query_params
        quiet, session = query.get("prompt") == "none", await self._sessions.of(request)
        if "silent" in query and quiet:
            return self._back("login_required", state)
        if not self._sign_in.is_fresh(request, session) or session.subject is None:
            return await self._sign_in.begin(request)
        link = await self._door.link_of(session.subject)
        if link is None or not scopes <= await self._door.consent_of(session.subject):
            if quiet:
                return self._back("interaction_required", state)
            return await self._ask(request, session, scopes, link)
        if (step := await self._token_step(request, session, scopes)) is not None:
            return step
        try:
            code = await self._door.issue_code(
                session.subject, session.sid, scopes, query["code_challenge"], query.get("key", "")
            )
        except AccountNotLinked:
            return self._back("interaction_required", state)
        except BackendUnavailable:
            raise
        except ParasolError as error:
            return self._back("login_required" if error.reason == "SIGN_IN_NEEDED" else "invalid_request", state)
        response = self._back("", state, code=code.code, key=code.key)
        # The mark was for this request only: the next one asks again.
        await self._sessions.note(request, session, checked="", tried="")
        return response

    async def _token_step(
        self, request: Request, session: GatewaySession, scopes: frozenset[Scope]
    ) -> Response | None:
        """To the facility's sign-on for a token that its catalogue wants: without a question, then with one where it is required.

        Each once for one request; what does not succeed is for the catalogue to tell when it is asked.
        """
        if self._settings.sign_on is None or session.subject is None:
            return None
        wish = await self._door.token_wish(session.subject)
        how, _, tried = session.data.get("tried", "").partition(" ")
        if wish is PersonSession.NEVER or (tried == hashed(address(request)) and how == ASKED):
            return None
        if tried != hashed(address(request)):
            return await self._sign_in.begin_sign_on(request, quietly_for=address(request))
        if wish is PersonSession.WELCOME:
            return None
        if request.query_params.get("prompt") == "none":
            return self._back("login_required", request.query_params["state"])
        response = RedirectResponse("/sign-on", 303)
        asking = {"back": address(request), "want": " ".join(sorted(scopes)), "tried": f"{ASKED} {tried}"}
        await self._sessions.renew(request, response, with_data(session, **asking, local="", local_at=""))
        return response

    def _back(self, error: str, state: str, **values: str) -> Response:
        query = {"error": error} if error else values
        query |= {"state": state[:500], "iss": self._settings.origin}
        return RedirectResponse(f"{self._settings.redirect_uri}?{urlencode(query)}", 302)

    async def _ask(
        self, request: Request, session: GatewaySession, scopes: frozenset[Scope], link: LinkInfo | None
    ) -> Response:
        words = " ".join(sorted(scopes))
        response = RedirectResponse("/confirm" if link else "/sign-on", 303)
        await self._sessions.renew(
            request, response, with_data(session, back=address(request), want=words, local="", local_at="")
        )
        return response

    # --- the local account

    async def sign_on(self, request: Request) -> Response:
        """`GET /sign-on`: prove that a local account is yours."""
        session = await self._sessions.of(request)
        if session.subject is None or not session.data.get("back"):
            return self._start_again()
        return self._sign_on_page(session)

    def _sign_on_page(
        self, session: GatewaySession, status: int = 200, error: str = "", username: str = ""
    ) -> Response:
        again = session.data.get("tried", "").startswith(f"{ASKED} ")
        return self._pages.page(
            "sign_on", status, name=session.data.get("name", ""), title=self._settings.sign_on_title, error=error,
            username=username, again=again,
        )  # fmt: skip

    async def sign_on_with_password(self, request: Request) -> Response:
        """`POST /sign-on`."""
        session = await self._sessions.of(request)
        if session.subject is None or not session.data.get("back") or self._settings.sign_on is not None:
            return self._start_again()
        form = await request.form()
        username, password = (str(form.get(name, "")) for name in ("username", "password"))
        username = username.strip()[:64]
        try:
            identity = await self._door.check_password(username, password[:256])
        except ParasolError as error:
            status = 429 if error.reason == "RATE_LIMITED" else 403
            return self._sign_on_page(session, status, error.message, username)
        return await self._proven(request, session, identity)

    async def sign_on_elsewhere(self, request: Request) -> Response:
        """`POST /sign-on/start`: go on to the facility's own sign-on."""
        session = await self._sessions.of(request)
        if session.subject is None or not session.data.get("back") or self._settings.sign_on is None:
            return self._start_again()
        return await self._sign_in.begin_sign_on(request)

    async def sign_on_callback(self, request: Request) -> Response:
        """`GET /sign-on/callback`."""
        session = await self._sessions.of(request)
        done = await self._sign_in.finish_sign_on(request) if session.subject is not None else None
        if session.subject is not None and done is not None and done.back:
            return await self._came_quietly(request, session, session.subject, done)
        if session.subject is None or not session.data.get("back"):
            return self._start_again()
        if done is None:
            return self._sign_on_page(session, 403, "That sign-in did not succeed; try again.")
        try:
            identity = await self._door.local_identity(done.username)
            if not await self._holds(session, session.subject, identity, done):
                return self._sign_on_page(session, 403, "That is another account than the one that you linked.")
        except ParasolError as error:
            return self._sign_on_page(session, 403, error.message)
        return await self._proven(request, session, identity)

    async def _came_quietly(
        self, request: Request, session: GatewaySession, subject: Subject, done: SignedOn
    ) -> Response:
        """Back to where the visit came from, with a token or without."""
        if done.username:
            with suppress(ParasolError):
                await self._holds(session, subject, await self._door.local_identity(done.username), done)
        await self._sessions.note(request, session, tried=f"{SILENT} {hashed(done.back)}")
        return RedirectResponse(done.back, 303)

    async def _holds(
        self, session: GatewaySession, subject: Subject, identity: LocalIdentity, done: SignedOn
    ) -> bool:
        """Whether this may be the person's account; the agent then holds the token, where it is of use."""
        link = await self._door.link_of(subject)
        if link is not None and link.identity.immutable_id != identity.immutable_id:
            return False
        if await self._door.token_wish(subject) is not PersonSession.NEVER:
            token = await self._sign_in.token_of(done)
            if token is not None:
                await self._door.keep_token(subject, session.sid, identity, token)
        return True

    async def _proven(self, request: Request, session: GatewaySession, identity: LocalIdentity) -> Response:
        packed = json.dumps([identity.username, identity.immutable_id, identity.display_name])
        response = RedirectResponse("/confirm", 303)
        await self._sessions.renew(request, response, with_data(session, local=packed, local_at=repr(time.time())))
        return response

    # --- the question

    async def confirm(self, request: Request) -> Response:
        """`GET /confirm`: name both identities and ask."""
        session = await self._sessions.of(request)
        asked = await self._asked(session)
        if asked is None:
            return self._start_again()
        identity, linked = asked
        form_token = token()
        await self._sessions.note(request, session, form=form_token)
        return self._pages.page(
            "confirm", name=session.data.get("name", ""), identity=identity, linked=linked, token=form_token,
            scopes=[IN_WORDS[scope] for scope in sorted(_scopes(session.data["want"]))],
        )  # fmt: skip

    async def _asked(self, session: GatewaySession) -> tuple[LocalIdentity, bool] | None:
        """(whose account, whether it is linked already); None when a step before is missing or too old."""
        if session.subject is None or not session.data.get("back") or not session.data.get("want"):
            return None
        link = await self._door.link_of(session.subject)
        if link is not None:
            return link.identity, True
        if not session.data.get("local") or time.time() - float(session.data["local_at"]) > LOCAL_FRESH_S:
            return None
        return LocalIdentity(*json.loads(session.data["local"])), False

    async def decide(self, request: Request) -> Response:
        """`POST /confirm`: link and remember, or go back with nothing changed."""
        session = await self._sessions.of(request)
        asked, form = await self._asked(session), await request.form()
        given, expected = str(form.get("token", "")), session.data.get("form", "")
        if asked is None or session.subject is None or not expected or not same(given.encode(), expected.encode()):
            return self._start_again()
        back = session.data["back"]
        clear = with_data(session, form="", back="", want="", local="", local_at="")
        if form.get("decision") != "allow":
            state = dict(parse_qsl(urlsplit(back).query)).get("state", "")
            response = self._back("access_denied", state)
            response.status_code = 303
            await self._sessions.renew(request, response, clear)
            return response
        identity, linked = asked
        try:
            if not linked:
                await self._door.link(session.subject, identity)
            await self._door.consent(session.subject, _scopes(session.data["want"]))
        except Conflict as error:
            return self._pages.problem(409, "These cannot be linked", error.message, code=error.reason)
        response = RedirectResponse(back, 303)
        # UmbrellaID was asked at the start of this very visit, so its last step need not ask again.
        await self._sessions.renew(request, response, with_data(clear, checked=hashed(back)))
        return response

    def _start_again(self) -> Response:
        return self._pages.problem(
            400, "This page is no longer valid", "It was opened out of order, or too long ago. Start again at the portal.",
            code="STALE_PAGE",
        )  # fmt: skip


def _scopes(text: str) -> frozenset[Scope]:
    known = {scope.value: scope for scope in Scope}
    words = text.split()
    return (
        frozenset(known[word] for word in words) if words and all(word in known for word in words) else frozenset()
    )
