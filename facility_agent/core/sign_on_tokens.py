"""Tokens of the facility's own sign-on: sealed, for one account, as long as a grant of the person lives."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from facility_agent.core.accounts import Accounts
from facility_agent.ports.doorkeeper import LocalIdentity, TokenDoor
from facility_agent.ports.store import Store, TokenRow, Transaction, Vault
from facility_agent.ports.store.tokens import TOKEN_WAITS
from facility_agent.ports.tokens import HeldToken, PersonalCatalogue, PersonSession, SignOnToken, Tokens
from shared.errors import InvalidRequest, ParasolError, SignInNeeded, Unsupported
from shared.identity import Subject

LONGEST = 16_384
ASKING = 3.0
"""So many seconds the catalogue has to say whether it knows a person, while their browser waits."""


class HeldTokens(Tokens):
    """What is held, as the catalogue may use it. `clock` is this machine's POSIX time in seconds."""

    def __init__(self, store: Store, vault: Vault, clock: Callable[[], float]) -> None:
        self._store, self._vault, self._clock = store, vault, clock

    async def held(self, immutable_id: str) -> HeldToken | None:
        """What is held for an account; a token of which no grant came is of no use after ten minutes."""
        now = self._clock()

        def work(tx: Transaction) -> TokenRow | None:
            return next((row for row in tx.tokens_for(immutable_id) if _counts(tx, row, now)), None)

        row = await self._store.transact(work)
        if row is None:
            return None
        over = row.expires_at <= now or not row.token
        return HeldToken(row.mark, "" if over else self._vault.unseal(_label(row), row.token).decode())

    async def keep(self, subject: Subject, sid: str, immutable_id: str, token: SignOnToken) -> None:
        """Hold a token instead of the one before. Raises SignInNeeded, InvalidRequest."""
        if not (token.text.isascii() and token.text.isprintable() and 1 <= len(token.text) <= LONGEST):
            raise InvalidRequest("The facility's sign-on gave no usable token.")
        if not 0 < token.lifetime_s <= 86_400 * 366:
            raise InvalidRequest("The facility's sign-on gave a token without an end.")
        now = self._clock()
        plain = TokenRow(subject, sid, immutable_id, secrets.token_hex(16), b"", now, now + token.lifetime_s)
        box = self._vault.seal(_label(plain), token.text.encode())
        row = TokenRow(subject, sid, immutable_id, plain.mark, box, now, plain.expires_at)

        def work(tx: Transaction) -> None:
            if tx.sid_ended(subject.issuer, sid, now):
                raise SignInNeeded("You have signed out meanwhile; sign in again.")
            tx.sweep(now)
            tx.put_token(row)

        await self._store.transact(work)


class TokenKeeper(TokenDoor):
    """What the gateway asks about tokens, answered for this catalogue."""

    def __init__(self, held: HeldTokens, store: Store, accounts: Accounts, catalogue: PersonalCatalogue) -> None:
        self._held, self._store, self._accounts, self._catalogue = held, store, accounts, catalogue

    async def token_wish(self, subject: Subject) -> PersonSession:
        """What the site wants, unless the person has a session already; a catalogue that does not answer wants none now."""
        wish = self._catalogue.person_session
        if wish is PersonSession.NEVER:
            return wish
        link = await self._store.transact(lambda tx: tx.link_of(subject))
        if link is None or not link.active:
            return wish
        try:
            account = await self._accounts.account_by(link, link)
            async with asyncio.timeout(ASKING):
                return PersonSession.NEVER if await self._catalogue.signed_in(account) else wish
        except (
            ParasolError,
            TimeoutError,
        ):  # nobody is sent elsewhere for nothing; what asks for a grant hears why
            return PersonSession.NEVER

    async def keep_token(self, subject: Subject, sid: str, identity: LocalIdentity, token: SignOnToken) -> None:
        """Hold it."""
        if self._catalogue.person_session is PersonSession.NEVER:
            raise Unsupported("The facility's catalogue takes no tokens.")
        await self._held.keep(subject, sid, identity.immutable_id, token)


class NoTokens(TokenDoor):
    """Where the catalogue takes none."""

    async def token_wish(self, subject: Subject) -> PersonSession:
        """Never."""
        return PersonSession.NEVER

    async def keep_token(self, subject: Subject, sid: str, identity: LocalIdentity, token: SignOnToken) -> None:
        """Refuses."""
        raise Unsupported("The facility's catalogue takes no tokens.")


def _counts(tx: Transaction, row: TokenRow, now: float) -> bool:
    """Whether a token may be used: the subject is linked to its account, and has a grant or is about to get one."""
    link = tx.link_of(row.subject)
    linked = link is not None and link.active and link.immutable_id == row.immutable_id
    return linked and (tx.has_grant(row.subject, now) or now <= row.kept_at + TOKEN_WAITS)


def _label(row: TokenRow) -> str:
    return f"sign-on token {row.mark} {row.immutable_id}"
