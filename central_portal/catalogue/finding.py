"""One dataset by its identifier or DOI, wherever it is: in the mirror first, then at the facilities that know the asker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from central_portal.facilities.services import Facilities
from central_portal.identity.services import Caller, Identity
from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.commands import Answer, GetDataset, Verb
from shared.errors import FacilityUnavailable, InvalidRequest, NotFound, ParasolError
from shared.facilities import Outcome
from shared.limits import LIMITS

LONGEST = 200
_RESOLVERS = ("https://doi.org/", "http://doi.org/", "https://dx.doi.org/", "http://dx.doi.org/", "doi:")


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset with the facility that holds it."""

    facility: str
    dataset: Dataset


class OpenIndex(Protocol):
    """Open datasets without asking a facility; at most a few, since an identifier seldom names more."""

    async def by_pid(self, slugs: Collection[str], pids: Collection[str]) -> Sequence[Found]:
        """Those that have one of these identifiers at one of these facilities."""
        ...

    async def by_doi(self, slugs: Collection[str], doi: str) -> Sequence[Found]:
        """Those that have this DOI: as it is written, or all in lower or all in upper case."""
        ...


class Finding:
    """A link of a facility's own data portal names what its catalogue names; nobody but the asker's facilities hears of it."""

    def __init__(
        self, identity: Identity, facilities: Facilities, index: OpenIndex,
        deadline_s: float = LIMITS.query_deadline,
    ) -> None:  # fmt: skip
        self._identity, self._facilities, self._index, self._deadline = identity, facilities, index, deadline_s

    async def find(self, caller: Caller | None, pid: str, doi: str, facility_id: str = "") -> Found:
        """The one dataset that is meant; of one facility when it is named.

        Raises InvalidRequest unless exactly one of pid and doi is given, and when several facilities have such a dataset;
        NotFound; FacilityUnavailable when a facility that may have it did not answer.
        """
        if bool(pid) == bool(doi) or max(len(pid), len(doi)) > LONGEST:
            raise InvalidRequest(f"Name either an identifier or a DOI, of at most {LONGEST} characters.")
        slugs = [self._facilities.get(facility_id).slug] if facility_id else list(self._facilities.slugs())
        pids, doi = spellings(pid), plain_doi(doi)
        found = await (self._index.by_doi(slugs, doi) if doi else self._index.by_pid(slugs, pids))
        if not found and caller is not None:
            found = await self._ask(caller, slugs, pids, doi)
        if not found:
            raise NotFound(
                "No open dataset has this identifier, nor has one at a facility where you are connected."
            )
        if len({each.facility for each in found}) > 1:
            raise InvalidRequest(
                "Several facilities have a dataset with this identifier; the link must name one of them."
            )
        return found[0]

    async def _ask(self, caller: Caller, slugs: Sequence[str], pids: Sequence[str], doi: str) -> list[Found]:
        held = await self._identity.held(caller)

        def question(slug: str) -> Coroutine[Any, Any, list[Dataset]]:
            ask = lambda verb, what: self._identity.ask(  # noqa: E731
                caller, slug, verb, what, timeout_s=self._deadline, held=held
            )
            return _by_doi(ask, doi) if doi else _by_pid(ask, pids)

        mine = [slug for slug in slugs if held.grants.get(slug)]
        answers = await asyncio.gather(*(question(slug) for slug in mine), return_exceptions=True)
        found, silent = list[Found](), False
        for slug, answer in zip(mine, answers, strict=True):
            if isinstance(answer, ParasolError):
                silent = True
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found += [Found(slug, dataset) for dataset in answer]
        if silent and not found:
            raise FacilityUnavailable("A facility that may have this dataset does not answer at the moment.")
        return found


Ask = Callable[[Verb, Any], Coroutine[Any, Any, Answer]]


async def _by_pid(ask: Ask, pids: Sequence[str]) -> list[Dataset]:
    for pid in pids:
        answer = await ask(Verb.GET, GetDataset(pid))
        if isinstance(answer.payload, Dataset):
            return [answer.payload]
        _require_denied(answer)
    return []


async def _by_doi(ask: Ask, doi: str) -> list[Dataset]:
    answer = await ask(Verb.SEARCH, SearchQuery(text=doi, limit=LIMITS.page))
    if isinstance(answer.payload, SearchPage):
        return [d for d in answer.payload.datasets if d.doi.casefold() == doi.casefold()]
    _require_denied(answer)
    return []


def _require_denied(answer: Answer) -> None:
    """Raises FacilityUnavailable for anything but a clear no."""
    if answer.problem is None or (answer.problem.reason != NotFound.reason and answer.outcome is Outcome.FAILED):
        raise FacilityUnavailable


def spellings(pid: str) -> tuple[str, ...]:
    """An identifier as a facility's portal writes it, as Parasol's pids may: a slash is %2F in some catalogues' ones."""
    return tuple(dict.fromkeys((pid, pid.replace("%", "%25").replace("/", "%2F")))) if pid else ()


def plain_doi(text: str) -> str:
    """A DOI without a resolver's address."""
    folded = text.strip().casefold()
    prefix = next((each for each in _RESOLVERS if folded.startswith(each)), "")
    return text.strip()[len(prefix) :]
