"""SciCat's web API as the adapter uses it: tokens, and requests in an account's name or in nobody's.

Paths, bodies and rights are those of scicat-backend-next, API v4 (sign-in, users, instruments and proposals: v3).
SciCat takes an expired, forged or revoked token for nobody's and answers with what is public, so a short answer is no
sign of a valid token: who SciCat takes one for is asked (`whoami`) and compared.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from facility_agent.adapters.http import Answer, Upstream, unavailable, unusable
from shared.errors import AccessDenied, BackendError, InvalidRequest

log = logging.getLogger(__name__)
NAME = "catalogue"
REQUEST_LINE = 12_000
"""Node refuses a request whose head has more than 16 KiB."""
LIFE, EARLY, KNOWN = 900, 60.0, 5000
"""Seconds that a minted token lives, seconds before its end when it is renewed, and how many are remembered."""


@dataclass(slots=True)
class Session:
    """What is held for one SciCat user: a token, and the groups that SciCat gave it when it was minted."""

    username: str
    token: str
    groups: frozenset[str]
    ends: float


@dataclass(slots=True)
class _Slot:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: Session | None = None


class Client:
    """Requests to one SciCat. `strategies` are the ways of signing in whose users may be acted for.

    A functional account's user is never acted for: its strategy is "local", and it may be an administrator's.
    """

    def __init__(
        self, upstream: Upstream, username: str, password: Callable[[], str], strategies: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._upstream, self._username, self._password = upstream, username, password
        self._strategies, self._clock = strategies, clock
        self._own = _Slot()
        self._slots: OrderedDict[str, _Slot] = OrderedDict()

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    # --- in nobody's name

    async def public(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The answer to GET as anyone gets it, None for an empty one. Raises NotFound's kin as `told` does."""
        return await told(await self._get(path, query, None))

    # --- in a user's name

    async def session(self, username: str) -> Session | None:
        """A good token of this user; None when SciCat has no user of this name that may be acted for.

        Raises BackendUnavailable, BackendError when the functional account cannot sign in or mint.
        """
        slot = self._slots.setdefault(username, _Slot())
        self._slots.move_to_end(username)
        while len(self._slots) > KNOWN:
            self._slots.popitem(last=False)
        async with slot.lock:
            if slot.session is None or slot.session.ends <= self._clock():
                slot.session = None
                slot.session = await self._mint(username)
            return slot.session

    async def groups(self, username: str) -> frozenset[str]:
        """The user's groups as SciCat has them now; none when there is no such user."""
        for last in (False, True):
            session = await self.session(username)
            if session is None:
                return frozenset()
            who = await self._whoami(session.token)
            if who is not None and who.get("username") == username:
                session.groups = _groups(who)
                return session.groups
            self._forget(session)
            if last:
                break
        raise unusable(NAME, "does not know a token that it has just minted")

    async def asked(self, session: Session, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The answer to GET in a user's name. A token that is no longer good is renewed once."""
        answer = await self._get(path, query, session.token)
        if answer.status in (401, 403) and await self._renewed(session):
            answer = await self._get(path, query, session.token)
        return await told(answer)

    async def posted(self, session: Session, path: str, body: Any) -> Any:
        """The answer to POST in a user's name. A token that is no longer good is renewed once."""
        answer = await self._post(path, body, session.token)
        if answer.status in (401, 403) and await self._renewed(session):
            answer = await self._post(path, body, session.token)
        return await told(answer)

    async def _renewed(self, session: Session) -> bool:
        """Whether a refusal was the token's fault; then the session has a new one."""
        who = await self._whoami(session.token)
        if who is not None and who.get("username") == session.username:
            return False
        self._forget(session)
        fresh = await self.session(session.username)
        if fresh is None:
            return False
        session.token, session.groups, session.ends = fresh.token, fresh.groups, fresh.ends
        return True

    def _forget(self, session: Session) -> None:
        slot = self._slots.get(session.username)
        if slot is not None and slot.session is not None and slot.session.token == session.token:
            slot.session = None

    # --- tokens

    async def _mint(self, username: str) -> Session | None:
        identity = await self._as_own(
            "GET", "/api/v3/useridentities/findOne", {"filter": {"where": {"profile.username": username}}}
        )
        if not isinstance(identity, dict) or not isinstance(identity.get("profile"), dict):
            return None
        user = identity.get("userId")
        if identity["profile"].get("username") != username or not isinstance(user, str) or not user:
            return None
        if identity.get("authStrategy") not in self._strategies:
            log.warning(
                "a SciCat user of another way of signing in (%s) is not acted for", identity.get("authStrategy")
            )
            return None
        began = self._clock()
        minted = await self._as_own("POST", f"/api/v3/users/{quote(user, safe='')}/jwt", {"expiresIn": str(LIFE)})
        token = minted.get("jwt") if isinstance(minted, dict) else None
        who = await self._whoami(token) if isinstance(token, str) else None
        if who is None or who.get("username") != username or not isinstance(token, str):
            raise unusable(NAME, "minted no token of the user that was asked for")
        return Session(username, token, _groups(who), began + LIFE - EARLY)

    async def _as_own(self, method: str, path: str, given: Mapping[str, Any]) -> Any:
        """As the functional account: None for what does not exist. Signs in, once again if the token was refused."""
        for last in (False, True):
            token = await self._own_token(renew=last)
            sent = self._get(path, given, token) if method == "GET" else self._post(path, given, token)
            answer = await sent
            if answer.status in (401, 403) and not last:
                continue
            if answer.status == 404:
                return None
            if answer.status in (401, 403):
                raise unusable(
                    NAME, "lets the functional account neither find users nor mint tokens: is it an admin?"
                )
            return await told(answer)
        raise AssertionError

    async def _own_token(self, *, renew: bool) -> str:
        async with self._own.lock:
            held = self._own.session
            if held is None or renew or held.ends <= self._clock():
                began = self._clock()
                body = {"username": self._username, "password": self._password()}
                answer = await self._post("/api/v3/auth/login", body, None)
                if answer.status == 401:
                    raise unusable(NAME, "does not let the functional account sign in")
                given = await told(answer)
                if not isinstance(given, dict) or not isinstance(given.get("access_token"), str):
                    raise unusable(NAME, "has no token for the functional account")
                life = given.get("expires_in")
                ends = began + (float(life) if isinstance(life, int | float) else 0.0) - EARLY
                held = self._own.session = Session(self._username, given["access_token"], frozenset(), ends)
            return held.token

    async def _whoami(self, token: str) -> dict[str, Any] | None:
        who = await told(await self._get("/api/v3/auth/whoami", None, token))
        return who if isinstance(who, dict) else None

    # --- requests

    async def _get(self, path: str, query: Mapping[str, Any] | None, token: str | None) -> Answer:
        texts = {key: written(value) for key, value in (query or {}).items()}
        if sum(len(quote(text, safe="")) for text in texts.values()) > REQUEST_LINE:
            raise InvalidRequest("This question is too long for the facility's catalogue; ask for less at once.")
        return await self._upstream.send("GET", path, query=texts, headers=_headers(token))

    async def _post(self, path: str, body: Any, token: str | None) -> Answer:
        return await self._upstream.send("POST", path, json=body, headers=_headers(token))


def written(value: Any) -> str:
    """JSON, or the text itself. Raises InvalidRequest for what is no text."""
    try:
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    except TypeError:
        raise InvalidRequest("The question has characters that no text has.") from None


async def told(answer: Answer) -> Any:
    """What an answer says, None when it is empty.

    Raises AccessDenied for 401 and 403, `Missing` for 404, BackendUnavailable for 429 and 5xx, BackendError otherwise.
    """
    if answer.status in (401, 403):
        raise AccessDenied("The facility's catalogue does not allow this.")
    if answer.status == 404:
        raise Missing
    if answer.status == 429 or answer.status >= 500:
        raise unavailable(NAME) from ValueError(f"status {answer.status}")
    if answer.status not in (200, 201):
        said = await answer.json()
        why = said.get("message") if isinstance(said, dict) else ""
        raise unusable(NAME, f"is a refusal ({answer.status}): {str(why)[:200]!r}")
    return await answer.json() if answer.body else None


class Missing(BackendError):
    """SciCat answers that there is no such thing."""

    default_message = "The facility's catalogue has nothing under this name."


def _groups(who: Mapping[str, Any]) -> frozenset[str]:
    groups = who.get("currentGroups")
    return (
        frozenset(group for group in groups if isinstance(group, str) and group)
        if isinstance(groups, list)
        else frozenset()
    )


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}
