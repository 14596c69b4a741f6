"""Open metadata as changes: looks at the catalogue again and again and says what is new, different or gone.

No adapter needs to track changes. Only what the catalogue shows to a stranger is ever kept.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence

from facility_agent.ports.catalogue import STRANGER, CatalogueBackend
from facility_agent.ports.feed import FeedStore, Kept, Kind, Place, RecordCodec
from facility_agent.ports.status import FeedStatus
from shared.catalogue import Changes, Dataset, Proposal, ProposalQuery, SearchQuery
from shared.errors import BackendUnavailable, InvalidRequest, NotFound, ParasolError
from shared.limits import LIMITS

log = logging.getLogger(__name__)
RECORDS, BYTES = 400, 400_000
"""Most of one answer."""
CHECKED = 200
"""So many records that a look missed are asked for one by one; the catalogue may have changed under the look."""
TOLD = 1000
"""So many faults of one look are remembered, so as not to be told again."""
SOON = 0.5
"""Seconds after a first look that was not whole; twice as many after each that follows."""
SHARE = 10
"""The pause after a look is at least so many times as long as the look took."""


class Feed:
    """`watch` keeps it; `changes` answers from what is kept and never asks the catalogue."""

    def __init__(
        self, backend: CatalogueBackend, store: FeedStore, codec: RecordCodec, clock: Callable[[], float],
        every: float,
    ) -> None:  # fmt: skip
        self._backend, self._store, self._codec, self._clock, self._every = backend, store, codec, clock, every
        self._complete = False
        self._told, self._telling = set[str](), set[str]()

    async def watch(self) -> None:
        """Looks until it is cancelled, sooner again while the catalogue cannot be read whole: it may only just be starting.

        Whatever keeps it from looking is told once and tried again.
        """
        loop, soon = asyncio.get_running_loop(), SOON
        while True:
            began = loop.time()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 (an adapter's fault never ends the agent)
                self._complete = False
                self._tell(f"{type(error).__name__}: {error}")
            self._told, self._telling = self._telling, set()
            soon = SOON if self._complete else 2 * soon
            pause = max(self._every if self._complete else min(self._every, soon), SHARE * (loop.time() - began))
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))

    async def look(self) -> None:
        """Read all open metadata once. Raises ParasolError when the catalogue or the store cannot be read.

        What was not seen is gone if the whole catalogue could be read, or if the catalogue denies it when asked for it.
        """
        now, look, complete = self._clock(), await self._store.begin(), True
        query = SearchQuery(limit=LIMITS.page)
        while True:
            page = await self._backend.search(query, STRANGER)
            await self._store.see(look, self._kept(Kind.DATASET, page.datasets))
            complete = complete and page.complete
            if not _goes_on(query.after, page.next):
                break
            query = SearchQuery(limit=LIMITS.page, after=page.next)
        asked = ProposalQuery(limit=LIMITS.page)
        while True:
            found = await self._backend.proposals(asked, STRANGER)
            await self._store.see(look, self._kept(Kind.PROPOSAL, found.proposals))
            complete = complete and found.complete
            if not _goes_on(asked.after, found.next):
                break
            asked = ProposalQuery(limit=LIMITS.page, after=found.next)
        await self._bury(look, complete)
        self._complete = complete
        if complete:
            await self._store.finish(now)

    def _kept(self, kind: Kind, records: Iterable[Dataset | Proposal]) -> list[Kept]:
        kept = []
        for record in records:
            if not record.is_open:
                continue  # an adapter's fault must not become a leak
            try:
                data = self._codec.encode(record)
            except ValueError:
                self._tell(f"a record cannot be sent: {record.pid[:100]!r}")
                continue
            kept.append(Kept(kind, record.pid, data))
        return kept

    async def _bury(self, look: int, complete: bool) -> None:
        missed = await self._store.unseen(look, CHECKED + 1)
        if complete and len(missed) > CHECKED:
            await self._store.bury(look, None)
            return
        gone = [(kind, pid) for kind, pid in missed[:CHECKED] if await self._is_gone(kind, pid)]
        if gone:
            await self._store.bury(look, gone)

    async def _is_gone(self, kind: Kind, pid: str) -> bool:
        """Whether the catalogue denies it to a stranger; false when it cannot say."""
        try:
            if kind is Kind.DATASET:
                return not (await self._backend.get(pid, STRANGER)).is_open
            page = await self._backend.proposals(ProposalQuery(proposals=(pid,)), STRANGER)
            return page.complete and pid not in {p.pid for p in page.proposals if p.is_open}
        except (NotFound, InvalidRequest):
            return True
        except ParasolError:
            return False

    async def changes(self, since: str) -> Changes:
        """What changed since an earlier answer's token; from the beginning for any that is not this feed's."""
        page = await self._store.after(_place(since), RECORDS, BYTES)
        here = [self._codec.decode(record.kind, record.data) for record in page.records if record.data]
        gone = [record for record in page.records if not record.data]
        return Changes(
            datasets=tuple(record for record in here if isinstance(record, Dataset)),
            proposals=tuple(record for record in here if isinstance(record, Proposal)),
            gone_datasets=_pids(gone, Kind.DATASET), gone_proposals=_pids(gone, Kind.PROPOSAL),
            token=_token(page.place), more=page.more, restart=page.restart,
            age=self._age(page.read_at) or 0.0, complete=self._complete and page.read_at is not None,
        )  # fmt: skip

    async def status(self) -> FeedStatus:
        """How it stands. Raises BackendUnavailable when its store cannot be used."""
        counts = await self._store.counts()
        return FeedStatus(counts.datasets, counts.proposals, self._age(counts.read_at), self._complete)

    def _age(self, read_at: float | None) -> float | None:
        return None if read_at is None else max(0.0, self._clock() - read_at)

    def _tell(self, what: str) -> None:
        """Log what the look before this one did not meet."""
        if what not in self._told | self._telling:
            log.warning("open metadata: %s", what)
        if len(self._telling) < TOLD:
            self._telling.add(what)


def _goes_on(after: str, following: str) -> bool:
    if following and following == after:
        raise BackendUnavailable("The catalogue gives the same page again and again.")
    return bool(following)


def _place(token: str) -> Place:
    """Where a token stands: `feed:number`, and `:begun` for who is still beginning. Any other text is nowhere."""
    feed_id, *numbers = token.split(":", 3)
    if not 1 <= len(numbers) <= 2 or not all(n.isascii() and n.isdigit() and len(n) < 16 for n in numbers):
        return Place()
    return Place(feed_id, *map(int, numbers))


def _token(place: Place) -> str:
    return f"{place.feed_id}:{place.number}" + (f":{place.begun}" if place.begun else "")


def _pids(records: Sequence[Kept], kind: Kind) -> tuple[str, ...]:
    return tuple(record.pid for record in records if record.kind is kind)
