"""One session at an ICAT, kept and renewed; queries over its REST interface (icat.server 6, ICATRest.java)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from facility_agent.adapters.http import Upstream, unavailable, unusable
from shared.errors import BackendError, BackendUnavailable, InvalidRequest

NAME = "catalogue"
REQUEST_LINE = 7000
"""Payara refuses a request whose head has more than 8 KiB (`header-buffer-length-bytes`)."""
_SESSION = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|sessionid: *\S+|eyJ[\w-]*(?:\.[\w-]*)*", re.I
)
SHARE = 0.5
"""A session is renewed when this share of its life is over."""


class TurnedAway(Enum):
    """Why a sign-in was refused: what proves it is not taken, it is somebody else's, or this ICAT has no such authenticator."""

    NO = "no"
    PROOF = "proof"
    SOMEBODY_ELSE = "somebody else"
    NO_WAY = "no way"


class IcatClient:
    """A session by `plugin` (an authenticator's mnemonic) and what `credentials` then reads, opened when first needed.

    Safe for concurrent use; one sign-in at a time. What ICAT says of an error is told by its `code`: its HTTP status is the
    same for a session that is over and for a privilege that is missing. With `only` a session of any other user of ICAT's is
    ended before anything is asked in it.

    `turned_away` says why the last sign-in was refused, and is NO otherwise.
    """

    def __init__(
        self, upstream: Upstream, plugin: str, credentials: Callable[[], Mapping[str, str]],
        *, clock: Callable[[], float] = time.monotonic, only: str = "",
    ) -> None:  # fmt: skip
        self._only, self.turned_away = only, TurnedAway.NO
        self._upstream, self._plugin, self._credentials, self._clock = upstream, plugin, credentials, clock
        self._session, self._user, self._renew_at, self._life = "", "", 0.0, 0.0
        self._signing_in = asyncio.Lock()

    async def query(self, text: str) -> list[Any]:
        """The rows of a query. Raises BackendUnavailable, BackendError, and InvalidRequest when it is too long to be sent."""
        if len(quote_plus(text)) > REQUEST_LINE:
            raise InvalidRequest("This question is too long for the facility's catalogue; ask for less at once.")
        session = await self.session()
        code, value = await self._ask("GET", "/entityManager", query={"sessionId": session, "query": text})
        if code == "SESSION":
            session = await self.session(instead_of=session)
            code, value = await self._ask("GET", "/entityManager", query={"sessionId": session, "query": text})
        if code:
            raise _refused(code, value)
        if not isinstance(value, list):
            raise unusable(NAME, "is no list of rows")
        return value

    async def user(self) -> str:
        """Whom ICAT takes the account for. Raises as `query`."""
        await self.session()
        return self._user

    async def close(self) -> None:
        """End the session and the connections."""
        try:
            await self.end()
        finally:
            await self._upstream.close()

    async def end(self) -> None:
        """End the session; that it cannot be ended is no error, it runs out by itself."""
        async with self._signing_in:
            session, self._session = self._session, ""
            if session:
                await self._ended(session)

    async def _ended(self, session: str) -> None:
        with suppress(BackendError):
            await self._upstream.send("DELETE", f"/session/{quote(session, safe='')}")

    async def session(self, instead_of: str = "") -> str:
        """A session that ICAT knew last; another one than `instead_of`, which it no longer knows. Raises as `query`."""
        async with self._signing_in:
            usable = bool(self._session) and self._session != instead_of
            if usable and (self._clock() < self._renew_at or await self._renewed()):
                return self._session
            self._session = ""
            await self._sign_in()
            return self._session

    async def confirm(self) -> None:
        """Have a session that ICAT knows now. Raises as `query`."""
        session = await self.session()
        code, value = await self._ask("GET", f"/session/{quote(session, safe='')}")
        if code == "SESSION":
            await self.session(instead_of=session)
        elif code:
            raise _refused(code, value)

    async def keep(self) -> None:
        """Renew the session when it is half over; one that cannot be renewed is forgotten. Raises BackendUnavailable."""
        async with self._signing_in:
            if self._session and self._clock() >= self._renew_at and not await self._renewed():
                self._session = ""

    async def _renewed(self) -> bool:
        code, _ = await self._ask("PUT", f"/session/{quote(self._session, safe='')}")
        if not code:
            self._renew_at = self._clock() + SHARE * self._life
        return not code

    async def _sign_in(self) -> None:
        self.turned_away = TurnedAway.NO
        try:
            given = await asyncio.to_thread(self._credentials)
        except (OSError, ValueError) as error:
            raise unavailable(NAME) from error
        await self.check_authenticator(set(given))
        if not all(given.values()):
            self.turned_away = TurnedAway.PROOF
            raise BackendError("There is nothing to sign in to the facility's catalogue with.")
        credentials = [{key: value} for key, value in given.items()]
        form = {"json": orjson.dumps({"plugin": self._plugin, "credentials": credentials}).decode()}
        code, value = await self._ask("POST", "/session", form=form)
        if code:
            self.turned_away = TurnedAway.PROOF if code == "SESSION" else TurnedAway.NO
            raise _refused(code, value)
        session = value.get("sessionId") if isinstance(value, dict) else None
        if not isinstance(session, str) or not 1 <= len(session) <= 200:
            raise unusable(NAME, "has no session")
        code, value = await self._ask("GET", f"/session/{quote(session, safe='')}")
        if code:
            raise _refused(code, value)
        user = value.get("userName") if isinstance(value, dict) else None
        if not isinstance(user, str) or not user:
            raise unusable(NAME, "does not say whose the session is")
        if self._only and user != self._only:
            self.turned_away = TurnedAway.SOMEBODY_ELSE
            await self._ended(session)
            raise BackendError(
                "The facility's catalogue takes you for somebody else; its operators can tell more."
            )
        self._session, self._user, self._renew_at = session, user, self._clock() + SHARE * self._life

    async def check_authenticator(self, given: set[str]) -> None:
        """The site's ICAT has the authenticator, and it asks for these credentials. Raises BackendError, BackendUnavailable."""
        code, value = await self._ask("GET", "/properties")
        if code:
            raise _refused(code, value)
        try:
            self._life = 60.0 * float(value["lifetimeMinutes"])
            keys = {each["mnemonic"]: {key["name"] for key in each["keys"]} for each in value["authenticators"]}
        except (KeyError, TypeError, ValueError) as error:
            raise unusable(NAME, "does not say how to sign in") from error
        if keys.get(self._plugin) != given:
            self.turned_away = TurnedAway.NO_WAY
            raise BackendError(
                "The facility's catalogue does not take the portal's way to sign in."
            ) from ValueError(f"authenticators {keys}, wanted {self._plugin} with {sorted(given)}")

    async def _ask(self, method: str, path: str, **given: Any) -> tuple[str, Any]:
        """ICAT's error code, empty for none, and the answer."""
        answer = await self._upstream.send(method, path, **given)
        if answer.status in (200, 204):
            return "", (await answer.json() if answer.body else None)
        value = await answer.json()
        code = value.get("code") if isinstance(value, dict) else None
        if not isinstance(code, str) or not code:
            raise unavailable(NAME) if answer.status >= 500 else unusable(NAME, f"has status {answer.status}")
        return code, value


def _refused(code: str, value: Any) -> BackendError:
    """What is said of an error of ICAT; its own words are for the operator's log, without the sessions and tokens that they name."""
    said = value.get("message") if isinstance(value, dict) else ""
    cause = ValueError(f"{code}: {_SESSION.sub('(a secret)', str(said))[:300]}")
    if code == "INTERNAL":
        error: BackendError = BackendUnavailable("The facility's catalogue failed on its side; try again later.")
    elif code in {"SESSION", "INSUFFICIENT_PRIVILEGES"}:
        error = BackendError("The facility's catalogue does not let the portal in; its operators can tell more.")
    else:
        error = BackendError("The facility's catalogue refused a question; its operators can tell more.")
    error.__cause__ = cause
    return error
