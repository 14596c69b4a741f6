"""SciCat's web API as the adapter uses it: reading, in nobody's name or in the functional account's.

Paths, bodies and rights are those of scicat-backend-next, API v4 (sign-in, instruments and proposals: v3).
SciCat takes an expired, forged or revoked token for nobody's. Datasets then answer 403, but proposals what is public: so
a short answer is no sign of a good token, and where it matters who SciCat took one for is asked (`whoami`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from facility_agent.adapters.http import Answer, Upstream, unavailable, unusable
from shared.errors import AccessDenied, InvalidRequest

NAME = "catalogue"
REQUEST_LINE = 12_000
"""Node refuses a request whose head has more than 16 KiB."""
EARLY = 60.0
"""Seconds before its end when a token is renewed."""


@dataclass(frozen=True, slots=True)
class Session:
    """A token of the functional account, and until when it is used (`clock`'s seconds)."""

    token: str
    ends: float


class Client:
    """Requests to one SciCat. `reading` are SciCat's groups whose members read everything.

    The account must be in one of them: what it does not see would look as if it did not exist, and a proposal
    whose hidden datasets do not exist would look open. Safe to use concurrently.
    """

    def __init__(
        self, upstream: Upstream, username: str, password: Callable[[], str], reading: frozenset[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._upstream, self._username, self._password = upstream, username, password
        self._reading, self._clock = reading, clock
        self._session: Session | None = None
        self._signing_in = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def public(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The answer to GET as anyone gets it, None for an empty one.

        Raises BackendUnavailable, BackendError, and InvalidRequest when the question is too long to be sent.
        """
        return await _told(await self._get(path, query, None))

    async def all(self, path: str, query: Mapping[str, Any] | None = None, *, silent: bool = False) -> Any:
        """The answer to GET as the functional account gets it; a token that is no longer good is renewed once.

        `silent` is for what answers nobody too, with less: the token is asked about after the answer. Raises as `public`.
        """
        session = await self._signed_in(None)
        for last in (False, True):
            answer = await self._get(path, query, session.token)
            refused = answer.status in (401, 403)
            if not refused and (not silent or await self._is_good(session)):
                return await _told(answer)
            if last:
                break
            session = await self._signed_in(session)
        raise unusable(NAME, "does not let the functional account read")

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to POST as the functional account gets it. Sent a second time only when the first was nobody's.

        Raises AccessDenied when SciCat refuses it to the account, else as `all`.
        """
        session = await self._signed_in(None)
        for last in (False, True):
            answer = await self._upstream.send("POST", path, json=dict(body), headers=_bearer(session.token))
            if answer.status not in (401, 403):
                return await _told(answer)
            if last or await self._is_good(session):
                break
            session = await self._signed_in(session)
        raise AccessDenied("The facility's archive does not let the portal restore this dataset.")

    @property
    def username(self) -> str:
        """The functional account's name."""
        return self._username

    async def _signed_in(self, bad: Session | None) -> Session:
        """A session that is not `bad`. One sign-in at a time; the others wait for it."""
        async with self._signing_in:
            if self._session is None or self._session is bad or self._session.ends <= self._clock():
                self._session = None
                self._session = await self._sign_in()
            return self._session

    async def _sign_in(self) -> Session:
        began = self._clock()
        password = await asyncio.to_thread(self._secret)
        body = {"username": self._username, "password": password}
        answer = await self._upstream.send("POST", "/api/v3/auth/login", json=body)
        if answer.status in (401, 403):
            raise unusable(NAME, "does not let the functional account sign in")
        given = await _told(answer)
        token, life = (
            (given.get("access_token"), given.get("expires_in")) if isinstance(given, dict) else (None, None)
        )
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise unusable(NAME, "has no token for the functional account")
        seconds = float(life) if isinstance(life, int | float) else 0.0
        session = Session(token, began + max(seconds - EARLY, seconds / 2))
        if not await self._is_good(session):
            raise unusable(NAME, "does not know the token that it has just given")
        return session

    def _secret(self) -> str:
        try:
            return self._password()
        except (OSError, ValueError) as error:
            raise unavailable(NAME) from error

    async def _is_good(self, session: Session) -> bool:
        """Whether SciCat takes the token for the functional account's. Raises BackendError when that may not read all."""
        who = await _told(await self._get("/api/v3/auth/whoami", None, session.token))
        if not isinstance(who, dict) or who.get("username") != self._username:
            return False
        groups = who.get("currentGroups")
        if not isinstance(groups, list) or self._reading.isdisjoint(g for g in groups if isinstance(g, str)):
            raise unusable(NAME, f"puts the functional account in none of the groups {sorted(self._reading)}")
        return True

    async def _get(self, path: str, query: Mapping[str, Any] | None, token: str | None) -> Answer:
        texts = {key: _written(value) for key, value in (query or {}).items()}
        if sum(len(quote(text, safe="")) for text in texts.values()) > REQUEST_LINE:
            raise InvalidRequest("This question is too long for the facility's catalogue; ask for less at once.")
        return await self._upstream.send("GET", path, query=texts, headers=_bearer(token) if token else {})


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _written(value: Any) -> str:
    """JSON. Raises InvalidRequest for what is no text."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise InvalidRequest("The question has characters that no text has.") from None


async def _told(answer: Answer) -> Any:
    """What an answer says, None when it is empty: the one place where SciCat's errors become ours."""
    if answer.status == 429 or answer.status >= 500:
        raise unavailable(NAME) from ValueError(f"status {answer.status}")
    if answer.status not in (200, 201):
        said = await answer.json() if answer.body else None
        why = said.get("message") if isinstance(said, dict) else ""
        raise unusable(NAME, f"is a refusal ({answer.status}): {str(why)[:200]!r}")
    return await answer.json() if answer.body else None
