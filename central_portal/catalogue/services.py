"""Ask every facility at once, each with a deadline, and merge what came."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from central_portal.catalogue.logic import FacilityAnswer, Merged, Position, is_honest, merge, read_cursor, trimmed
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Held, Identity
from shared.catalogue import Dataset, FilePage, SearchPage, SearchQuery
from shared.commands import OUTCOME_OF_REASON, Answer, GetDataset, GetFiles, Problem, Verb
from shared.errors import (
    BackendError,
    DeadlineExceeded,
    FacilityUnavailable,
    InvalidRequest,
    NotFound,
    ParasolError,
)
from shared.facilities import Outcome
from shared.identity import LinkState, Scope
from shared.limits import LIMITS
from shared.wire.status import error_of

_START = Position()
_NO_DATASET = "There is no such dataset."
_UNREAD = "The facility's open data have not been read yet; ask again shortly."
_AWAY = "The facility is away; its open data are as they were when they were last read."
log = logging.getLogger(__name__)


class OpenSearch(Protocol):
    """Open data without asking the facility."""

    async def search(self, slug: str, query: SearchQuery) -> SearchPage | None:
        """One page, newest first; None when nothing has ever been read of this facility. Raises InvalidRequest."""
        ...

    async def get(self, slug: str, pid: str) -> Dataset | None:
        """One open dataset; None as for `search`. Raises NotFound."""
        ...


class FederatedSearch:
    """`search` waits for all facilities or the deadline; `progress` yields as they answer.

    A facility is asked under a grant of the caller there. Whoever has none gets what `open_data` knows, and the
    facility is not asked; without `open_data` it is asked for what anyone may see.
    """

    def __init__(
        self, identity: Identity, facilities: Facilities, deadline_s: float = LIMITS.query_deadline,
        clock: Callable[[], float] = time.monotonic, open_data: OpenSearch | None = None,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._deadline, self._clock = identity, facilities, deadline_s, clock
        self._open_data = open_data
        self._patience = deadline_s + 0.25  # each question has a deadline of its own, which ends first

    async def search(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str], after: str = ""
    ) -> Merged:
        """One page with an outcome for every facility asked. Raises InvalidRequest, NotFound."""
        positions = read_cursor(after)
        asked = await self._asked(caller, query, facility_ids, positions)
        try:
            if asked:
                await asyncio.wait(asked, timeout=self._patience)
        finally:
            _cancel(asked)
        return merge([_answer(*one) for one in asked.items()], positions, query.limit)

    async def progress(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str], after: str = ""
    ) -> AsyncIterator[Merged]:
        """The page as it stands after each answer; the last has `done`. A late answer changes nothing."""
        positions = read_cursor(after)
        asked = await self._asked(caller, query, facility_ids, positions)
        pending, until = set(asked), self._clock() + self._patience
        if not pending:
            yield merge((), positions, query.limit)
        try:
            while pending:
                left = max(0.0, until - self._clock())
                finished, waiting = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                pending = waiting if finished else set()
                answers = [_answer(task, slug) for task, slug in asked.items() if task not in pending]
                yield merge(answers, positions, query.limit, done=not pending)
        finally:
            _cancel(asked)

    async def _asked(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str],
        positions: Mapping[str, Position],
    ) -> dict[asyncio.Task[FacilityAnswer], str]:  # fmt: skip
        """A question under way to each facility that has something for this cursor."""
        chosen = [self._facilities.get(slug).slug for slug in dict.fromkeys(facility_ids)]
        held = await self._identity.held(caller) if caller else None
        return {
            asyncio.create_task(self._one(caller, held, slug, query, positions.get(slug, _START))): slug
            for slug in chosen or self._facilities.slugs()
            if _open(positions, slug)
        }

    async def dataset(self, caller: Caller | None, facility_id: str, pid: str) -> Dataset:
        """One dataset. Raises NotFound and whatever keeps the facility from answering."""
        slug = self._facilities.get(facility_id).slug
        if self._open_data is not None and not _grants(
            await self._identity.held(caller) if caller else None, slug
        ):
            known = await self._open_data.get(slug, pid)
            if known is None:
                raise FacilityUnavailable(_UNREAD, metadata={"facility": slug})
            return known
        answer = await self._answer_of(caller, facility_id, Verb.GET, GetDataset(pid))
        if isinstance(answer.payload, Dataset):
            return answer.payload
        raise error_of(answer.problem) if answer.problem else NotFound(_NO_DATASET)

    async def files(self, caller: Caller | None, facility_id: str, wanted: GetFiles) -> FilePage:
        """A page of a dataset's files. Raises InvalidRequest, NotFound and whatever keeps the facility from answering."""
        if not 1 <= wanted.limit <= LIMITS.page or len(wanted.after) > 512:
            raise InvalidRequest(f"A page holds 1 to {LIMITS.page} files and goes on from a cursor of ours.")
        answer = await self._answer_of(caller, facility_id, Verb.FILES, wanted)
        if isinstance(answer.payload, FilePage):
            return answer.payload
        raise error_of(answer.problem) if answer.problem else NotFound(_NO_DATASET)

    async def _answer_of(
        self, caller: Caller | None, facility_id: str, verb: Verb, asked: GetDataset | GetFiles
    ) -> Answer:
        view = self._facilities.get(facility_id)
        if not view.online:
            raise FacilityUnavailable(metadata={"facility": facility_id})
        return (await self._ask(caller, None, facility_id, verb, asked))[0]

    async def _one(
        self, caller: Caller | None, held: Held | None, slug: str, query: SearchQuery, position: Position
    ) -> FacilityAnswer:
        started = self._clock()
        try:
            page, answer, kept_out = await self._page(caller, held, slug, query, position)
        except ParasolError as error:
            return FacilityAnswer(
                slug, OUTCOME_OF_REASON.get(error.reason, Outcome.FAILED), problem=Problem.of(error)
            )
        except Exception:  # one facility's fault must not take the others' answers along
            log.exception("the search at %s failed on our side", slug)
            return FacilityAnswer(slug, Outcome.FAILED, problem=Problem.of(ParasolError()))
        took = int((self._clock() - started) * 1000)
        if answer.payload is None:
            return FacilityAnswer(slug, answer.outcome, took_ms=took, problem=answer.problem)
        outcome = (
            kept_out
            or (_MEANS.get(_link_state(held, slug)) if held else None)
            or (answer.outcome if page.complete else Outcome.PARTIAL)
        )
        problem = answer.problem or (Problem("PARTIAL", page.note, retryable=True) if page.note else None)
        return FacilityAnswer(slug, outcome, page, took, problem)

    async def _page(
        self, caller: Caller | None, held: Held | None, slug: str, query: SearchQuery, position: Position
    ) -> tuple[SearchPage, Answer, Outcome | None]:
        wanted = min(LIMITS.page, query.limit + position.skip)
        asked = replace(query, limit=wanted, after=position.after) if position != _START else query
        if self._open_data is not None and not _grants(held, slug):
            page = await self._known_page(self._open_data, slug, asked)
            return trimmed(page, position), Answer(Outcome.OK, page), None
        if not self._facilities.get(slug).online:
            raise FacilityUnavailable(metadata={"facility": slug})
        answer, kept_out = await self._ask(caller, held, slug, Verb.SEARCH, asked)
        page = answer.payload if isinstance(answer.payload, SearchPage) else SearchPage()
        if not is_honest(page, wanted, position.after):
            raise BackendError("The facility's catalogue answered with something else than what was asked.")
        return trimmed(page, position), answer, kept_out

    async def _known_page(self, open_data: OpenSearch, slug: str, query: SearchQuery) -> SearchPage:
        page, online = await open_data.search(slug, query), self._facilities.get(slug).online
        if page is None and not online:
            raise FacilityUnavailable(metadata={"facility": slug})
        if page is None:
            return SearchPage(complete=False, note=_UNREAD)
        return page if online else replace(page, complete=False, note=_AWAY)

    async def _ask(
        self,
        caller: Caller | None,
        held: Held | None,
        slug: str,
        verb: Verb,
        asked: SearchQuery | GetDataset | GetFiles,
    ) -> tuple[Answer, Outcome | None]:
        """The answer; when the facility lets this person in no more, that of open data, and why it is that."""
        answer = await self._identity.ask(caller, slug, verb, asked, timeout_s=self._deadline, held=held)
        if caller is None or answer.outcome not in (Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED):
            return answer, None
        return await self._identity.ask(None, slug, verb, asked, timeout_s=self._deadline), answer.outcome


