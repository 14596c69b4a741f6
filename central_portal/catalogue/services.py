"""Ask every facility at once, each with a deadline, and merge what came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from central_portal.catalogue.logic import FacilityAnswer, Merged, Position, is_honest, merge, read_cursor, trimmed
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Identity
from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.commands import OUTCOME_OF_REASON, Answer, GetDataset, Problem, Verb
from shared.errors import BackendError, FacilityUnavailable, NotFound, ParasolError
from shared.facilities import Outcome
from shared.identity import LinkState, Scope
from shared.limits import LIMITS
from shared.wire.status import error_of


class FederatedSearch:
    """`search` waits for all facilities or the deadline; `progress` yields as they answer."""

    def __init__(
        self, identity: Identity, facilities: Facilities, deadline_s: float = LIMITS.query_deadline,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._deadline, self._clock = identity, facilities, deadline_s, clock

    async def search(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str], after: str = ""
    ) -> Merged:
        """One page with an outcome for every facility asked. Raises InvalidRequest, NotFound."""
        last: Merged | None = None
        async for merged in self.progress(caller, query, facility_ids, after):
            last = merged
        return last or Merged((), (), "", done=True)

    async def progress(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str], after: str = ""
    ) -> AsyncIterator[Merged]:
        """The page as it stands after each answer; the last has `done`. A late answer changes nothing."""
        positions = read_cursor(after)
        chosen = [self._facilities.get(slug).slug for slug in dict.fromkeys(facility_ids)]
        asked = [
            slug for slug in chosen or [view.slug for view in self._facilities.all()] if _open(positions, slug)
        ]
        states = await self._link_states(caller)
        tasks = {
            asyncio.create_task(self._one(caller, slug, query, positions.get(slug, Position()), states.get(slug)))
            for slug in asked
        }
        answers: dict[str, FacilityAnswer] = {}
        pending = set(tasks)
        try:
            while pending:
                finished, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    answers[task.result().facility_id] = task.result()
                ordered = [answers[slug] for slug in asked if slug in answers]
                yield merge(ordered, positions, query.limit, done=not pending)
        finally:
            for task in pending:
                task.cancel()

    async def dataset(self, caller: Caller | None, facility_id: str, pid: str) -> Dataset:
        """One dataset. Raises NotFound and whatever keeps the facility from answering."""
        view = self._facilities.get(facility_id)
        if not view.online:
            raise FacilityUnavailable(metadata={"facility": facility_id})
        answer = await self._identity.ask(caller, facility_id, Verb.GET, GetDataset(pid), timeout_s=self._deadline)
        if isinstance(answer.payload, Dataset):
            return answer.payload
        raise error_of(answer.problem) if answer.problem else NotFound("There is no such dataset.")

    async def _link_states(self, caller: Caller | None) -> Mapping[str, LinkState]:
        """What each facility would say of this person without a grant; empty for an anonymous one."""
        if caller is None:
            return {}
        known = await self._identity.account_links(caller)
        return {
            view.slug: LinkState.LINKED
            if view.slug in known and Scope.READ in known[view.slug].scopes
            else (
                LinkState.NOT_LINKED
                if view.slug in known and known[view.slug].state is LinkState.NOT_LINKED
                else LinkState.UNKNOWN
            )
            for view in self._facilities.all()
        }

    async def _one(
        self, caller: Caller | None, slug: str, query: SearchQuery, position: Position, state: LinkState | None
    ) -> FacilityAnswer:
        started = self._clock()
        try:
            async with asyncio.timeout(self._deadline + 0.25):
                page, answer = await self._page(caller, slug, query, position)
        except ParasolError as error:
            return FacilityAnswer(
                slug, OUTCOME_OF_REASON.get(error.reason, Outcome.FAILED), problem=Problem.of(error)
            )
        except TimeoutError:
            return FacilityAnswer(slug, Outcome.TIMED_OUT)
        took = int((self._clock() - started) * 1000)
        if answer.payload is None:
            return FacilityAnswer(slug, answer.outcome, took_ms=took, problem=answer.problem)
        outcome = answer.outcome if page.complete else Outcome.PARTIAL
        if state is LinkState.NOT_LINKED:
            outcome = Outcome.NOT_LINKED
        elif state is LinkState.UNKNOWN:
            outcome = Outcome.SIGN_IN_NEEDED
        problem = answer.problem or (Problem("PARTIAL", page.note, retryable=True) if page.note else None)
        return FacilityAnswer(slug, outcome, page, took, problem)

    async def _page(
        self, caller: Caller | None, slug: str, query: SearchQuery, position: Position
    ) -> tuple[SearchPage, Answer]:
        if not self._facilities.get(slug).online:
            raise FacilityUnavailable(metadata={"facility": slug})
        wanted = min(LIMITS.page, query.limit + position.skip)
        asked = SearchQuery(
            query.text, query.proposals, query.instruments, query.since, query.until, wanted, position.after
        )
        answer = await self._identity.ask(caller, slug, Verb.SEARCH, asked, timeout_s=self._deadline)
        if answer.outcome is Outcome.SIGN_IN_NEEDED and caller is not None:
            # The grant has ended meanwhile: what is open can still be shown.
            answer = await self._identity.ask(None, slug, Verb.SEARCH, asked, timeout_s=self._deadline)
        page = answer.payload if isinstance(answer.payload, SearchPage) else SearchPage()
        if not is_honest(page, wanted):
            raise BackendError("The facility's catalogue answered with something else than what was asked.")
        return trimmed(page, position), answer


def _open(positions: Mapping[str, Position], slug: str) -> bool:
    """Whether a facility still has something for this cursor; every facility has before the first page."""
    return not positions or (slug in positions and not positions[slug].exhausted)
