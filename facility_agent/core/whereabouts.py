"""What a catalogue says of a proposal that may tell where its data lie: instruments, and years."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from facility_agent.ports.catalogue import CatalogueBackend, Reader
from facility_agent.ports.places import Whereabouts
from shared.catalogue import Dataset, Proposal, ProposalQuery, SearchQuery
from shared.limits import LIMITS

CLOCKS = 14 * 3600.0
"""An instant is a year earlier or later by the clock of whoever made the folder, by so many seconds at most."""
PAGES, YEARS = 5, 20


async def whereabouts(catalogue: CatalogueBackend, proposal: str, reader: Reader) -> Whereabouts:
    """By the proposal's record, and by its datasets where that leaves something open: the newest 500 of them."""
    page = await catalogue.proposals(ProposalQuery(proposals=(proposal,)), reader)
    said = next((each for each in page.proposals if each.pid == proposal), Proposal(proposal))
    whole = bool(said.instruments) and said.started is not None and said.ended is not None
    datasets = [] if whole else await _datasets(catalogue, proposal, reader)
    instruments = dict.fromkeys((*said.instruments, *(d.instrument for d in datasets if d.instrument)))
    return Whereabouts(proposal, tuple(instruments), _years(said, datasets))


async def _datasets(catalogue: CatalogueBackend, proposal: str, reader: Reader) -> list[Dataset]:
    found, after = list[Dataset](), ""
    for _ in range(PAGES):
        query = SearchQuery(proposals=(proposal,), limit=LIMITS.page, after=after)
        page = await catalogue.search(query, reader)
        found += page.datasets
        after = page.next
        if not after:
            break
    return found


def _years(said: Proposal, datasets: Iterable[Dataset]) -> tuple[int, ...]:
    years = {year for d in datasets for at in (d.started, d.ended) if at is not None for year in _around(at)}
    known = [year for at in (said.started, said.ended) if at is not None for year in _around(at)]
    if known:
        years |= set(range(min(known), min(max(known), min(known) + YEARS) + 1))
    return tuple(sorted(years))


def _around(at: float) -> Sequence[int]:
    """The years that it may be, none for an instant that no calendar has."""
    try:
        return [datetime.fromtimestamp(at + shift, UTC).year for shift in (-CLOCKS, CLOCKS)]
    except (ValueError, OverflowError, OSError):
        return ()
