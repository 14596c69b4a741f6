"""Sign-in, sign-out and visits to gateways: everything that needs a redirect. Wired by `bind`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from central_portal.federation import Federation
from central_portal.identity.logic import format_scopes, outcome_of_oauth, parse_scopes, safe_return, with_outcome
from central_portal.identity.services import ATTEMPT_COOKIE, COOKIE, Caller, Identity
from central_portal.link.ports import Links, SealedBody
from shared.commands import OUTCOME_OF_REASON, Redeemed, Verb
from shared.errors import ParasolError, SignInNeeded
from shared.facilities import Outcome
from shared.identity import LinkState
from shared.limits import LIMITS
from shared.oidc import OidcError, OidcProvider, new_state, pack_state, unpack_state
from shared.wire import proof

log = logging.getLogger(__name__)


class Redirect(HttpResponseRedirect):
    """303: the browser goes on with GET, whatever it came with."""

    status_code = 303


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the views need; set once by composition before the first request."""

    identity: Identity
    links: Links
    federation: Federation
    providers: Mapping[str, OidcProvider]
    origin: str
    query_deadline: float


_wiring: list[Wiring] = []
_background: set[asyncio.Task[None]] = set()


def bind(wiring: Wiring) -> None:
    """Give the views what they need."""
    _wiring[:] = [wiring]


def adopt(federation: Federation) -> None:
    """These take part from now on."""
    bind(replace(wired(), federation=federation))


def wired() -> Wiring:
    """What `bind` was given."""
    return _wiring[0]


def _set_cookie(response: HttpResponse, name: str, value: str, max_age: int) -> None:
    response.set_cookie(name, value, max_age=max_age, secure=True, httponly=True, samesite="Lax", path="/")


def _with_session(response: HttpResponse, cookie: str) -> HttpResponse:
    _set_cookie(response, COOKIE, cookie, int(wired().identity.session_life))
    return response


def _drop_cookie(response: HttpResponse, name: str) -> None:
    _set_cookie(response, name, "", 0)


def _attempt(request: HttpRequest) -> str:
    known = request.COOKIES.get(ATTEMPT_COOKIE, "")
    return known if len(known) == 43 else proof.token()


def _failed(reason: str) -> HttpResponse:
    return Redirect("/signin/failed?" + urlencode({"reason": reason}))


# --- sign-in


@require_GET
async def sign_in(request: HttpRequest, provider: str) -> HttpResponse:
    """Send the browser to a provider."""
    client = wired().providers.get(provider)
    if client is None:
        return _failed("UNKNOWN_PROVIDER")
    attempt = _attempt(request)
    state = pack_state(attempt, safe_return(request.GET.get("return")))
    try:
        url = await asyncio.to_thread(client.authorization_url, state, attempt)
    except OidcError as error:
        log.warning("sign-in with %s cannot start: %s", provider, error.reason)
        return _failed("PROVIDER_UNREACHABLE")
    response = HttpResponseRedirect(url)
    _set_cookie(response, ATTEMPT_COOKIE, attempt, int(LIMITS.sign_in_attempt))
    return response


@require_GET
async def sign_in_callback(request: HttpRequest, provider: str) -> HttpResponse:
    """Finish a sign-in that this browser began."""
    client, state = wired().providers.get(provider), request.GET.get("state", "")
    attempt = request.COOKIES.get(ATTEMPT_COOKIE, "")
    unpacked = unpack_state(attempt, state)
    if client is None or unpacked is None:
        return _failed("NO_SUCH_ATTEMPT")
    query = {name: request.GET[name] for name in request.GET}
    try:
        done = await asyncio.to_thread(client.finish, query, state, attempt)
        cookie = await wired().identity.sign_in(
            request.COOKIES.get(COOKIE, ""), done.subject, done.name, provider, done.sid, done.id_token
        )
    except OidcError as error:
        log.warning("sign-in with %s failed: %s", provider, error.reason)
        return _failed("ACCESS_DENIED" if error.reason == "access_denied" else "PROVIDER_REFUSED")
    except SignInNeeded:
        return _failed("SIGNED_OUT_MEANWHILE")
    return _with_session(Redirect(safe_return(unpacked[0])), cookie)


# --- sign-out


@require_POST
async def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session, give up its grants, and go on to the provider's own sign-out."""
    identity, done = wired().identity, f"{wired().origin}/signout/done"
    caller = await identity.caller(request.COOKIES)
    url = done
    if caller is not None:
        id_token = await identity.id_token(caller)
        releases = await identity.releases(caller)
        await identity.end(caller)
        task = asyncio.ensure_future(_release(releases))
        _background.add(task)
        task.add_done_callback(_background.discard)
        client = wired().providers.get(caller.provider)
        if client is not None and id_token:
            try:
                url = await asyncio.to_thread(client.end_session_url, id_token, done)
            except OidcError:
                url = done
    response = Redirect(url)
    _drop_cookie(response, COOKIE)
    return response


async def _release(releases: list[tuple[str, SealedBody]]) -> None:
    async def one(facility_id: str, body: SealedBody) -> None:
        try:
            await wired().links.ask(facility_id, Verb.RELEASE, body, 3.0)
        except ParasolError as error:
            log.info("grant at %s not released: %s", facility_id, error.reason)

    await asyncio.gather(*(one(facility_id, body) for facility_id, body in releases))


