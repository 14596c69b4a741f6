"""What waits to be written: bounded, in lanes of falling urgency, coalesced into frames."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from enum import Enum

from shared.errors import RateLimited
from shared.link.terms import Terms
from shared.wire.raw import delimited

_OVERHEAD = 6  # a tag and the longest length
FULL = "The facility has too much to do at the moment; try again shortly."


class Lane(Enum):
    """The classes of traffic, the most urgent first."""

    CONTROL = "control"
    FACT = "fact"
    ORDER = "order"
    QUERY = "query"


class Outbox:
    """A lane of serialised envelopes per class. Nothing is ever dropped; a full lane refuses.

    *Control* (signs of life, refusals, Accepted, Acknowledged) goes first, then *facts*, of which a
    newer one replaces the waiting older one under the same key, then *orders* and their results,
    then *queries* and theirs. `written` counts the envelopes that left.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._lanes: dict[Lane, OrderedDict[Hashable, bytes]] = {lane: OrderedDict() for lane in Lane}
        self._bytes = dict.fromkeys(Lane, 0)
        self.written: Counter[Lane] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def waiting(self, lane: Lane) -> int:
        """How many envelopes of this class wait."""
        return len(self._lanes[lane])

    def waiting_bytes(self, lane: Lane) -> int:
        """How many bytes of this class wait."""
        return self._bytes[lane]

    def control(self, key: Hashable, envelope: bytes) -> bool:
        """Queue a control envelope, in place of a waiting one of this key; False when the lane is full."""
        lane = self._lanes[Lane.CONTROL]
        if key not in lane and len(lane) >= self._terms.control_envelopes:
            return False
        self.must(Lane.CONTROL, key, envelope)
        return True

    def fact(self, key: Hashable, envelope: bytes) -> None:
        """Queue a fact in place of a waiting older one. Bounded by the number of things there are facts of."""
        self.must(Lane.FACT, key, envelope)

    def put(self, lane: Lane, key: Hashable, envelope: bytes) -> None:
        """Queue an envelope. Raises RateLimited when the lane is full; then nothing has changed."""
        terms = self._terms
        if (
            len(self._lanes[lane]) >= terms.queue_envelopes
            or self._bytes[lane] + len(envelope) > terms.queue_bytes
        ):
            raise RateLimited(FULL)
        self.must(lane, key, envelope)

    def must(self, lane: Lane, key: Hashable, envelope: bytes) -> None:
        """Queue what its sender has already bounded, in place of a waiting one of this key."""
        self._bytes[lane] += len(envelope) - len(self._lanes[lane].get(key, b""))
        self._lanes[lane][key] = envelope

    def withdraw(self, lane: Lane, key: Hashable) -> bool:
        """Take back what was not written yet; False when it was."""
        envelope = self._lanes[lane].pop(key, None)
        self._bytes[lane] -= len(envelope or b"")
        return envelope is not None

    def control_only(self) -> None:
        """Forget everything else: the session has ended."""
        for lane in Lane:
            if lane is not Lane.CONTROL:
                self._lanes[lane].clear()
                self._bytes[lane] = 0

    def next_frame(self) -> bytes | None:
        """The next frame's bytes, None when nothing waits. At most the limits, or one large envelope."""
        taken: list[bytes] = []
        room = self._terms.frame_bytes
        for name, lane in self._lanes.items():
            while lane and len(taken) < self._terms.frame_envelopes:
                key, envelope = next(iter(lane.items()))
                if taken and len(envelope) + _OVERHEAD > room:
                    return b"".join(taken)
                del lane[key]
                self._bytes[name] -= len(envelope)
                self.written[name] += 1
                room -= len(envelope) + _OVERHEAD
                taken.append(delimited(1, envelope))
        return b"".join(taken) if taken else None
