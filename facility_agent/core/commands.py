"""One query from the link: verify, decode, authorise, answer. A refusal is an answer, never an exception."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.feed import Feed
from facility_agent.core.grants import Grants
from facility_agent.core.workspaces import Workspaces
from facility_agent.ports.link import CommandDecoder, Event
from facility_agent.ports.store import GrantRow
from shared.catalogue import ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import (
    ORDERS,
    PUBLIC,
    Answer,
    Command,
    Done,
    GetChanges,
    GetDataset,
    GetFiles,
    Payload,
    Redeem,
    Verb,
    refusal,
)
from shared.errors import BackendError, InvalidRequest, ParasolError, SignInNeeded
from shared.facilities import FacilityDescription, Outcome
from shared.identity import Subject
from shared.workspaces import WorkspaceInventory

log = logging.getLogger(__name__)


@dataclass
class Events:
    """Whoever listens to this facility's events."""

    listeners: set[Callable[[Event], None]] = field(default_factory=set)

    def publish(self, event: Event) -> None:
        """Tell every listener."""
        for listener in tuple(self.listeners):
            listener(event)


class AgentCore:
    """Implements `ports.link.Core`."""

    def __init__(
        self, facility_id: str, grants: Grants, accounts: Accounts, catalogue: Catalogue, feed: Feed, workspaces: Workspaces,
        describe: Callable[[], FacilityDescription], events: Events,
    ) -> None:  # fmt: skip
        self._facility, self._grants, self._accounts = facility_id, grants, accounts
        self._catalogue, self._feed, self._workspaces = catalogue, feed, workspaces
        self._describe, self._events = describe, events

    def description(self) -> FacilityDescription:
        """What the facility advertises now."""
        return self._describe()

    def inventory(self) -> WorkspaceInventory:
        """Every workspace that lives, and those that ended within the last day."""
        return self._workspaces.inventory()

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with each event from now on."""
        self._events.listeners.add(listener)
        return lambda: self._events.listeners.discard(listener)

    async def handle(
        self, body: bytes, grant_id: str, mac: bytes, decode: CommandDecoder,
        proven: Callable[[Subject], None] = lambda _: None,
    ) -> Answer:  # fmt: skip
        """Judge and answer one query."""
        try:
            payload = await self._handle(body, grant_id, mac, decode, proven)
        except ParasolError as error:
            return refusal(error)
        except Exception:
            reference = uuid.uuid4().hex[:12]
            log.exception("command failed, reference %s", reference)
            message = f"A system at the facility failed; reference {reference}."
            return refusal(BackendError(message, metadata={"reference": reference}))
        partial = isinstance(payload, SearchPage | ProposalPage) and not payload.complete
        return Answer(Outcome.PARTIAL if partial else Outcome.OK, payload)

    async def _handle(
        self, body: bytes, grant_id: str, mac: bytes, decode: CommandDecoder, proven: Callable[[Subject], None]
    ) -> Payload:
        if not grant_id and not mac:
            return await self._public(decode(body), proven)
        grant = await self._grants.verify(body, grant_id, mac)
        proven(grant.subject)
        command = decode(body)
        if command.verb in ORDERS:
            raise InvalidRequest(f"{command.verb.value} goes as an order.")
        await self._grants.authorise(grant, command, body)
        return await self._personal(command, grant)

    async def _public(self, command: Command, proven: Callable[[Subject], None]) -> Payload:
        if command.facility_id != self._facility:
            raise InvalidRequest("This command is for another facility.")
        if command.verb not in PUBLIC:
            raise SignInNeeded
        match command.parameters:
            case Redeem() as asked:
                return await self._grants.redeem(asked, proven)
            case SearchQuery() | GetDataset() | GetFiles() | ProposalQuery() as question:
                return await self._catalogue.answer(question, None)
            case GetChanges(since):
                return await self._feed.changes(since)
        raise SignInNeeded

    async def _personal(self, command: Command, grant: GrantRow) -> Payload:
        if command.verb is Verb.RELEASE:
            await self._grants.release(grant)
            return Done()
        match command.parameters:
            case SearchQuery() | GetDataset() | GetFiles() | ProposalQuery() as question:
                return await self._catalogue.answer(question, await self._accounts.account_of(grant))
        raise InvalidRequest(f"{command.verb.value} does not go under a grant.")
