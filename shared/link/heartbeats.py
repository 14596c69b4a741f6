"""Signs of life: what one end says, and the round trip that the peer's echo gives away."""

from __future__ import annotations

from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

_REMEMBERED = 16
_HELD = 2**32 - 1


class Heartbeats:
    """Counters both ways. `rtt` is the latest measured round trip in seconds, None before the first."""

    def __init__(self, now: float) -> None:
        self.rtt: float | None = None
        self._count = self._peer = 0
        self._peer_at = now
        self._said: dict[int, float] = {}

    def next(self, now: float) -> pb.Heartbeat:
        """This end's next sign of life."""
        self._count += 1
        self._said[self._count] = now
        self._said.pop(self._count - _REMEMBERED, None)
        held = int((now - self._peer_at) * 1000) if self._peer else 0
        return pb.Heartbeat(counter=self._count, echo=self._peer, held_ms=min(held, _HELD))

    def heard(self, beat: pb.Heartbeat, now: float) -> None:
        """The peer's; an echo of what was never said, or held for longer than it was away, measures nothing."""
        if beat.counter > self._peer:
            self._peer, self._peer_at = beat.counter, now
        said = self._said.get(beat.echo)
        if said is not None and now - said >= beat.held_ms / 1000:
            self.rtt = now - said - beat.held_ms / 1000
