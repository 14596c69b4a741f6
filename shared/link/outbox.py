"""What waits to be written: bounded, control first, coalesced into frames."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from shared.errors import RateLimited
from shared.link.terms import Terms
from shared.wire.raw import delimited

_OVERHEAD = 6  # a tag and the longest length


class Outbox:
    """Three lanes of serialised envelopes. Nothing is ever dropped; a full lane refuses.

    *Control* (signs of life, refusals) goes first, then *facts*, of which a newer one replaces the
    waiting older one under the same key, then *data* (commands, results).
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._control: OrderedDict[Hashable, bytes] = OrderedDict()
        self._facts: OrderedDict[Hashable, bytes] = OrderedDict()
        self._data: OrderedDict[Hashable, bytes] = OrderedDict()
        self._data_bytes = 0

    def __len__(self) -> int:
        return len(self._control) + len(self._facts) + len(self._data)

    @property
    def data_bytes(self) -> int:
        """How many bytes of data wait."""
        return self._data_bytes

    def control(self, key: Hashable, envelope: bytes) -> bool:
        """Queue a control envelope, in place of a waiting one of this key; False when the lane is full."""
        if key not in self._control and len(self._control) >= self._terms.control_envelopes:
            return False
        self._control[key] = envelope
        return True

    def fact(self, key: Hashable, envelope: bytes) -> None:
        """Queue a fact in place of a waiting older one. Bounded by the number of things there are facts of."""
        self._facts[key] = envelope

    def data(self, key: Hashable, envelope: bytes) -> None:
        """Queue data under a fresh key. Raises RateLimited when the lane is full."""
        terms = self._terms
        full = len(self._data) >= terms.queue_envelopes or self._data_bytes + len(envelope) > terms.queue_bytes
        if full:
            raise RateLimited("The facility has too much to do at the moment; try again shortly.")
        self.must(key, envelope)

    def must(self, key: Hashable, envelope: bytes) -> None:
        """Queue data that its sender has already bounded."""
        self._data[key] = envelope
        self._data_bytes += len(envelope)

    def withdraw(self, key: Hashable) -> None:
        """Take back data that was not written yet; nothing happens when it was."""
        self._data_bytes -= len(self._data.pop(key, b""))

    def control_only(self) -> None:
        """Forget facts and data: the session has ended."""
        self._facts.clear()
        self._data.clear()
        self._data_bytes = 0

    def next_frame(self) -> bytes | None:
        """The next frame's bytes, None when nothing waits. At most the limits, or one large envelope."""
        taken: list[bytes] = []
        room = self._terms.frame_bytes
        for lane in (self._control, self._facts, self._data):
            while lane and len(taken) < self._terms.frame_envelopes:
                key, envelope = next(iter(lane.items()))
                if taken and len(envelope) + _OVERHEAD > room:
                    return b"".join(taken)
                del lane[key]
                if lane is self._data:
                    self._data_bytes -= len(envelope)
                room -= len(envelope) + _OVERHEAD
                taken.append(delimited(1, envelope))
        return b"".join(taken) if taken else None
