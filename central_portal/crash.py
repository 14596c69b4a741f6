"""The moments of an order's life in the centre at which a trial may end the process. In service nothing happens.

They stand around ports, so that nothing else knows of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from central_portal.link.ports import LinkEvents, OpenOrder, OrderAnswer, OrderQueue
from central_portal.writer import Writer

T = TypeVar("T")


class Moment(StrEnum):
    """Each lies between two things that must not be taken for one."""

    BEFORE_ORDERED = "before-ordered"
    AFTER_ORDERED = "after-ordered"
    AFTER_READ = "after-read"
    AFTER_SENT = "after-sent"
    BEFORE_ACCEPTED = "before-accepted"
    AFTER_ACCEPTED = "after-accepted"
    BEFORE_SETTLED = "before-settled"
    AFTER_SETTLED = "after-settled"


At = Callable[[Moment], None]


def nothing(_moment: Moment) -> None:
    """What happens in service."""


class CrashingQueue:
    """An `OrderQueue` with its moments."""

    def __init__(self, queue: OrderQueue, at: At) -> None:
        self._queue, self._at = queue, at

    async def open_of(self, facilities: Mapping[str, Collection[str]], limit: int) -> Sequence[OpenOrder]:
        """See the port."""
        found = await self._queue.open_of(facilities, limit)
        if found:
            self._at(Moment.AFTER_READ)
        return found

    async def sent(self, ids: Collection[str]) -> Collection[str]:
        """See the port."""
        sent = await self._queue.sent(ids)
        self._at(Moment.AFTER_SENT)
        return sent

    async def accepted(self, ids: Collection[str]) -> None:
        """See the port."""
        self._at(Moment.BEFORE_ACCEPTED)
        await self._queue.accepted(ids)
        self._at(Moment.AFTER_ACCEPTED)


class CrashingEvents:
    """`LinkEvents` with its moments."""

    def __init__(self, events: LinkEvents, at: At) -> None:
        self._events, self._at = events, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    async def settled(self, facility_id: str, epoch: int, answers: Sequence[OrderAnswer]) -> Collection[str]:
        """See the port."""
        self._at(Moment.BEFORE_SETTLED)
        done = await self._events.settled(facility_id, epoch, answers)
        self._at(Moment.AFTER_SETTLED)
        return done


class CrashingWriter(Writer):
    """A writer of orders with its moments."""

    def __init__(self, at: At) -> None:
        super().__init__()
        self._at = at

    async def __call__(self, work: Callable[[], T]) -> T:
        """See `Writer`."""
        self._at(Moment.BEFORE_ORDERED)
        done = await super().__call__(work)
        self._at(Moment.AFTER_ORDERED)
        return done
