"""What the agent does for the gateway: implements `ports.doorkeeper`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from facility_agent.core.accounts import Accounts
from facility_agent.core.grants import Grants
from facility_agent.core.place_page import NoPlaces
from facility_agent.core.sign_on_tokens import NoTokens
from facility_agent.core.workspaces import Workspaces
from facility_agent.ports.doorkeeper import (
    Doorkeeper,
    GatewaySession,
    IssuedCode,
    LinkInfo,
    LocalIdentity,
    PlaceDoor,
    PlaceSheet,
    Revocation,
    TokenDoor,
    WorkspaceDoor,
)
from facility_agent.ports.egress import Egress, Entry, Kind, NoEgress
from facility_agent.ports.store import DoorCodeRow, LinkRow, PassRow, SessionRow, Store, Transaction, WorkspaceRow
from facility_agent.ports.tokens import PersonSession, SignOnToken
from shared.errors import AccessDenied, CodeNotValid, NotFound, RateLimited, SignInNeeded
from shared.identity import Scope, Subject
from shared.limits import LIMITS
from shared.workspaces import WorkspaceState, is_workspace_id

SESSION_LIFE = 12 * 3600.0
PASS_LIFE = 7 * 86400.0
CODES = 10_000
WATCHERS_QUEUE = 1024


class Revocations:
    """Tells every gateway which verdicts no longer hold; one that does not keep up must ask for all anew."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Revocation]] = set()

    def publish(self, revocation: Revocation) -> None:
        """Never blocks."""
        for queue in self._queues:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(Revocation())
            else:
                queue.put_nowait(revocation)

    def passes(self, hashes: list[str]) -> None:
        """These workspace cookies were deleted."""
        for cookie_hash in hashes:
            self.publish(Revocation(session_hash=cookie_hash))

    def publish_workspace(self, workspace_id: str) -> None:
        """What may be said of this workspace has changed."""
        self.publish(Revocation(workspace_id=workspace_id))

    async def watch(self) -> AsyncIterator[Revocation]:
        """Every revocation from now on."""
        queue: asyncio.Queue[Revocation] = asyncio.Queue(WATCHERS_QUEUE)
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What decides about a visitor."""

    workspace: WorkspaceRow
    link: LinkRow | None

    def allows(self, subject: Subject) -> bool:
        """Only the owner, while the account link is active and holds the same account."""
        own = self.workspace.subject == subject and self.link is not None and self.link.active
        return own and self.link is not None and self.link.immutable_id == self.workspace.immutable_id


def _entry_of(tx: Transaction, workspace_id: str) -> _Entry | None:
    row = tx.workspace(workspace_id) if is_workspace_id(workspace_id) else None
    return _Entry(row, tx.link_of(row.subject)) if row else None


def _may_enter(tx: Transaction, workspace_id: str, subject: Subject, sid: str, now: float) -> LinkRow:
    """The account link by which this person enters. Raises NotFound, AccessDenied, SignInNeeded."""
    entry = _entry_of(tx, workspace_id)
    if entry is None:
        raise NotFound("There is no such workspace here.")
    if entry.link is None or not entry.allows(subject):
        raise AccessDenied("This workspace belongs to somebody else.")
    if tx.sid_ended(subject.issuer, sid, now):
        raise SignInNeeded("You have signed out meanwhile; sign in again.")
    return entry.link


class CoreDoorkeeper(Doorkeeper):
    """On the store and the core's own rules. `clock` is this machine's POSIX time in seconds.

    Account links, codes for grants and openings of workspaces are recorded in `egress` before they take effect;
    what cannot be recorded does not happen.
    """

    def __init__(
        self, store: Store, accounts: Accounts, grants: Grants, workspaces: Workspaces, revoked: Revocations,
        clock: Callable[[], float], egress: Egress | None = None, pages: PlaceDoor | None = None,
        tokens: TokenDoor | None = None,
    ) -> None:  # fmt: skip
        self._store, self._accounts, self._grants, self._workspaces = store, accounts, grants, workspaces
        self._revoked, self._clock, self._egress = revoked, clock, egress or NoEgress()
        self._pages, self._tokens = pages or NoPlaces(), tokens or NoTokens()

    async def check_password(self, username: str, password: str) -> LocalIdentity:
        """Who this is."""
        return await self._accounts.check_password(username, password)

    async def local_identity(self, username: str) -> LocalIdentity:
        """The account of a username that the facility's own sign-on vouches for."""
        return await self._accounts.identity(username)

    async def link_of(self, subject: Subject) -> LinkInfo | None:
        """The subject's account link."""
        return await self._accounts.link_of(subject)

    async def link(self, subject: Subject, identity: LocalIdentity) -> LinkInfo:
        """Store the pair."""
        await self._done("accounts.link", subject)
        return await self._accounts.link(subject, identity)

    async def consent_of(self, subject: Subject) -> frozenset[Scope]:
        """Scopes confirmed before."""
        words = await self._store.transact(lambda tx: tx.consent_of(subject))
        return frozenset(Scope(word) for word in words.split())

    async def consent(self, subject: Subject, scopes: frozenset[Scope]) -> None:
        """Remember what was confirmed, in addition to what was."""

        def work(tx: Transaction) -> None:
            words = set(tx.consent_of(subject).split()) | {scope.value for scope in scopes}
            tx.put_consent(subject, " ".join(sorted(words)))

        await self._store.transact(work)

    async def issue_code(
        self, subject: Subject, sid: str, scopes: frozenset[Scope], challenge: str, centre_key: str
    ) -> IssuedCode:
        """A code that makes one grant."""
        await self._done("grants.issue", subject, " ".join(sorted(scopes)))
        return await self._grants.issue(subject, sid, scopes, challenge, centre_key)

    async def signed_out(self, issuer: str, sub: str, sid: str) -> None:
        """The provider ended a session."""
        until = self._clock() + LIMITS.sid_memory
        self._revoked.passes(await self._store.transact(lambda tx: tx.end_sid(issuer, sub, sid, until)))

    async def session(self, cookie_hash: str) -> GatewaySession | None:
        """The session behind a gateway cookie."""
        row = await self._store.transact(lambda tx: tx.session(cookie_hash))
        if row is None or row.expires_at < self._clock():
            return None
        return GatewaySession(row.subject, row.sid, json.loads(row.data))

    async def renew_session(self, old_hash: str, new_hash: str, session: GatewaySession) -> None:
        """Put a session under a new cookie."""
        now = self._clock()
        row = SessionRow(new_hash, session.subject, session.sid, json.dumps(session.data), now + SESSION_LIFE)

        def work(tx: Transaction) -> None:
            if session.subject is not None and tx.sid_ended(session.subject.issuer, session.sid, now):
                raise SignInNeeded("You have signed out meanwhile; sign in again.")
            tx.delete_session(old_hash)
            tx.put_session(row)

        await self._store.transact(work)

    async def end_session(self, cookie_hash: str) -> None:
        """Delete one session."""
        await self._store.transact(lambda tx: tx.delete_session(cookie_hash))

    async def visit(self, workspace_id: str, subject: Subject) -> WorkspaceDoor:
        """Whether this person may enter."""
        entry = await self._entry(workspace_id)
        if entry is None:
            raise NotFound("There is no such workspace here.")
        return await self._door(entry, subject)

    async def invite(self, workspace_id: str, subject: Subject, sid: str, state_hash: str, code_hash: str) -> None:
        """Remember a one-time code into a workspace."""
        now = self._clock()
        row = DoorCodeRow(code_hash, workspace_id, state_hash, subject, sid, now + LIMITS.one_time_code)

        def work(tx: Transaction) -> None:
            _may_enter(tx, workspace_id, subject, sid, now)
            tx.sweep(now)
            if tx.door_codes() >= CODES:
                raise RateLimited("Too many people open workspaces at once; try again in a minute.")
            tx.put_door_code(row)

        await self._store.transact(work)

    async def admit(self, workspace_id: str, code_hash: str, state_hash: str, cookie_hash: str) -> None:
        """Take a one-time code, then remember a workspace cookie: two transactions, for a code is used even in vain."""
        now = self._clock()
        code = await self._store.transact(lambda tx: tx.take_door_code(code_hash))
        if (
            code is None
            or code.workspace_id != workspace_id
            or code.state_hash != state_hash
            or code.expires_at < now
        ):
            raise CodeNotValid
        await self._done("workspaces.open", code.subject, workspace_id)

        def work(tx: Transaction) -> None:
            link = _may_enter(tx, workspace_id, code.subject, code.sid, now)
            tx.put_pass(
                PassRow(cookie_hash, workspace_id, code.subject, code.sid, link.generation, now + PASS_LIFE)
            )

        await self._store.transact(work)

    async def pass_of(self, workspace_id: str, cookie_hash: str) -> WorkspaceDoor | None:
        """The verdict behind a workspace cookie."""
        row = await self._store.transact(lambda tx: tx.pass_of(cookie_hash))
        if row is None or row.workspace_id != workspace_id or row.expires_at < self._clock():
            return None
        entry = await self._entry(workspace_id)
        if entry is None or entry.link is None or entry.link.generation != row.generation:
            return None
        return await self._door(entry, row.subject)

    async def carried(self, workspace_id: str, sent: int, received: int) -> None:
        """Record what passed, for the workspace's owner."""
        entry = await self._entry(workspace_id)
        if entry is None:
            raise NotFound("There is no such workspace here.")
        counts = {"sent": sent, "received": received}
        whose = entry.workspace.subject
        await self._egress.record(
            Entry("gateway.bytes", Kind.DONE, whose, about=workspace_id, fields=counts, size=sent + received)
        )

    async def places(self, subject: Subject, pid: str) -> PlaceSheet:
        """What was entered."""
        return await self._pages.places(subject, pid)

    async def enter_place(self, subject: Subject, pid: str, path: str) -> None:
        """Keep where a dataset's data lie; recorded without saying where, or of what."""
        await self._done("places.enter", subject)
        await self._pages.enter_place(subject, pid, path)

    async def forget_place(self, subject: Subject, pid: str) -> None:
        """Take it back."""
        await self._pages.forget_place(subject, pid)

    async def token_wish(self, subject: Subject) -> PersonSession:
        """Whether a token would be of use."""
        return await self._tokens.token_wish(subject)

    async def keep_token(self, subject: Subject, sid: str, identity: LocalIdentity, token: SignOnToken) -> None:
        """Hold a token; recorded without it."""
        await self._done("accounts.token", subject)
        await self._tokens.keep_token(subject, sid, identity, token)

    def revocations(self) -> AsyncIterator[Revocation]:
        """Every revocation from now on."""
        return self._revoked.watch()

    async def _done(self, verb: str, subject: Subject, about: str = "") -> None:
        await self._egress.record(Entry(verb, Kind.DONE, subject, about=about))

    async def _entry(self, workspace_id: str) -> _Entry | None:
        return await self._store.transact(lambda tx: _entry_of(tx, workspace_id))

    async def _door(self, entry: _Entry, subject: Subject) -> WorkspaceDoor:
        row, allowed = entry.workspace, entry.allows(subject)
        open_ = row.state in (WorkspaceState.RUNNING, WorkspaceState.UNKNOWN)
        endpoint = await self._workspaces.endpoint(row) if allowed and open_ else None
        return WorkspaceDoor(row.workspace_id, row.title if allowed else "", row.state.value, allowed, endpoint)
