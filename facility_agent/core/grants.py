"""Codes, grants, and the proof that a command carries."""

from __future__ import annotations

import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from facility_agent.ports.doorkeeper import IssuedCode
from facility_agent.ports.store import CodeRow, GrantRow, SeenRow, Store, Transaction, Vault
from shared.commands import NEVER_EXPIRES, SCOPE_OF, Command, Redeem, Redeemed
from shared.errors import (
    AccountNotLinked,
    Conflict,
    Expired,
    InvalidRequest,
    RateLimited,
    Replayed,
    ScopeDenied,
    SignInNeeded,
)
from shared.identity import Scope, Subject
from shared.limits import LIMITS
from shared.wire import proof

SUPERSEDED_LIFE = 900.0
_NO_SECRET = b"\0" * 32


@dataclass(frozen=True, slots=True)
class GrantLives:
    """How long grants hold, in seconds, by the furthest scope."""

    read_s: float = 7 * 86400
    run_s: float = 12 * 3600

    def of(self, scopes: frozenset[Scope]) -> float:
        """The life of a grant with these scopes."""
        return min(self.read_s, self.run_s) if Scope.RUN in scopes else self.read_s


class Rates:
    """At most 20 commands a second and 2,000 an hour, counted per subject, however many grants it has."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[Subject, deque[float]] = defaultdict(deque)

    def count(self, subject: Subject) -> None:
        """Count one command. Raises RateLimited instead when there were too many."""
        now, used = self._clock(), self._used[subject]
        while used and used[0] < now - 3600:
            used.popleft()
        lately = sum(1 for at in list(used)[-LIMITS.commands_per_second :] if at > now - 1)
        if lately >= LIMITS.commands_per_second or len(used) >= LIMITS.commands_per_hour:
            raise RateLimited
        used.append(now)
        if len(self._used) > 10_000:
            self._used = defaultdict(deque, {s: q for s, q in self._used.items() if q and q[-1] > now - 3600})


class Grants:
    """Issues codes, redeems them, verifies commands. `clock` is this machine's POSIX time in seconds."""

    def __init__(
        self, store: Store, vault: Vault, facility_id: str, lives: GrantLives, clock: Callable[[], float]
    ) -> None:
        self._store, self._vault, self._facility, self._lives, self._clock = (
            store,
            vault,
            facility_id,
            lives,
            clock,
        )
        self._rates = Rates(clock)

    async def issue(
        self, subject: Subject, sid: str, scopes: frozenset[Scope], challenge: str, centre_key: str
    ) -> IssuedCode:
        """A code for one grant; the secret is agreed now, the code is kept only as a hash."""
        if len(challenge) != 43 or len(centre_key) != 43 or not scopes:
            raise InvalidRequest("The portal's request for a grant is malformed.")
        code, mine = proof.token(), X25519PrivateKey.generate()
        ours = proof.public_half(mine)
        try:
            secret = proof.grant_secret(mine, centre_key, code, centre_key, ours)
        except ValueError:
            raise InvalidRequest("The portal's key is malformed.") from None
        digest = proof.hashed(code)
        words = " ".join(sorted(scope.value for scope in scopes))
        row = CodeRow(
            digest, challenge, self._vault.seal(f"code {digest}", secret), subject, sid, words,
            self._clock() + LIMITS.one_time_code,
        )  # fmt: skip

        def work(tx: Transaction) -> None:
            tx.sweep(self._clock())
            if tx.sid_ended(subject.issuer, sid, self._clock()):
                raise SignInNeeded("You have signed out meanwhile; sign in again.")
            link = tx.link_of(subject)
            if link is None or not link.active:
                raise AccountNotLinked
            tx.put_code(row)

        await self._store.transact(work)
        return IssuedCode(code, ours)

    async def redeem(self, asked: Redeem, proven: Callable[[Subject], None] = lambda _: None) -> Redeemed:
        """The grant behind a code, once, within 30 s; `proven` is told whose. Raises SignInNeeded for anything else."""
        grant_id = str(uuid.uuid4())

        def take(tx: Transaction) -> CodeRow | None:
            return tx.take_code(asked.code_hash)  # committed even when what follows refuses: a code has one try

        code = await self._store.transact(take)
        now = self._clock()
        if code is None or code.expires_at < now or proof.challenge(asked.verifier) != code.challenge:
            raise SignInNeeded("This one-time code is not valid (any more).")
        proven(code.subject)
        secret = self._vault.unseal(f"code {code.code_hash}", code.secret)
        scopes = frozenset(Scope(word) for word in code.scopes.split())
        life = self._lives.of(scopes)

        def work(tx: Transaction) -> None:
            if tx.sid_ended(code.subject.issuer, code.sid, now):
                raise SignInNeeded
            link = tx.link_of(code.subject)
            if link is None or not link.active:
                raise AccountNotLinked
            box = self._vault.seal(f"grant {grant_id}", secret)
            row = GrantRow(
                grant_id,
                code.subject,
                code.sid,
                link.immutable_id,
                link.generation,
                code.scopes,
                box,
                now,
                now + life,
            )
            tx.put_grant(row)
            ours = tx.grants_of(code.subject, code.sid)
            for old in ours[: max(0, len(ours) - LIMITS.grants_per_sign_in)]:
                tx.expire_grant(old.grant_id, now + SUPERSEDED_LIFE)

        await self._store.transact(work)
        return Redeemed(grant_id, tuple(sorted(scopes)), int(life * 1000), int(now * 1000))

    async def verify(self, body: bytes, grant_id: str, mac: bytes) -> GrantRow:
        """The grant whose secret made this MAC. Raises SignInNeeded."""
        return self.proven(await self._store.transact(lambda tx: tx.grant(grant_id)), body, mac)

    def proven(self, row: GrantRow | None, body: bytes, mac: bytes) -> GrantRow:
        """The grant, when its secret made this MAC. Raises SignInNeeded; no grant costs the same time."""
        secret = self._vault.unseal(f"grant {row.grant_id}", row.secret) if row else _NO_SECRET
        if not proof.same(proof.mac(secret, body), mac) or row is None:
            raise SignInNeeded
        return row

    def admit(self, grant: GrantRow, command: Command) -> None:
        """Whether this command may be asked under this grant now; counts it.

        Raises SignInNeeded, InvalidRequest, ScopeDenied, Expired, RateLimited.
        """
        now = self._clock()
        if command.facility_id != self._facility:
            raise InvalidRequest("This command is for another facility.")
        if grant.expires_at <= now:
            raise SignInNeeded
        scope = SCOPE_OF[command.verb]
        if scope is not None and scope.value not in grant.scopes.split():
            raise ScopeDenied
        forever = command.expires_ms == 0 and command.verb in NEVER_EXPIRES
        if not forever and not now < command.expires_ms / 1000 <= now + LIMITS.command_ahead:
            raise Expired
        self._rates.count(grant.subject)

    def hold(self, tx: Transaction, grant: GrantRow) -> None:
        """Whether the grant still is and its account link holds. Raises SignInNeeded, AccountNotLinked."""
        if tx.grant(grant.grant_id) is None:
            raise SignInNeeded
        link = tx.link_of(grant.subject)
        if link is None or not link.active or link.generation != grant.generation:
            raise AccountNotLinked

    async def authorise(self, grant: GrantRow, command: Command, body: bytes) -> None:
        """Whether this query may be carried out now; uses up its id. Raises what `admit` and `hold` do, Conflict, Replayed."""
        self.admit(grant, command)
        row = SeenRow(command.command_id, grant.grant_id, proof.hashed(body), command.expires_ms / 1000)

        def work(tx: Transaction) -> None:
            self.hold(tx, grant)
            seen = tx.seen(command.command_id)
            if tx.order(command.command_id) is not None:
                raise Conflict
            if seen is not None:
                raise Replayed if (seen.grant_id, seen.body_hash) == (row.grant_id, row.body_hash) else Conflict
            tx.remember(row)

        await self._store.transact(work)

    async def release(self, grant: GrantRow) -> None:
        """Give up one grant and all others of the same sign-in for this subject."""

        def work(tx: Transaction) -> None:
            for row in tx.grants_of(grant.subject, grant.sid):
                tx.delete_grant(row.grant_id)
            tx.delete_grant(grant.grant_id)
            tx.drop_token(grant.subject, grant.sid)

        await self._store.transact(work)


def order_hash(body: bytes, grant_id: str, mac: bytes) -> str:
    """What makes a redelivered order the same order."""
    return proof.hashed(body + b"\0" + grant_id.encode() + b"\0" + mac)