_MEANS = {LinkState.NOT_LINKED: Outcome.NOT_LINKED, LinkState.UNKNOWN: Outcome.SIGN_IN_NEEDED}
"""What is said of open data that a person without a grant gets; nothing for an anonymous one."""


def _grants(held: Held | None, slug: str) -> bool:
    """Whether the portal holds a grant of this person at a facility, so that it is asked."""
    return held is not None and bool(held.grants.get(slug))


def _link_state(held: Held, slug: str) -> LinkState:
    """What a facility would say of this person without a grant."""
    known = held.links.get(slug)
    if known is None:
        return LinkState.UNKNOWN
    if Scope.READ in known.scopes:
        return LinkState.LINKED
    return LinkState.NOT_LINKED if known.state is LinkState.NOT_LINKED else LinkState.UNKNOWN


def _answer(task: asyncio.Task[FacilityAnswer], slug: str) -> FacilityAnswer:
    """What came of a question until now."""
    if task.done():
        return task.result()
    return FacilityAnswer(slug, Outcome.TIMED_OUT, problem=Problem.of(DeadlineExceeded()))


def _cancel(tasks: Iterable[asyncio.Task[FacilityAnswer]]) -> None:
    """Nobody waits any more; nothing happens to those that are done."""
    for task in tasks:
        task.cancel()


def _open(positions: Mapping[str, Position], slug: str) -> bool:
    """Whether a facility still has something for this cursor; every facility has before the first page."""
    return not positions or (slug in positions and not positions[slug].exhausted)
