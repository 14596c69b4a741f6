"""Ask every facility at once, each with a deadline, and merge what came."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

from central_portal.catalogue.logic import FacilityAnswer, Merged, Position, is_honest, merge, read_cursor, trimmed
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Identity
from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.commands import OUTCOME_OF_REASON, Answer, GetDataset, Problem, Verb
from shared.errors import BackendError, DeadlineExceeded, FacilityUnavailable, NotFound, ParasolError
from shared.facilities import Outcome
from shared.identity import LinkState, Scope
from shared.limits import LIMITS
from shared.wire.status import error_of

log = logging.getLogger(__name__)


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
        positions = read_cursor(after)
        tasks = await self._asked(caller, query, facility_ids, positions)
        try:
            if tasks:
                await asyncio.wait(tasks)  # each ends by its own deadline
        finally:
            _cancel(tasks)
        return merge([task.result() for task in tasks], positions, query.limit)

    async def progress(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str], after: str = ""
    ) -> AsyncIterator[Merged]:
        """The page as it stands after each answer; the last has `done`. A late answer changes nothing."""
        positions = read_cursor(after)
        tasks = await self._asked(caller, query, facility_ids, positions)
        pending = set(tasks)
        if not pending:
            yield merge((), positions, query.limit)
        try:
            while pending:
                _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                answers = [task.result() for task in tasks if task not in pending]
                yield merge(answers, positions, query.limit, done=not pending)
        finally:
            _cancel(tasks)

    async def _asked(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str],
        positions: Mapping[str, Position],
    ) -> list[asyncio.Task[FacilityAnswer]]:  # fmt: skip
        """A question under way to each facility that has something for this cursor."""
        chosen = [self._facilities.get(slug).slug for slug in dict.fromkeys(facility_ids)]
        states = await self._link_states(caller)
        return [
            asyncio.create_task(self._one(caller, slug, query, positions.get(slug, Position()), states.get(slug)))
            for slug in chosen or [view.slug for view in self._facilities.all()]
            if _open(positions, slug)
        ]

    async def dataset(self, caller: Caller | None, facility_id: str, pid: str) -> Dataset:
        """One dataset. Raises NotFound and whatever keeps the facility from answering."""
        view = self._facilities.get(facility_id)
        if not view.online:
            raise FacilityUnavailable(metadata={"facility": facility_id})
        answer, _ = await self._ask(caller, facility_id, Verb.GET, GetDataset(pid))
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
                page, answer, kept_out = await self._page(caller, slug, query, position)
        except ParasolError as error:
            return FacilityAnswer(
                slug, OUTCOME_OF_REASON.get(error.reason, Outcome.FAILED), problem=Problem.of(error)
            )
        except TimeoutError:
            return FacilityAnswer(slug, Outcome.TIMED_OUT, problem=Problem.of(DeadlineExceeded()))
        except Exception:  # one facility's fault must not take the others' answers along
            log.exception("the search at %s failed on our side", slug)
            return FacilityAnswer(slug, Outcome.FAILED, problem=Problem.of(ParasolError()))
        took = int((self._clock() - started) * 1000)
        if answer.payload is None:
            return FacilityAnswer(slug, answer.outcome, took_ms=took, problem=answer.problem)
        outcome = (
            kept_out
            or (_MEANS.get(state) if state else None)
            or (answer.outcome if page.complete else Outcome.PARTIAL)
        )
        problem = answer.problem or (Problem("PARTIAL", page.note, retryable=True) if page.note else None)
        return FacilityAnswer(slug, outcome, page, took, problem)

    async def _page(
        self, caller: Caller | None, slug: str, query: SearchQuery, position: Position
    ) -> tuple[SearchPage, Answer, Outcome | None]:
        if not self._facilities.get(slug).online:
            raise FacilityUnavailable(metadata={"facility": slug})
        wanted = min(LIMITS.page, query.limit + position.skip)
        asked = replace(query, limit=wanted, after=position.after)
        answer, kept_out = await self._ask(caller, slug, Verb.SEARCH, asked)
        page = answer.payload if isinstance(answer.payload, SearchPage) else SearchPage()
        if not is_honest(page, wanted, position.after):
            raise BackendError("The facility's catalogue answered with something else than what was asked.")
        return trimmed(page, position), answer, kept_out

    async def _ask(
        self, caller: Caller | None, slug: str, verb: Verb, asked: SearchQuery | GetDataset
    ) -> tuple[Answer, Outcome | None]:
        """The answer; when the facility lets this person in no more, that of open data, and why it is that."""
        answer = await self._identity.ask(caller, slug, verb, asked, timeout_s=self._deadline)
        if caller is None or answer.outcome not in (Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED):
            return answer, None
        return await self._identity.ask(None, slug, verb, asked, timeout_s=self._deadline), answer.outcome


_MEANS = {LinkState.NOT_LINKED: Outcome.NOT_LINKED, LinkState.UNKNOWN: Outcome.SIGN_IN_NEEDED}
"""What is said of open data that a person without a grant gets; nothing for an anonymous one."""


def _cancel(tasks: Sequence[asyncio.Task[FacilityAnswer]]) -> None:
    """Nobody waits any more; nothing happens to those that are done."""
    for task in tasks:
        task.cancel()


def _open(positions: Mapping[str, Position], slug: str) -> bool:
    """Whether a facility still has something for this cursor; every facility has before the first page."""
    return not positions or (slug in positions and not positions[slug].exhausted)
