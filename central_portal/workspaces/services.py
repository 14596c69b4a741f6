"""Launch, stop and watch workspaces. The intent is committed with its order; the facility hears of it then."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from functools import partial

from django.db import IntegrityError

from central_portal.database import in_database
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Identity
from central_portal.link import orders
from central_portal.link.ports import Links, NewOrder, OrderStanding
from central_portal.link.settlements import Expected, Settlements
from central_portal.workspaces import asking, store
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.logic import WorkspaceView, cancelled
from central_portal.writer import Writer
from shared import trace
from shared.commands import Stop, Verb
from shared.errors import Conflict, FlavourTooLarge, InvalidRequest, NotFound, ParasolError
from shared.limits import LIMITS
from shared.wire.status import error_of
from shared.workspaces import LaunchRequest, WorkspaceState, is_workspace_id

log = logging.getLogger(__name__)


class Workspaces:
    """One's own workspaces; anybody else's do not exist (NotFound)."""

    def __init__(
        self, identity: Identity, facilities: Facilities, links: Links, settlements: Settlements, writer: Writer,
        broadcaster: Broadcaster, deadline_s: float = LIMITS.query_deadline, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._links = identity, facilities, links
        self._settlements, self._write, self._broadcaster = settlements, writer, broadcaster
        self._deadline, self._clock = deadline_s, clock

    async def launch(
        self, caller: Caller, facility_id: str, workspace_id: str, request: LaunchRequest
    ) -> WorkspaceView:
        """Ask for a workspace under the client's id; the same words again give the same workspace.

        Raises InvalidRequest, NotFound, FlavourTooLarge, SignInNeeded before anything is stored, Conflict for an
        id that was used otherwise. It comes back REQUESTED when the facility is not connected or does not answer
        in time: the order waits. A facility's refusal is a FAILED workspace with its reason.
        """
        if not is_workspace_id(workspace_id):
            raise InvalidRequest("The id of a launch is a lower-case UUID.")
        try:
            return await self._ask_for(caller, facility_id, workspace_id, request)
        except (ParasolError, IntegrityError):
            known = await in_database(store.get)(workspace_id)
            if known is None:
                raise
        if not known.is_answer_to(caller.person_id, facility_id, request):
            raise Conflict("This launch id was already used for something else.")
        return known  # whatever the facility offers by now

    async def _ask_for(
        self, caller: Caller, facility_id: str, workspace_id: str, request: LaunchRequest
    ) -> WorkspaceView:
        """A new one. Raises IntegrityError when its id was used before."""
        wanted = self._check(caller, facility_id, workspace_id, request)
        sealed = await self._identity.order(caller, facility_id, Verb.LAUNCH, request, workspace_id)
        order = NewOrder(
            workspace_id, facility_id, Verb.LAUNCH, caller.person_id, workspace_id, sealed, wanted.requested_at,
            wanted.requested_at + LIMITS.order_life, trace.current(),
        )  # fmt: skip
        online = self._facilities.get(facility_id).online
        with self._settlements.expect(workspace_id) as expected:
            await self._write.batched(asking.launch, asking.Launch(wanted, order, online))
            self._broadcaster.publish(wanted)
            await self._settled(order, online, expected)
        return expected.made or await in_database(store.get)(workspace_id) or wanted

    async def _settled(self, order: NewOrder, online: bool, expected: Expected) -> OrderStanding | None:
        """How the order stands once it is settled or the deadline is over; None at once when the facility is away."""
        log.info("order %s (%s) for %s", order.id, order.verb.value, order.facility)
        self._links.deliver(order.facility, order.sent() if online else None)
        if not self._facilities.get(order.facility).online:
            return None
        return await self._settlements.outcome(order.id, expected, self._deadline)

    def _check(self, caller: Caller, facility_id: str, workspace_id: str, request: LaunchRequest) -> WorkspaceView:
        view = self._facilities.get(facility_id)
        environment = view.environment(request.environment)
        flavour = view.flavour(request.flavour)
        if flavour.id not in environment.flavours:
            raise FlavourTooLarge(f"{environment.title} is not offered in this size at {view.name}.")
        if any(not 1 <= len(proposal) <= 100 for proposal in request.proposals):
            raise InvalidRequest("A proposal has 1 to 100 characters.")
        if request.lifetime_s > flavour.longest_s:
            raise FlavourTooLarge("This size does not live that long at the facility.")
        now = self._clock()
        return WorkspaceView(
            workspace_id, caller.person_id, facility_id, environment.id, environment.title, flavour.id,
            request.proposals, request.dataset, request.title, request.lifetime_s, WorkspaceState.REQUESTED, 0, (),
            "", "", now, now,
        )  # fmt: skip

    async def stop(self, caller: Caller, workspace_id: str) -> WorkspaceView:
        """Have it stopped; the order to do so waits for its facility as long as its grant holds.

        A launch that was never sent is taken back at once. Raises NotFound, SignInNeeded, what the facility says.
        """
        view = await self.get(caller, workspace_id)
        if view.state.is_final:
            return view
        if view.sequence == 0:  # otherwise its facility knows it
            taken_back = await self._write(partial(_take_back, view.id, self._clock()))
            if taken_back is not None:
                self._broadcaster.publish(taken_back)
                return taken_back
        order_id, now = str(uuid.uuid4()), self._clock()
        sealed = await self._identity.order(caller, view.facility, Verb.STOP, Stop(view.id), order_id)
        order = NewOrder(
            order_id, view.facility, Verb.STOP, caller.person_id, view.id, sealed, now, None, trace.current()
        )
        online = self._facilities.get(view.facility).online
        with self._settlements.expect(order_id) as expected:
            asked = await self._write.batched(asking.stop, asking.Stop(order, online))
            if asked is None:
                return await self.get(caller, workspace_id)  # somebody was faster: that order does it
            self._broadcaster.publish(asked)
            settled = await self._settled(order, online, expected)
            if settled is not None and settled.problem is not None:
                raise error_of(settled.problem)
        return expected.made or await self.get(caller, workspace_id)

    async def get(self, caller: Caller, workspace_id: str) -> WorkspaceView:
        """One of the caller's own. Raises NotFound."""
        view = await in_database(store.get)(workspace_id) if is_workspace_id(workspace_id) else None
        if view is None or view.person_id != caller.person_id:
            raise NotFound("You have no such workspace.")
        return view

    async def page(self, caller: Caller, first: int, offset: int) -> tuple[list[WorkspaceView], int]:
        """The caller's own at facilities that still take part, newest first, and how many there are."""
        members = [view.slug for view in self._facilities.all()]
        return await in_database(store.of_person)(caller.person_id, first, offset, members)

    async def changes(self, caller: Caller) -> AsyncIterator[WorkspaceView]:
        """Every living workspace of the caller as it stands, then each change."""
        with self._broadcaster.watch(caller.person_id) as queue:
            while True:
                for view in await in_database(store.living)(None, caller.person_id):
                    yield view
                while (changed := await queue.get()) is not None:
                    yield changed


def _take_back(workspace_id: str, now: float) -> WorkspaceView | None:
    """End a launch whose order was never sent; None when it may have been."""
    if not orders.cancel_waiting(workspace_id, now):
        return None
    changed = store.changed(workspace_id, lambda row: cancelled(row, now))
    return changed[0] if changed else None
