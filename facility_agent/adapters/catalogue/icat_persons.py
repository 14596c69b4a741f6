"""People's own sessions at an ICAT, by tokens of the facility's sign-on (authn.oidc): kept, renewed, ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from facility_agent.adapters.catalogue.icat_client import IcatClient, TurnedAway
from facility_agent.adapters.http import Upstream
from facility_agent.ports.directory import Account
from facility_agent.ports.tokens import HeldToken, Tokens
from shared.errors import AccessDenied, BackendError, BackendUnavailable, SignInNeeded

log = logging.getLogger(__name__)
MOST = 1000
TEND_EVERY = 60.0
ASK = "The facility's catalogue asks you to sign in at the facility again; connect it anew."


@dataclass(eq=False)
class Person:
    """One person's session. `held` has what the next sign-in shows; `refused` holds until there is another token."""

    account: str
    user: str
    held: HeldToken
    client: IcatClient
    refused: BackendError | None = None

    async def end(self) -> None:
        """End the session; a question that is under way opens no other one."""
        self.held = HeldToken(self.held.mark, "")
        await self.client.end()


class IcatPersons:
    """Sessions by the authenticator `plugin`; `required` says that nobody is answered without one.

    A session is only ever of the user that the account is in ICAT. It ends when nothing is held for the account any more
    (`Tokens.held`), seen at the next question or within a minute. At most `MOST` are open, the one that was used last stays longest.
    """

    def __init__(
        self, upstream: Upstream, plugin: str, required: bool, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._upstream, self._plugin, self._required, self._clock = upstream, plugin, required, clock
        self._people: dict[str, Person] = {}
        self._tokens: Tokens | None = None

    def use(self, tokens: Tokens) -> None:
        """Take tokens from there."""
        self._tokens = tokens

    async def of(self, account: Account, user: str) -> Person | None:
        """The person whose account this is, `user` in ICAT; None where the service account asks for them.

        Raises SignInNeeded when their own session is required and there can be none, else as `refused`, BackendUnavailable.
        """
        held = await self._tokens.held(account.immutable_id) if self._tokens is not None else None
        person = self._people.pop(account.immutable_id, None)
        if person is not None and (held is None or (held.mark, user) != (person.held.mark, person.user)):
            await person.end()
            person = None
        if held is not None and person is None:
            person = self._people.pop(account.immutable_id, None) or self._new(account, user, held)
        if person is None or held is None:
            self._without()
            return None
        person.held = held
        self._people[account.immutable_id] = person
        if len(self._people) > MOST:
            await self._people.pop(next(iter(self._people))).end()
        if person.refused is not None:
            self._instead(person, person.refused)
            return None
        return person

    async def signed_in(self, account: Account, user: str) -> bool:
        """Whether this person has a session now. Raises BackendUnavailable."""
        with suppress(SignInNeeded, AccessDenied):
            person = await self.of(account, user)
            if person is None:
                return False
            try:
                await person.client.confirm()
                return True
            except BackendUnavailable:
                raise
            except BackendError as error:
                self.refused(person, error)
        return False

    def _new(self, account: Account, user: str, held: HeldToken) -> Person:
        client = IcatClient(
            self._upstream, self._plugin, lambda: {"token": made.held.text}, clock=self._clock, only=user
        )
        made = Person(account.immutable_id, user, held, client)
        return made

    def _without(self) -> None:
        if self._required:
            raise SignInNeeded(ASK)

    def refused(self, person: Person, error: BackendError) -> None:
        """What follows from an error of this person's session. Raises it, unless the service account is to ask instead.

        Raises AccessDenied when ICAT took the token for another user's, SignInNeeded.
        """
        if person.client.turned_away is TurnedAway.NO:
            raise error
        if person.refused is None:
            why = error.__cause__ or error
            log.warning("a person's own session at the catalogue was refused: %s", why)
        person.refused = error
        self._instead(person, error)

    def _instead(self, person: Person, error: BackendError) -> None:
        why = person.client.turned_away
        if why is TurnedAway.SOMEBODY_ELSE:
            raise AccessDenied(error.message)
        if why is TurnedAway.NO_WAY and self._required:
            raise BackendError(error.message)
        self._without()

    async def tend(self) -> None:
        """Renew sessions that are half over and end those for which nothing is held any more."""
        for person in list(self._people.values()):
            held = await self._tokens.held(person.account) if self._tokens is not None else None
            if held is None or held.mark != person.held.mark:
                if self._people.get(person.account) is person:
                    del self._people[person.account]
                await person.end()
            else:
                await person.client.keep()

    async def watch(self) -> None:
        """Tend for ever."""
        while True:
            await asyncio.sleep(TEND_EVERY)
            try:
                await self.tend()
            except BackendError as error:
                log.warning("people's own sessions cannot be looked after: %s", error)

    async def close(self) -> None:
        """End all sessions and the connections."""
        people, self._people = list(self._people.values()), {}
        try:
            for person in people:
                await person.end()
        finally:
            await self._upstream.close()

    async def fault(self) -> str:
        """Whether ICAT has the authenticator, and it takes a token."""
        probe = IcatClient(self._upstream, self._plugin, lambda: {"token": ""})
        try:
            await probe.check_authenticator({"token"})
        except BackendError:
            if probe.turned_away is not TurnedAway.NO_WAY:
                raise
            return f"/properties lists no authenticator {self._plugin} that takes a token alone."
        return ""
