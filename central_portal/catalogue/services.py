"""Ask every facility at once, each with a deadline, and merge what came."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from central_portal.catalogue.fanout import Ask, FanOut
from central_portal.catalogue.merging import START, FacilityAnswer, Merged, Page, Position, is_honest, trimmed
from central_portal.catalogue.ports import OpenData
from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Held, Identity
from shared.catalogue import (
    Dataset,
    FilePage,
    Order,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.commands import OUTCOME_OF_REASON, Answer, GetDataset, GetFiles, Parameters, Problem, Verb
from shared.errors import BackendError, FacilityUnavailable, InvalidRequest, NotFound, ParasolError
from shared.facilities import Outcome
from shared.identity import LinkState, Scope
from shared.limits import LIMITS
from shared.wire.status import error_of

Question = SearchQuery | ProposalQuery
Heard = tuple[Page[Any], Outcome, Problem | None, float | None]
"""A page, what its answer is called, why it is not more, and how old it is."""

_NO_DATASET = "There is no such dataset."
_NO_PROPOSAL = "There is no such proposal."
_UNREAD = "The facility's open data have not been read yet; ask again shortly."
_AWAY = "The facility is away; its open data are as they were when they were last read."
log = logging.getLogger(__name__)


class FederatedSearch:
    """`search` and `proposals` wait for all facilities or the deadline; `progress` yields as they answer.

    A facility is asked under a grant of the caller there. Whoever has none gets what `open_data` knows, and the
    facility is not asked; without `open_data` it is asked for what anyone may see.
    """

    def __init__(
        self, identity: Identity, facilities: Facilities, deadline_s: float = LIMITS.query_deadline,
        clock: Callable[[], float] = time.monotonic, open_data: OpenData | None = None,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._deadline, self._clock = identity, facilities, deadline_s, clock
        self._open_data = open_data
        self._patience = deadline_s + 0.25  # each question has a deadline of its own, which ends first

    async def search(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str], after: str = ""
    ) -> Merged[Dataset]:
        """One page with an outcome for every facility asked. Raises InvalidRequest, NotFound."""
        query = _ordered(query)
        fan: FanOut[Dataset] = self._fan(facility_ids, after, query.limit, query.order)
        return await fan.whole(await self._asker(caller, query))

    async def progress(
        self, caller: Caller | None, query: SearchQuery, facility_ids: Sequence[str], after: str = ""
    ) -> AsyncIterator[Merged[Dataset]]:
        """The page as it stands after each answer; the last has `done`. A late answer changes nothing."""
        query = _ordered(query)
        fan: FanOut[Dataset] = self._fan(facility_ids, after, query.limit, query.order)
        ask = await self._asker(caller, query)
        async with aclosing(fan.progress(ask)) as slices:  # type: ignore[type-var]
            async for merged in slices:
                yield merged

    async def proposals(
        self, caller: Caller, query: ProposalQuery, facility_ids: Sequence[str], after: str = ""
    ) -> Merged[Proposal]:
        """The caller's own, newest first: one page with an outcome for every facility asked; nobody else's question
        costs a facility anything. Raises InvalidRequest, NotFound.
        """
        fan: FanOut[Proposal] = self._fan(facility_ids, after, query.limit, Order.NEWEST)
        return await fan.whole(await self._asker(caller, replace(query, own=True)))

    def _fan(self, facility_ids: Sequence[str], after: str, limit: int, order: Order) -> FanOut[Any]:
        chosen = [self._facilities.get(slug).slug for slug in dict.fromkeys(facility_ids)]
        return FanOut(chosen or self._facilities.slugs(), after, limit, order, self._patience, self._clock)

    async def _asker(self, caller: Caller | None, query: Question) -> Ask[Any]:
        held = await self._identity.held(caller) if caller else None

        async def ask(slug: str, position: Position) -> FacilityAnswer[Any]:
            return await self._one(caller, held, slug, query, position)

        return ask

    async def dataset(self, caller: Caller | None, facility_id: str, pid: str) -> Dataset:
        """One dataset. Raises NotFound and whatever keeps the facility from answering."""
        slug = self._facilities.get(facility_id).slug
        if self._open_data is not None and not await self._granted(caller, slug):
            return _known(await self._open_data.get(slug, pid), slug)
        payload = await self._payload(caller, slug, Verb.GET, GetDataset(pid), _NO_DATASET)
        if isinstance(payload, Dataset):
            return payload
        raise NotFound(_NO_DATASET)

    async def proposal(self, caller: Caller | None, facility_id: str, pid: str) -> Proposal:
        """One proposal, open or the caller's. Raises NotFound and whatever keeps the facility from answering."""
        slug = self._facilities.get(facility_id).slug
        if not 1 <= len(pid) <= 100:
            raise NotFound(_NO_PROPOSAL)
        if self._open_data is not None and not await self._granted(caller, slug):
            return _known(await self._open_data.proposal(slug, pid), slug)
        asked = ProposalQuery(proposals=(pid,), limit=1)
        payload = await self._payload(caller, slug, Verb.PROPOSALS, asked, _NO_PROPOSAL)
        found = payload.proposals if isinstance(payload, ProposalPage) else ()
        for proposal in found:
            if proposal.pid == pid:
                return proposal
        raise NotFound(_NO_PROPOSAL)

    async def files(self, caller: Caller | None, facility_id: str, wanted: GetFiles) -> FilePage:
        """A page of a dataset's files. Raises InvalidRequest, NotFound and whatever keeps the facility from answering."""
        if not 1 <= wanted.limit <= LIMITS.page or len(wanted.after) > 512:
            raise InvalidRequest(f"A page holds 1 to {LIMITS.page} files and goes on from a cursor of ours.")
        slug = self._facilities.get(facility_id).slug
        payload = await self._payload(caller, slug, Verb.FILES, wanted, _NO_DATASET)
        if isinstance(payload, FilePage):
            return payload
        raise NotFound(_NO_DATASET)

    async def _granted(self, caller: Caller | None, slug: str) -> bool:
        return _grants(await self._identity.held(caller) if caller else None, slug)

    async def _payload(self, caller: Caller | None, slug: str, verb: Verb, asked: Parameters, missing: str) -> Any:
        """What a facility answers. Raises what it says of a refusal, NotFound when it says nothing."""
        if not self._facilities.get(slug).online:
            raise FacilityUnavailable(metadata={"facility": slug})
        answer = (await self._ask(caller, None, slug, verb, asked))[0]
        if answer.payload is None:
            raise error_of(answer.problem) if answer.problem else NotFound(missing)
        return answer.payload

    async def _one(
        self, caller: Caller | None, held: Held | None, slug: str, query: Question, position: Position
    ) -> FacilityAnswer[Any]:
        started = self._clock()
        try:
            page, outcome, problem, age = await self._page(caller, held, slug, query, position)
        except ParasolError as error:
            said = OUTCOME_OF_REASON.get(error.reason, Outcome.FAILED)
            return FacilityAnswer(slug, said, problem=Problem.of(error))
        except Exception:  # one facility's fault must not take the others' answers along
            log.exception("the search at %s failed on our side", slug)
            return FacilityAnswer(slug, Outcome.FAILED, problem=Problem.of(ParasolError()))
        took = int((self._clock() - started) * 1000)
        return FacilityAnswer(slug, outcome, page, took, problem, age)

    async def _page(
        self, caller: Caller | None, held: Held | None, slug: str, query: Question, position: Position
    ) -> Heard:
        order = query.order if isinstance(query, SearchQuery) else Order.NEWEST
        wanted = min(LIMITS.page, query.limit + position.skip)
        asked: Question = replace(query, limit=wanted, after=position.after) if position != START else query
        if not _grants(held, slug):
            known = await self._without_grant(held, slug, asked)
            if known is not None:
                return (trimmed(known[0], position, order), *known[1:])
        if not self._facilities.get(slug).online:
            raise FacilityUnavailable(metadata={"facility": slug})
        answer, kept_out = await self._ask(caller, held, slug, _VERBS[type(query)], asked)
        page = answer.payload
        if not isinstance(page, SearchPage if isinstance(query, SearchQuery) else ProposalPage):
            return SearchPage(), answer.outcome, answer.problem, None
        if not is_honest(page, wanted, position.after, order):
            raise BackendError("The facility's catalogue answered with something else than what was asked.")
        outcome = kept_out or _means(held, slug) or (answer.outcome if page.complete else Outcome.PARTIAL)
        return trimmed(page, position, order), outcome, answer.problem or _noted(page), None

    async def _without_grant(self, held: Held | None, slug: str, query: Question) -> Heard | None:
        """What there is for somebody who has no grant here; None when the facility itself must be asked."""
        if isinstance(query, ProposalQuery):
            return ProposalPage(), _means(held, slug) or Outcome.SIGN_IN_NEEDED, None, None
        if self._open_data is None:
            return None
        known, online = await self._open_data.search(slug, query), self._facilities.get(slug).online
        if known is None and not online:
            raise FacilityUnavailable(metadata={"facility": slug})
        if known is None:
            page = SearchPage(complete=False, note=_UNREAD)
        else:
            page = known.page if online else replace(known.page, complete=False, note=_AWAY)
        outcome = _means(held, slug) or (Outcome.OK if page.complete else Outcome.PARTIAL)
        return page, outcome, _noted(page), known.age if known else None

    async def _ask(
        self, caller: Caller | None, held: Held | None, slug: str, verb: Verb, asked: Parameters
    ) -> tuple[Answer, Outcome | None]:
        """The answer; when the facility lets this person in no more, that of open data, and why it is that."""
        answer = await self._identity.ask(caller, slug, verb, asked, timeout_s=self._deadline, held=held)
        if caller is None or answer.outcome not in (Outcome.SIGN_IN_NEEDED, Outcome.NOT_LINKED):
            return answer, None
        if isinstance(asked, ProposalQuery) and asked.own:
            return answer, None
        return await self._identity.ask(None, slug, verb, asked, timeout_s=self._deadline), answer.outcome


_VERBS = {SearchQuery: Verb.SEARCH, ProposalQuery: Verb.PROPOSALS}
T = TypeVar("T")


def _ordered(query: SearchQuery) -> SearchQuery:
    """Without text nothing matches better than anything else."""
    return query if query.text.split() else replace(query, order=Order.NEWEST)


def _noted(page: Page[Any]) -> Problem | None:
    return Problem("PARTIAL", page.note, retryable=True) if page.note else None


def _grants(held: Held | None, slug: str) -> bool:
    """Whether the portal holds a grant of this person at a facility, so that it is asked."""
    return held is not None and bool(held.grants.get(slug))


def _means(held: Held | None, slug: str) -> Outcome | None:
    """What a facility would say of this person without a grant; None for those whom it would answer in full."""
    if held is None:
        return None
    known = held.links.get(slug)
    if known is None:
        return Outcome.SIGN_IN_NEEDED
    if Scope.READ in known.scopes:
        return None
    return Outcome.NOT_LINKED if known.state is LinkState.NOT_LINKED else Outcome.SIGN_IN_NEEDED


def _known(found: T | None, slug: str) -> T:
    if found is None:
        raise FacilityUnavailable(_UNREAD, metadata={"facility": slug})
    return found
