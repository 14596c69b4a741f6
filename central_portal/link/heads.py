"""Heads of the agents' egress logs: shown to follow from what is kept, kept once a minute, so that a cut tail shows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass

from central_portal.link.metrics import EGRESS_COMPLAINTS
from central_portal.link.ports import EgressHead, HeadNews, Registry
from shared.link.outputs import LogWord

log = logging.getLogger(__name__)
EVERY = 60.0
UNSAID = 15
"""So many heartbeats may pass without an answer to what was asked: two minutes, and a disk is slow at times."""


def contradiction(kept: EgressHead, said: EgressHead) -> str:
    """What a log that holds `kept` cannot say, empty when it can: records are only ever added."""
    if said.sequence < kept.sequence:
        return f"its egress log went back from record {kept.sequence} to {said.sequence}"
    if said.sequence == kept.sequence and said.hash != kept.hash:
        return f"its egress log has another record {said.sequence} than before"
    return ""


def kept_after(row: HeadNews, news: HeadNews) -> HeadNews:
    """What is kept of a log after news of it, when `row` was; its first complaint stays."""
    if not row.head.sequence:
        return HeadNews(news.head, row.complaint or news.complaint)
    if news.since != row.head:
        return HeadNews(row.head, row.complaint or news.complaint)
    complaint = row.complaint or news.complaint or contradiction(row.head, news.head)
    return HeadNews(max(row.head, news.head, key=lambda head: head.sequence), complaint)


@dataclass(slots=True)
class _Known:
    """`kept` is what the registry holds, `asked` what the agent is to show, `believed` that it has shown it.

    Only what a session says after it was believed follows from what is kept.
    """

    epoch: int
    kept: EgressHead
    asked: EgressHead
    highest: EgressHead
    latest: EgressHead
    believed: bool
    unsaid: int = 0
    told: bool = False
    news: str = ""
    changed: bool = True
    heard: bool = False

    def judge(self, word: LogWord) -> str:
        """What is wrong with a word of the newest session, empty for nothing; takes in what it says."""
        if not word.sequence:
            known = self.highest.sequence
            return f"its heartbeats say nothing of its egress log, which held {known} records" if known else ""
        head = EgressHead(word.sequence, word.hash.hex())
        self.heard, self.changed, self.latest = True, self.changed or head != self.latest, head
        complaint = contradiction(self.highest, head) or self._shown(word)
        if complaint:
            self.believed = False
        elif self.believed:
            self.highest = head
            if not self.unsaid:
                self.asked = head
        return complaint

    def to_keep(self) -> HeadNews:
        """What the registry shall hear of it. What was never kept and must still be shown stands before what is said now."""
        if self.believed or self.kept.sequence or not self.highest.sequence:
            return HeadNews(self.latest, self.news, self.kept if self.believed else None)
        return HeadNews(self.highest, self.news)

    def _shown(self, word: LogWord) -> str:
        """Whether the log still holds what was asked for."""
        number = self.asked.sequence
        if not number:
            return ""
        if word.asked != number:
            self.unsaid += 1
            return f"its agent does not show record {number} of its egress log" if self.unsaid > UNSAID else ""
        self.unsaid = 0
        if word.asked_hash.hex() == self.asked.hash:
            self.believed = True
            return ""
        if not word.asked_hash:
            return f"its egress log does not hold record {number} any more"
        return f"its egress log has another record {number} than before"


class Heads:
    """What this hub's agents said. Saying costs no I/O; `run` keeps what has changed, `keep` at a session's end.

    The kept head gives way only to one of a session in which the agent has shown that its log still holds the kept
    one: the record is asked for in heartbeats, and read from the agent's disk. In a session that is believed each head follows
    the one before it, as the agent's own memory does.
    """

    def __init__(self, registry: Registry, every: float = EVERY) -> None:
        self._registry, self._every = registry, every
        self._known: dict[str, _Known] = {}

    def opened(self, facility_id: str, epoch: int, kept: EgressHead) -> None:
        """A session begins; what an older one still says is passed over. `kept` is what the registry holds."""
        known = self._known.get(facility_id)
        if known is not None and epoch <= known.epoch:
            return
        forgotten = known is not None and known.kept.sequence and not kept.sequence
        if known is None or forgotten:
            self._known[facility_id] = _Known(epoch, kept, kept, kept, kept, believed=not kept.sequence)
            return
        known.asked = known.highest if kept == known.kept else kept
        known.highest = max(known.highest, kept, key=lambda head: head.sequence)
        known.epoch, known.kept, known.unsaid, known.heard = epoch, kept, 0, False
        known.believed = not known.asked.sequence

    def asked(self, facility_id: str, epoch: int) -> int:
        """The record that the session of this epoch is to show now; 0 for none."""
        known = self._known.get(facility_id)
        return known.asked.sequence if known is not None and known.epoch == epoch else 0

    def said(self, facility_id: str, epoch: int, word: LogWord) -> None:
        """A heartbeat's word."""
        known = self._known.get(facility_id)
        if known is None or known.epoch != epoch:
            return
        complaint = known.judge(word)
        if complaint:
            self._complain(facility_id, known, complaint)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self.keep(tuple(self._known))

    async def keep(self, facilities: Collection[str]) -> None:
        """Keep what has changed of these. What fails is kept the next time."""
        found = {name: known for name in facilities if (known := self._known.get(name))}
        changed = {name: known for name, known in found.items() if known.changed and (known.heard or known.news)}
        if not changed:
            return
        news = {name: known.to_keep() for name, known in changed.items()}
        try:
            kept = await self._registry.keep_heads(news)
        except Exception as error:  # noqa: BLE001 (whatever keeps the database away)
            log.warning("The heads of egress logs could not be kept: %s", type(error).__name__)
            return
        for name, known in changed.items():
            self._took(name, known, news[name], kept[name])

    def _took(self, facility_id: str, known: _Known, news: HeadNews, row: HeadNews) -> None:
        """The registry's answer. What another hub has kept meanwhile must be shown too."""
        known.news = "" if known.news == news.complaint else known.news
        known.changed = bool(known.news or row.complaint) or row.head != known.latest
        forgotten = known.kept.sequence and not known.believed and row.head == news.head
        if forgotten and not row.complaint:  # by the operator, so that this one is believed
            known.believed, known.highest, known.asked, known.unsaid = True, known.latest, known.latest, 0
        elif row.head not in (news.head, known.kept):
            known.believed, known.asked, known.unsaid = False, row.head, 0
        known.kept = row.head
        if row.complaint:
            self._complain(facility_id, known, row.complaint, news=False)
        else:
            known.told = False

    def _complain(self, facility_id: str, known: _Known, complaint: str, *, news: bool = True) -> None:
        if not known.told:
            log.error("%s: %s.", facility_id, complaint)
            EGRESS_COMPLAINTS.labels(facility_id).inc()
            known.told = True
            known.news = complaint if news else ""
            known.changed = known.changed or news
