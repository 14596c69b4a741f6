"""Heads of the agents' egress logs: compared as they are said, kept once a minute, so that a cut tail shows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass

from central_portal.link.ports import EgressHead, HeadNews, Registry

log = logging.getLogger(__name__)
EVERY = 60.0


def contradiction(kept: EgressHead, said: EgressHead) -> str:
    """What a log that holds `kept` cannot say, empty when it can: records are only ever added."""
    if said.sequence < kept.sequence:
        return f"its egress log went back from record {kept.sequence} to {said.sequence}"
    if said.sequence == kept.sequence and said.hash != kept.hash:
        return f"its egress log has another record {said.sequence} than before"
    return ""


@dataclass(slots=True)
class _Known:
    highest: EgressHead
    latest: EgressHead
    told: bool = False
    news: str = ""
    changed: bool = True


class Heads:
    """What this hub's agents said. Saying costs no I/O; `run` keeps what has changed, `keep` at a session's end."""

    def __init__(self, registry: Registry, every: float = EVERY) -> None:
        self._registry, self._every = registry, every
        self._known: dict[str, _Known] = {}

    def said(self, facility_id: str, sequence: int, hashed: bytes) -> None:
        """A heartbeat's word."""
        head = EgressHead(sequence, hashed.hex())
        known = self._known.get(facility_id)
        if known is None:
            self._known[facility_id] = _Known(head, head)
            return
        known.changed = known.changed or head != known.latest
        known.latest = head
        complaint = contradiction(known.highest, head)
        if not complaint:
            known.highest = head
        else:
            self._complain(facility_id, known, complaint)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self.keep(tuple(self._known))

    async def keep(self, facilities: Collection[str]) -> None:
        """Keep what has changed of these. What fails is kept the next time."""
        changed = {name: known for name in facilities if (known := self._known.get(name)) and known.changed}
        if not changed:
            return
        news = {name: HeadNews(known.latest, known.news) for name, known in changed.items()}
        try:
            kept = await self._registry.keep_heads(news)
        except Exception as error:  # noqa: BLE001 (whatever keeps the database away)
            log.warning("The heads of egress logs could not be kept: %s", type(error).__name__)
            return
        for name, known in changed.items():
            row = kept[name]
            known.news = "" if known.news == news[name].complaint else known.news
            known.changed = bool(known.news) or known.latest != news[name].head
            known.highest = max(row.head, known.latest, key=lambda head: head.sequence)
            if row.complaint:
                self._complain(name, known, row.complaint, news=False)
            else:
                known.told = False

    def _complain(self, facility_id: str, known: _Known, complaint: str, *, news: bool = True) -> None:
        if not known.told:
            log.error("%s: %s.", facility_id, complaint)
            known.told = True
            known.news = complaint if news else ""
            known.changed = known.changed or news
