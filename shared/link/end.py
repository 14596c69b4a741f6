"""What both ends of a link have in common: frames in and out, epochs, heartbeats, refusals, the end.

No I/O and no clock: bytes and instants (monotonic seconds) come in, bytes and outputs go out. The
owner calls `receive` for each frame, `tick` no later than `deadline()`, and writes what `next_frame`
gives until it gives None. What must survive a session is its owner's: rows, at either side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Generic, TypeVar

from shared.link.heartbeats import Heartbeats
from shared.link.outbox import Lane, Outbox
from shared.link.outputs import Closed, Ending, Output
from shared.link.terms import Terms
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.parse import parse_bounded
from shared.wire.raw import fields, pieces
from shared.wire.text import Malformed

Incoming = TypeVar("Incoming", pb.AgentEnvelope, pb.CentreEnvelope)

_SPARE_PARTS = 16  # of a frame: what later versions may add beside the envelopes
_PROBLEM_BYTES = 16 * 1024
_ENVELOPE_PARTS = 64
_WEIGHT = 16 * 1024
_PROBLEM_IN = {
    pb.AgentEnvelope.RESULT_FIELD_NUMBER: pb.Result.PROBLEM_FIELD_NUMBER,
    pb.AgentEnvelope.ORDER_RESULT_FIELD_NUMBER: pb.OrderResult.PROBLEM_FIELD_NUMBER,
}
_LANES = {
    "event": Lane.FACT,
    "order": Lane.ORDER,
    "order_result": Lane.ORDER,
    "command": Lane.QUERY,
    "result": Lane.QUERY,
}


class Phase(Enum):
    """HANDSHAKE → OPEN → CLOSED."""

    HANDSHAKE = 1
    OPEN = 2
    CLOSED = 3


class End(ABC, Generic[Incoming]):
    """One end of one session. `epoch` is 0 until the Welcome.

    `ignored` counts envelopes that meant nothing here, `unasked` what the peer said that answered no
    ask of ours, in envelopes, where each 16 KiB count as one more. `refusals` counts the Rejects that
    this end sent, `received` and `written` the envelopes of this epoch by class.
    """

    _incoming: type[Incoming]

    def __init__(self, terms: Terms, now: float) -> None:
        self.terms = terms
        self.epoch = 0
        self.phase = Phase.HANDSHAKE
        self.closed: Closed | None = None
        self.ignored = 0
        self.unasked = 0
        self.refusals = 0
        self.received: Counter[Lane] = Counter()
        self._outbox = Outbox(terms)
        self._handshake_until = now + terms.hello_deadline
        self._every, self._silence = terms.heartbeat_every, terms.dead_after
        self._now = self._beat_at = self._heard = now
        self._heartbeats = Heartbeats(now)
        self._answered = False
        self._reconnect_after: float | None = None

    @property
    def rtt(self) -> float | None:
        """Round trip of the latest heartbeat that the peer echoed, in seconds; None before the first."""
        return self._heartbeats.rtt

    @property
    def written(self) -> Mapping[Lane, int]:
        """How many envelopes of each class were handed out to be written."""
        return self._outbox.written

    def waiting(self, lane: Lane) -> int:
        """How many envelopes of this class wait to be written."""
        return self._outbox.waiting(lane)

    # ---- in

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        """One frame from the peer. What cannot be read is rejected; only a broken frame ends the session."""
        if self.closed is not None:
            return ()
        self._now = now
        try:
            envelopes = pieces(data, 1, self.terms.frame_envelopes + _SPARE_PARTS)
            if len(envelopes) > self.terms.frame_envelopes:
                raise Malformed(f"A frame has more than {self.terms.frame_envelopes} envelopes.")
        except Malformed as error:
            return self.close(Ending.PROTOCOL, str(error), tell=True)
        out: list[Output] = []
        self.unasked += 0 if envelopes else 1
        for piece in envelopes:
            self._answered = False
            out += self._read(piece, now)
            self.unasked += 0 if self._answered else weight(piece)
            if self.closed is not None:
                break
        return out

    def tick(self, now: float) -> Sequence[Output]:
        """Lets time pass: heartbeats, deadlines, and the end of a silent session."""
        if self.closed is not None:
            return ()
        self._now = now
        if self.phase is Phase.HANDSHAKE:
            if now >= self._handshake_until:
                return self.close(Ending.HELLO_DEADLINE, "The handshake took too long.", tell=True)
            return ()
        if now - self._heard >= self._silence:
            return self.close(Ending.SILENT, "The peer gave no sign of life.")
        if now >= self._beat_at:
            self._beat(now)
        return ()

    def deadline(self) -> float:
        """The instant by which `tick` must be called."""
        if self.phase is Phase.HANDSHAKE:
            return self._handshake_until
        return min(self._beat_at, self._heard + self._silence)

    def lose(self, message: str) -> Sequence[Output]:
        """The stream has ended."""
        return self.close(Ending.LOST, message)

    def close(self, ending: Ending, message: str, *, tell: bool = False, told: str = "") -> Sequence[Output]:
        """Ends the session; with `tell` the peer hears why. What happens after that is nothing."""
        if self.closed is not None:
            return ()
        self.closed = Closed(ending, message, self._reconnect_after, told)
        self.phase = Phase.CLOSED
        self._outbox.control_only()
        if tell:
            self._outbox.control("last", self._envelope(reject=pb.Reject(reason=ending.value, message=message)))
        return (*self._abandon(), self.closed)

    # ---- out

    def next_frame(self) -> bytes | None:
        """The next frame to write, None when nothing waits."""
        return self._outbox.next_frame()

    def drain(self, deadline_s: float, reconnect_after_s: float = 0.0) -> None:
        """Tells the peer that this end will close within `deadline_s`."""
        if self.phase is Phase.OPEN:
            word = pb.Drain(deadline_ms=int(deadline_s * 1000), reconnect_after_ms=int(reconnect_after_s * 1000))
            self._outbox.control("drain", self._envelope(drain=word))

    # ---- for the two ends

    @abstractmethod
    def _envelope(self, **body: Any) -> bytes:
        """A serialised envelope of this epoch."""

    @abstractmethod
    def _greet(self, envelope: Incoming, now: float) -> Sequence[Output]:
        """The first envelope of the peer."""

    @abstractmethod
    def _handle(self, envelope: Incoming, now: float) -> Sequence[Output]:
        """An envelope of this epoch other than a heartbeat."""

    def _ticket(self, _envelope: Incoming) -> int:
        """The ticket of the command in an envelope, 0 when there is none."""
        return 0

    def _heard_sign(self, beat: pb.Heartbeat) -> None:
        """What a sign of life of the peer says besides that it lives."""
        return

    @abstractmethod
    def _abandon(self) -> Sequence[Output]:
        """What the end of the session means for what was still open."""

    def _fits(self, envelope: bytes) -> bool:
        """Whether the peer would read this envelope of ours."""
        try:
            _bounded(envelope)
        except Malformed:
            return False
        return len(envelope) <= self.terms.envelope_bytes

    def _open(self, epoch: int, now: float) -> None:
        self.epoch = epoch
        self.phase = Phase.OPEN
        self._heard = now
        self._beat_at = now + self._every

    def _reject(self, reason: str, message: str, ticket: int = 0) -> Sequence[Output]:
        self.refusals += 1
        word = self._envelope(reject=pb.Reject(reason=reason, message=message, ticket=ticket))
        if self._outbox.control(("reject", self.refusals), word):
            return ()
        return self.close(Ending.FLOODED, "The peer sends what cannot be read and reads no refusals.")

    def _read(self, piece: bytes, now: float) -> Sequence[Output]:
        if len(piece) > self.terms.envelope_bytes:
            return self._reject("OVERSIZED", f"An envelope has at most {self.terms.envelope_bytes} bytes.")
        try:
            _bounded(piece)
            envelope = parse_bounded(self._incoming, piece)
        except Malformed as error:
            return self._reject("INVALID_REQUEST", str(error))
        if envelope.critical:
            return self._critical(envelope)
        if self.phase is Phase.HANDSHAKE:
            return self._greet(envelope, now)
        if envelope.epoch != self.epoch:
            self.ignored += 1
            return ()
        self._heard = now
        body = envelope.WhichOneof("body")
        self.received[_LANES.get(body, Lane.CONTROL)] += 1
        if body == "heartbeat":
            self._heartbeats.heard(envelope.heartbeat, now)
            self._heard_sign(envelope.heartbeat)
            return ()
        return self._handle(envelope, now)

    def _critical(self, envelope: Incoming) -> Sequence[Output]:
        message = "An extension is marked critical that this version does not know."
        if self.phase is Phase.HANDSHAKE:
            return self.close(Ending.VERSION, message, tell=True)
        return self._reject("UNSUPPORTED", message, self._ticket(envelope))

    def _sign(self, now: float) -> pb.Heartbeat:
        """This end's next sign of life."""
        return self._heartbeats.next(now)

    def _beat(self, now: float) -> None:
        self._beat_at = now + self._every
        self._outbox.control("heartbeat", self._envelope(heartbeat=self._sign(now)))


def weight(piece: bytes) -> int:
    """What an envelope counts for in `unasked`."""
    return 1 + len(piece) // _WEIGHT


def _bounded(piece: bytes) -> None:
    """Refuses before parsing what would make many objects: a Problem with a huge map."""
    for number, body, _ in fields(piece, _ENVELOPE_PARTS):
        problem = _PROBLEM_IN.get(number)
        if problem is not None and body is not None:
            for inner, data, _ in fields(body, _ENVELOPE_PARTS):
                if inner == problem and data is not None and len(data) > _PROBLEM_BYTES:
                    raise Malformed(f"A problem is larger than {_PROBLEM_BYTES} bytes.")
