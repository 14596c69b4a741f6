"""What the rest of the centre calls: who is this, and ask a facility in their name."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from central_portal.database import in_database
from central_portal.identity import store
from central_portal.identity.logic import expires_ms, parse_scopes
from central_portal.identity.sealing import ID_TOKEN_LABEL, grant_label, seal, sealing_key, unseal
from central_portal.identity.watch import SessionWatch
from central_portal.link.ports import CommandWriter, Links, SealedBody
from shared.commands import NEVER_EXPIRES, PUBLIC, SCOPE_OF, Answer, Parameters, Redeem, Redeemed, Release, Verb
from shared.errors import SignInNeeded
from shared.facilities import Outcome
from shared.identity import LinkState, Scope, Subject
from shared.limits import LIMITS
from shared.oidc import SignedOut
from shared.wire.proof import hashed, mac, token

COOKIE = "__Host-parasol"
ATTEMPT_COOKIE = "__Host-parasol-attempt"
QUERY_GRACE = 30.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in person for the length of a request or a socket. Holds the sealing key, never the cookie."""

    person_id: int
    name: str
    subject: Subject
    provider: str
    session_hash: str
    expires_at: float
    seal_key: bytes = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AccountLinkInfo:
    """What the portal knows of one account link and of the grant of this session; times are POSIX seconds."""

    state: LinkState
    checked_at: float | None
    scopes: frozenset[Scope] = frozenset()
    grant_expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What the portal holds of a caller at one instant, by facility: read once for the many questions of a search."""

    links: Mapping[str, AccountLinkInfo]
    grants: Mapping[str, Sequence[store.GrantRow]] = field(repr=False)


class Identity:
    """Sessions and grants. Database work runs in threads; no transaction is held across a call.

    `session_life` is in seconds; `clock` gives POSIX seconds.
    """

    def __init__(
        self,
        links: Links,
        write_command: CommandWriter,
        session_life: float,
        watch: SessionWatch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._links, self._write, self._clock = links, write_command, clock
        self.session_life, self._watch = session_life, watch

    # --- who

    async def caller(self, cookies: Mapping[str, str]) -> Caller | None:
        """The person behind a request's cookies, None for an anonymous one."""
        cookie = cookies.get(COOKIE, "")
        if not cookie or len(cookie) > 100:
            return None
        row = await in_database(store.session_of)(hashed(cookie), self._clock())
        return _caller(row, sealing_key(cookie)) if row else None

    async def refresh(self, caller: Caller) -> Caller | None:
        """The same caller looked up anew, None when the session has ended meanwhile."""
        row = await in_database(store.session_of)(caller.session_hash, self._clock())
        return _caller(row, caller.seal_key) if row else None

    def on_session_end(self, session_hash: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once when the session is renewed or ends; returns the unsubscribe."""
        return self._watch.on_end(session_hash, callback)

    # --- sessions

    async def sign_in(
        self, old_cookie: str, subject: Subject, name: str, provider: str, sid: str, id_token: str
    ) -> str:
        """Open a session and return its cookie. Raises SignInNeeded when `sid` has ended meanwhile."""
        cookie, now = token(), self._clock()
        try:
            touched = await in_database(store.open_session)(
                cookie, old_cookie, subject, name, provider, sid, id_token, now, now + self.session_life
            )
        except PermissionError:
            raise SignInNeeded("You have signed out meanwhile; sign in again.") from None
        self._watch.announce(touched)
        return cookie

    async def renew(self, old_cookie: str) -> str | None:
        """Move a session to a new cookie; None when it was renewed before or has ended."""
        cookie = token()
        if not await in_database(store.renew)(cookie, old_cookie, self._clock()):
            return None
        self._watch.announce([hashed(old_cookie)])
        return cookie

    async def id_token(self, caller: Caller) -> str:
        """The ID token of this session, empty when it cannot be opened."""
        row = await in_database(store.session_of)(caller.session_hash, self._clock())
        opened = unseal(caller.seal_key, ID_TOKEN_LABEL, row.id_token) if row else None
        return (opened or b"").decode()

    async def releases(self, caller: Caller) -> list[tuple[str, SealedBody]]:
        """The commands that give up each grant of this session; made before the session is deleted."""
        rows = await in_database(store.grants_of)(caller.session_hash, self._clock())
        made = [
            (row.facility, self._sealed(caller, row, Verb.RELEASE, Release(), str(uuid.uuid4()), QUERY_GRACE))
            for row in rows
        ]
        return [(facility, body) for facility, body in made if body is not None]

    async def end(self, caller: Caller) -> None:
        """The caller signs out: this session and all of the same provider session end."""
        self._watch.announce(await in_database(store.end_own)(caller.session_hash, self._clock()))

    async def ended_at_provider(self, provider: str, told: SignedOut) -> None:
        """The provider says that a session has ended, or all of a subject's when it names none."""
        if told.sid:
            ended = await in_database(store.end_sid)(provider, told.sid, self._clock())
        else:
            ended = await in_database(store.end_subject)(provider, Subject(told.issuer, told.sub))
        self._watch.announce(ended)

    # --- visits to gateways

    async def begin_visit(self, caller: Caller, state: str, facility_id: str, return_to: str) -> None:
        """Remember that this session's browser is on its way to a facility's gateway."""
        save = in_database(store.save_attempt)
        await save(state, caller.session_hash, facility_id, return_to, self._clock())

    async def end_visit(self, caller: Caller, state: str) -> tuple[str, str] | None:
        """(facility, return_to) of a visit that this session began, once; None for any other state."""
        return await in_database(store.take_attempt)(state, caller.session_hash, self._clock())

    # --- grants

    async def redeem(self, facility_id: str, code_hash: str, verifier: str, timeout_s: float) -> Answer:
        """Ask a facility for the grant behind a code. Raises FacilityUnavailable, DeadlineExceeded."""
        parameters = Redeem(code_hash, verifier)
        body = self._write(facility_id, str(uuid.uuid4()), Verb.REDEEM, parameters, 0)
        return await self._links.ask(facility_id, Verb.REDEEM, SealedBody(body), timeout_s)

    async def keep_grant(self, caller: Caller, facility_id: str, grant: Redeemed, secret: bytes) -> bool:
        """Seal a redeemed grant into this session. False when the session has ended meanwhile."""
        now = self._clock()
        box = seal(caller.seal_key, grant_label(facility_id, grant.grant_id), secret)
        row = store.GrantRow(
            facility_id, grant.grant_id, box, " ".join(grant.scopes), grant.agent_now_ms - int(now * 1000),
            now + grant.lifetime_ms / 1000,
        )  # fmt: skip
        kept = await in_database(store.save_grant)(caller.session_hash, row)
        if kept:
            await self.learn(caller, facility_id, LinkState.LINKED)
        return kept

    async def learn(self, caller: Caller, facility_id: str, state: LinkState) -> None:
        """Note what a facility said of the caller's account link."""
        await in_database(store.learn_link)(caller.person_id, facility_id, state, self._clock())

    async def account_links(self, caller: Caller) -> Mapping[str, AccountLinkInfo]:
        """Facility → what is known; facilities that nothing is known of are absent."""
        return (await self.held(caller)).links

    async def held(self, caller: Caller) -> Held:
        """What is known of the caller's account links, and the living grants of this session."""
        known, rows = await in_database(store.held)(caller.person_id, caller.session_hash, self._clock())
        links = {facility: AccountLinkInfo(state, at) for facility, (state, at) in known.items()}
        grants: dict[str, list[store.GrantRow]] = defaultdict(list)
        for row in rows:
            seen = links.get(row.facility, AccountLinkInfo(LinkState.LINKED, None))
            links[row.facility] = AccountLinkInfo(
                seen.state, seen.checked_at, parse_scopes(row.scopes), row.expires_at
            )
            grants[row.facility].append(row)
        return Held(links, grants)

    async def ask(
        self, caller: Caller | None, facility_id: str, verb: Verb, parameters: Parameters, *,
        command_id: str | None = None, timeout_s: float, held: Held | None = None,
    ) -> Answer:  # fmt: skip
        """The facility's answer, under the caller's grant there when one reaches this verb.

        Without one a PUBLIC verb goes without a grant. `held` is what was just read of this caller, for whoever
        asks many facilities at once.

        Raises SignInNeeded for any other verb without a grant, FacilityUnavailable, DeadlineExceeded, RateLimited.
        """
        command_id = command_id or str(uuid.uuid4())
        sealed = None
        if caller is not None:
            rows = held.grants.get(facility_id, ()) if held else await self._grants(caller, facility_id)
            sealed = self._under_grant(caller, rows, verb, parameters, command_id, timeout_s + QUERY_GRACE)
        if sealed is None:
            if verb not in PUBLIC:
                raise SignInNeeded(metadata={"facility": facility_id})
            # Without a grant the agent's clock is not known, so there is no expiry: the answer is public anyway.
            sealed = SealedBody(self._write(facility_id, command_id, verb, parameters, 0))
        answer = await self._links.ask(facility_id, verb, sealed, timeout_s)
        if caller is not None and sealed.grant_id:
            await self._learn_from(caller, facility_id, sealed.grant_id, answer)
        return answer

    async def order(
        self, caller: Caller, facility_id: str, verb: Verb, parameters: Parameters, command_id: str
    ) -> SealedBody:
        """The bytes of an order under the caller's grant there, good for as long as such an order waits.

        Raises SignInNeeded without a grant that reaches this verb.
        """
        life = None if verb in NEVER_EXPIRES else LIMITS.order_life
        rows = await self._grants(caller, facility_id)
        sealed = self._under_grant(caller, rows, verb, parameters, command_id, life)
        if sealed is None:
            raise SignInNeeded(metadata={"facility": facility_id})
        return sealed

    async def _grants(self, caller: Caller, facility_id: str) -> Sequence[store.GrantRow]:
        return await in_database(store.grants_of)(caller.session_hash, self._clock(), facility_id)

    def _under_grant(
        self, caller: Caller, rows: Sequence[store.GrantRow], verb: Verb, parameters: Parameters, command_id: str,
        life_s: float | None,
    ) -> SealedBody | None:  # fmt: skip
        scope = SCOPE_OF[verb]
        for row in rows:
            if scope is None or scope in parse_scopes(row.scopes):
                return self._sealed(caller, row, verb, parameters, command_id, life_s)
        return None

    def _sealed(
        self,
        caller: Caller,
        row: store.GrantRow,
        verb: Verb,
        parameters: Parameters,
        command_id: str,
        life_s: float | None,
    ) -> SealedBody | None:
        secret = unseal(caller.seal_key, grant_label(row.facility, row.grant_id), row.box)
        if secret is None:
            return None
        expires = expires_ms(self._clock(), row.clock_offset_ms, life_s) if life_s is not None else 0
        body = self._write(row.facility, command_id, verb, parameters, expires)
        return SealedBody(body, row.grant_id, mac(secret, body))

    async def _learn_from(self, caller: Caller, facility_id: str, grant_id: str, answer: Answer) -> None:
        if answer.outcome in (Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED):
            await in_database(store.drop_grant)(caller.session_hash, facility_id, grant_id)
        if answer.outcome is Outcome.NOT_LINKED:
            await self.learn(caller, facility_id, LinkState.NOT_LINKED)


def _caller(row: store.SessionRow, key: bytes) -> Caller:
    return Caller(
        row.person_id, row.name, Subject(row.issuer, row.sub), row.provider, row.hash, row.expires_at, key
    )