@require_POST
async def backchannel(request: HttpRequest, provider: str) -> HttpResponse:
    """OpenID back-channel logout: the provider says that a session has ended."""
    client = wired().providers.get(provider)
    if client is None:
        return JsonResponse({"error": "invalid_request"}, status=400)
    try:
        told = await asyncio.to_thread(client.logout_token, request.POST.get("logout_token", ""))
    except OidcError as error:
        log.warning("logout token of %s refused: %s", provider, error.reason)
        return JsonResponse({"error": "invalid_request"}, status=400)
    await wired().identity.ended_at_provider(provider, told)
    return HttpResponse(status=200)


@require_POST
async def renew(request: HttpRequest) -> HttpResponse:
    """Move the session to a new cookie."""
    cookie = await wired().identity.renew(request.COOKIES.get(COOKIE, ""))
    if cookie is None:
        return JsonResponse({"reason": "CONFLICT", "message": "This session was renewed already."}, status=409)
    return _with_session(JsonResponse({}), cookie)


# --- a visit to a facility's gateway


@require_GET
async def connect(request: HttpRequest, facility: str) -> HttpResponse:
    """Send the browser to a facility's gateway to link the account or renew the grant."""
    table, caller = wired().federation.facility(facility), await wired().identity.caller(request.COOKIES)
    return_to = safe_return(request.GET.get("return"))
    if table is None:
        return Redirect(with_outcome(return_to, facility[:40], Outcome.FAILED))
    if caller is None:
        return Redirect(with_outcome(return_to, facility, Outcome.SIGN_IN_NEEDED))
    state, attempt = new_state(), _attempt(request)
    await wired().identity.begin_visit(caller, state, facility, return_to)
    query = {
        "response_type": "code",
        "client_id": wired().origin,
        "redirect_uri": f"{wired().origin}/connect/callback",
        "scope": format_scopes(parse_scopes(request.GET.get("scope", ""))),
        "state": state,
        "code_challenge": proof.challenge(proof.verifier_of(attempt, state)),
        "code_challenge_method": "S256",
        "key": proof.public_half(proof.private_key_of(attempt, state)),
    }
    response = HttpResponseRedirect(f"{table.gateway}/authorize?{urlencode(query)}")
    _set_cookie(response, ATTEMPT_COOKIE, attempt, int(LIMITS.sign_in_attempt))
    return response


@require_GET
async def connect_callback(request: HttpRequest) -> HttpResponse:
    """Redeem what the gateway sent back; ends on the page from which the visit began, with its outcome."""
    caller, state = await wired().identity.caller(request.COOKIES), request.GET.get("state", "")
    attempt = request.COOKIES.get(ATTEMPT_COOKIE, "")
    if caller is None or not state or len(attempt) != 43:
        return _failed("NO_SUCH_ATTEMPT")
    taken = await wired().identity.end_visit(caller, state)
    if taken is None:
        return _failed("NO_SUCH_ATTEMPT")
    facility, return_to = taken
    table = wired().federation.facility(facility)
    if table is None or request.GET.get("iss") != table.gateway:
        log.warning("answer of a gateway to a visit of %s refused: iss", facility)
        return Redirect(with_outcome(return_to, facility, Outcome.FAILED))
    outcome = await _redeem(caller, facility, request, state, attempt)
    return Redirect(with_outcome(return_to, facility, outcome))


async def _redeem(caller: Caller, facility: str, request: HttpRequest, state: str, attempt: str) -> Outcome:
    identity, error = wired().identity, request.GET.get("error")
    if error:
        outcome = outcome_of_oauth(error)
        if outcome is Outcome.NOT_LINKED:
            await identity.learn(caller, facility, LinkState.NOT_LINKED)
        return outcome
    code, theirs = request.GET.get("code", ""), request.GET.get("key", "")
    if not code:
        return Outcome.FAILED
    mine = proof.private_key_of(attempt, state)
    try:
        secret = proof.grant_secret(mine, theirs, code, proof.public_half(mine), theirs)
        answer = await identity.redeem(
            facility, proof.hashed(code), proof.verifier_of(attempt, state), wired().query_deadline
        )
    except ValueError:
        return Outcome.FAILED
    except ParasolError as problem:
        return OUTCOME_OF_REASON.get(problem.reason, Outcome.FAILED)
    if answer.outcome is not Outcome.OK or not isinstance(answer.payload, Redeemed):
        return answer.outcome if answer.outcome is not Outcome.OK else Outcome.FAILED
    kept = await identity.keep_grant(caller, facility, answer.payload, secret)
    return Outcome.OK if kept else Outcome.SIGN_IN_NEEDED


urlpatterns = [
    path("signin/callback/<slug:provider>", sign_in_callback),
    path("signin/<slug:provider>", sign_in),
    path("signout", sign_out),
    path("backchannel/<slug:provider>", backchannel),
    path("session/renew", renew),
    path("connect/<slug:facility>/start", connect),
    path("connect/callback", connect_callback),
]
