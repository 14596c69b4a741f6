"""Launch, stop and watch workspaces. The intent is committed, then the facility is asked, then the outcome is committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from central_portal.database import in_database
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Identity
from central_portal.workspaces import store
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.logic import WorkspaceView, absent, fold, refused
from shared.commands import Problem, Stop, Verb
from shared.errors import (
    BackendError,
    Conflict,
    DeadlineExceeded,
    FacilityUnavailable,
    FlavourTooLarge,
    InvalidRequest,
    NotFound,
    ParasolError,
    SignInNeeded,
)
from shared.identity import Scope
from shared.limits import LIMITS
from shared.wire.status import error_of
from shared.workspaces import (
    LaunchRequest,
    WorkspaceInventory,
    WorkspaceReport,
    WorkspaceState,
    is_workspace_id,
)


class Workspaces:
    """One's own workspaces; anybody else's do not exist (NotFound)."""

    def __init__(
        self, identity: Identity, facilities: Facilities, broadcaster: Broadcaster,
        deadline_s: float = LIMITS.query_deadline, clock: Callable[[], float] = time.time,
        order_life_s: float = 30.0,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._broadcaster = identity, facilities, broadcaster
        self._deadline, self._clock = deadline_s, clock
        # As long may a launch be under way: its command has expired at the facility before.
        self._patience = order_life_s + deadline_s
        self._looks: set[asyncio.Task[None]] = set()

    async def launch(
        self, caller: Caller, facility_id: str, workspace_id: str, request: LaunchRequest
    ) -> WorkspaceView:
        """Ask for a workspace under the client's id; the same words again give the same workspace.

        Raises InvalidRequest, NotFound, FlavourTooLarge, SignInNeeded, FacilityUnavailable before
        anything is stored, Conflict for an id that was used otherwise. A facility's refusal is a FAILED
        workspace with its reason.
        """
        if not is_workspace_id(workspace_id):
            raise InvalidRequest("The id of a launch is a lower-case UUID.")
        known = await in_database(store.get)(workspace_id)
        if known is not None and known.is_answer_to(caller.person_id, facility_id, request):
            return known  # whatever the facility offers by now
        wanted = self._check(caller, facility_id, workspace_id, request)
        if known is None:
            if not self._facilities.get(facility_id).online:
                raise FacilityUnavailable(metadata={"facility": facility_id})
            if not await self._identity.has_grant(caller, facility_id, Scope.RUN):
                raise SignInNeeded(metadata={"facility": facility_id})
            known = await in_database(store.insert)(wanted)
        if known is not None:
            if not known.is_answer_to(caller.person_id, facility_id, request):
                raise Conflict("This launch id was already used for something else.")
            return known
        self._broadcaster.publish(wanted)
        return await self._deliver(caller, wanted, request)

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

    async def _deliver(self, caller: Caller, wanted: WorkspaceView, request: LaunchRequest) -> WorkspaceView:
        try:
            answer = await self._identity.ask(
                caller, wanted.facility, Verb.LAUNCH, request, command_id=wanted.id, timeout_s=self._deadline
            )
        except (FacilityUnavailable, DeadlineExceeded):
            self._look_again(wanted.id)
            return wanted  # it may have arrived: the facility's next report or inventory will say
        except ParasolError as error:
            return await self._fail(wanted, Problem.of(error))
        if isinstance(answer.payload, WorkspaceReport) and answer.payload.workspace_id == wanted.id:
            return await self.reported(wanted.facility, answer.payload) or wanted
        problem = answer.problem or Problem("BACKEND_FAILED", "The facility did not say why.")
        return await self._fail(wanted, problem)

    async def _fail(self, view: WorkspaceView, problem: Problem) -> WorkspaceView:
        return await self._change(view.id, lambda row: refused(row, problem, self._clock())) or view

    def _look_again(self, workspace_id: str) -> None:
        """When nothing was heard of a launch by the time that its command has expired, it has failed."""
        look = asyncio.create_task(self._look(workspace_id))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look(self, workspace_id: str) -> None:
        await asyncio.sleep(self._patience + 1)

        def decide(row: WorkspaceView) -> WorkspaceView:
            online = self._facilities.get(row.facility).online
            # Of a facility that is away nobody can tell: its next inventory will.
            return absent(row, self._clock(), self._patience) if online and row.sequence == 0 else row

        await self._change(workspace_id, decide)

    async def stop(self, caller: Caller, workspace_id: str) -> WorkspaceView:
        """Ask the facility to stop it. Raises NotFound, SignInNeeded, FacilityUnavailable, what the facility says."""
        view = await self.get(caller, workspace_id)
        if view.state.is_final:
            return view
        answer = await self._identity.ask(
            caller, view.facility, Verb.STOP, Stop(view.id), timeout_s=self._deadline
        )
        if isinstance(answer.payload, WorkspaceReport) and answer.payload.workspace_id == view.id:
            return await self.reported(view.facility, answer.payload) or view
        raise error_of(answer.problem) if answer.problem else BackendError()

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

    # --- what facilities say

    async def reported(self, facility_id: str, report: WorkspaceReport) -> WorkspaceView | None:
        """Fold a report. One about another facility's workspace is ignored."""

        def decide(row: WorkspaceView) -> WorkspaceView:
            return fold(row, report, self._clock()) if row.facility == facility_id else row

        return await self._change(report.workspace_id, decide)

    async def inventory(self, facility_id: str, inventory: WorkspaceInventory) -> None:
        """Fold everything that a facility knows, and what its silence on the others implies."""
        for report in inventory.reports:
            await self.reported(facility_id, report)
        named = {report.workspace_id for report in inventory.reports}
        for view in await in_database(store.living)(facility_id):
            if view.id in named:
                continue
            still = await self._change(view.id, lambda row: absent(row, self._clock(), self._patience))
            if still is not None and still.sequence == 0 and not still.state.is_final:
                self._look_again(view.id)

    async def _change(
        self, workspace_id: str, decide: Callable[[WorkspaceView], WorkspaceView]
    ) -> WorkspaceView | None:
        if not is_workspace_id(workspace_id):
            return None
        done = await in_database(store.change)(workspace_id, decide)
        if done is None:
            return None
        view, changed = done
        if changed:
            self._broadcaster.publish(view)
        return view
