"""Orders between two owners that crash, over a network that loses, doubles, cuts and brings the past back.

The ends are the real ones; their owners and disks are those of `tests.link_owners`; `tests.history` judges.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.link.agent_end import AgentEnd
from shared.link.centre_end import CentreEnd
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from tests.history import faults
from tests.link_owners import (
    LIFE,
    TERMS,
    AgentDisk,
    AgentLine,
    AgentOwner,
    CentreDisk,
    CentreOwner,
    HubLine,
    World,
    advance,
    is_open,
)

KEPT = 3  # streams that may still speak


@dataclass(eq=False)
class Stream:
    """Both halves of one session, and the frames on their way."""

    hub: HubLine
    agent: AgentLine
    down: deque[bytes] = field(default_factory=deque)
    up: deque[bytes] = field(default_factory=deque)


class OrderMachine(RuleBasedStateMachine):
    """Persons, the network, time and crashes, driven at random."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.centre = CentreOwner(self.world, CentreDisk())
        self.agent = AgentOwner(self.world, AgentDisk())
        self.streams: list[Stream] = []
        self.past: list[tuple[str, bytes]] = []
        self.ids: list[str] = []
        self.dial()
        self.go_on(12)

    # ---- persons

    @rule(offline=st.booleans())
    def launch(self, offline: bool) -> None:
        if offline:
            self.cut(0)
        order_id = f"w{len(self.ids)}"
        self.ids.append(order_id)
        self.centre.insert(order_id, "LAUNCH", order_id, self.world.now + LIFE)

    @rule(which=st.integers(0, 5))
    def stop(self, which: int) -> None:
        launches = [order_id for order_id in self.ids if order_id.startswith("w")]
        if launches:
            order_id = f"s{len(self.ids)}"
            self.ids.append(order_id)
            self.centre.insert(order_id, "STOP", launches[-1 - which % len(launches)], 0.0)

    @rule(which=st.integers(0, 5))
    def cancel(self, which: int) -> None:
        if self.ids:
            self.centre.cancel(self.ids[-1 - which % len(self.ids)])

    # ---- what goes on

    @rule(steps=st.integers(1, 12))
    def go_on(self, steps: int) -> None:
        """Everything moves a little, in the newest stream."""
        for turn in range(steps):
            for stream in self.streams[-1:]:
                self.centre.sweep(stream.hub)
                self.centre.step(stream.hub)
                self.write(stream)
                self.deliver(stream)
            self.agent.step(turn)

    @rule(which=st.integers(0, KEPT - 1))
    def stale_stream_goes_on(self, which: int) -> None:
        """An older session does something: a hub that was frozen, an agent that finishes what is under way."""
        for stream in self.streams[:-1][which : which + 1]:
            self.centre.sweep(stream.hub)
            self.centre.step(stream.hub)
            self.write(stream)
            self.deliver(stream)

    @rule(which=st.integers(0, 5))
    def agent_works(self, which: int) -> None:
        self.agent.step(which)

    @rule()
    def hub_works(self) -> None:
        for stream in self.streams[-1:]:
            self.centre.sweep(stream.hub)
            self.centre.step(stream.hub)

    @rule()
    def facility_is_busy_or_not(self) -> None:
        """While it is, what was not accepted is refused, and stays so."""
        self.world.busy = not self.world.busy

    @rule(by=st.sampled_from([1.0, 7.0, 30.0, LIFE]))
    def wait(self, by: float) -> None:
        self.world.now += by
        for stream in self.streams:
            self.centre.heard(stream.hub, stream.hub.end.tick(self.world.now))
            self.agent.heard(stream.agent, stream.agent.end.tick(self.world.now))
        self.centre.expire()
        self.agent.forget()

    # ---- what goes wrong

    @rule(steps=st.sampled_from([0, 2, 12]))
    def dial(self, steps: int = 0) -> None:
        """The agent opens its next session; the older ones live on for a while."""
        hello = pb.Hello(facility_id="alpha")
        line = AgentLine(AgentEnd(TERMS, hello, self.world.now, self.agent.disk.floor))
        hub = HubLine(CentreEnd(TERMS, self.world.now))
        self.agent.lines.append(line)
        self.centre.lines.append(hub)
        self.streams.append(Stream(hub, line))
        for stream in self.streams[:-KEPT]:
            self.end(stream)
        self.go_on(steps)

    @rule(which=st.integers(0, KEPT - 1))
    def cut(self, which: int) -> None:
        """A stream breaks with all that is on its way."""
        for stream in self.streams[-1 - which :][:1]:
            self.end(stream)

    @rule(which=st.integers(0, KEPT - 1))
    def agent_lets_go(self, which: int) -> None:
        """Only the agent's half is gone; the hub does not know it yet."""
        for stream in self.streams[-1 - which :][:1]:
            stream.agent.end.lose("gone")

    @rule(downwards=st.booleans())
    def lose_frame(self, downwards: bool) -> None:
        for stream in self.streams[-1:]:
            pipe = stream.down if downwards else stream.up
            if pipe:
                pipe.popleft()

    @rule(downwards=st.booleans(), keep=st.integers(0, 200))
    def truncate(self, downwards: bool, keep: int) -> None:
        """The stream breaks in the middle of a frame."""
        for stream in self.streams[-1:]:
            pipe = stream.down if downwards else stream.up
            if pipe:
                pipe.appendleft(pipe.popleft()[:keep])
                self.deliver(stream)
            self.end(stream)

    @rule(which=st.integers(0, 5))
    def hub_forgets_what_it_delivered(self, which: int) -> None:
        """And sends an order again in the same session."""
        for stream in self.streams[-1:]:
            delivered = sorted(stream.hub.delivered)
            if delivered:
                stream.hub.delivered.discard(delivered[which % len(delivered)])

    @rule(which=st.integers(0, 1000), newest=st.booleans())
    def replay(self, which: int, newest: bool) -> None:
        """A frame comes again: of this session, or of an earlier one."""
        if self.past and self.streams:
            recent = self.past[-4:] if newest else self.past
            direction, frame = recent[which % len(recent)]
            self.hand_over(self.streams[-1], direction, frame)

    @rule()
    def agent_crashes(self) -> None:
        self.agent = AgentOwner(self.world, self.agent.disk)
        for stream in self.streams:
            stream.agent.end.lose("crashed")

    @rule()
    def centre_crashes(self) -> None:
        self.centre = CentreOwner(self.world, self.centre.disk)
        for stream in self.streams:
            stream.hub.end.lose("crashed")
            stream.hub.work.clear()
            stream.hub.delivering.clear()

    @rule(
        steps=st.integers(1, 8),
        after=st.sampled_from(["crash", "newer", "nothing"]),
        later=st.sampled_from([0, LIFE]),
    )
    def hub_freezes(self, steps: int, after: str, later: float) -> None:
        """It reads and writes to its stream, but commits nothing; then it dies, or the agent dials another."""
        for turn in range(steps):
            for stream in self.streams[-1:]:
                self.write(stream)
                self.deliver(stream)
            self.agent.step(turn)
        if after == "crash":
            self.centre_crashes()
        if later:
            self.wait(later)
        if after == "newer":
            self.dial(12)
            for _ in range(8):
                self.stale_stream_goes_on(len(self.streams) - 2)

    # ---- the pieces

    def write(self, stream: Stream) -> None:
        for end, pipe, direction in (
            (stream.hub.end, stream.down, "down"),
            (stream.agent.end, stream.up, "up"),
        ):
            if (frame := end.next_frame()) is not None:
                pipe.append(frame)
                self.past.append((direction, frame))

    def deliver(self, stream: Stream) -> None:
        for direction, pipe in (("up", stream.up), ("down", stream.down)):
            if pipe:
                self.hand_over(stream, direction, pipe.popleft())

    def hand_over(self, stream: Stream, direction: str, frame: bytes) -> None:
        if direction == "up":
            self.centre.heard(stream.hub, stream.hub.end.receive(frame, self.world.now))
        else:
            self.agent.heard(stream.agent, stream.agent.end.receive(frame, self.world.now))

    def end(self, stream: Stream) -> None:
        stream.hub.end.lose("cut")
        stream.agent.end.lose("cut")
        self.streams.remove(stream)
        self.centre.lines = [line for line in self.centre.lines if is_open(line)]
        self.agent.lines = [line for line in self.agent.lines if is_open(line)]

    # ---- what must hold

    @invariant()
    def nothing_twice_nothing_false(self) -> None:
        if hasattr(self, "world"):
            assert list(faults(self.world.history, healed=False, exact=True)) == []

    @invariant()
    def credits_are_kept(self) -> None:
        for stream in getattr(self, "streams", []):
            assert len(stream.hub.end._orders) <= TERMS.order_credits
            assert len(stream.agent.end._results) <= TERMS.result_credits

    def teardown(self) -> None:
        """The network heals: one stream that works, and everything ends."""
        if not hasattr(self, "world"):
            return
        for stream in list(self.streams):
            self.end(stream)
        self.dial()
        for turn in range(40 + 40 * len(self.ids)):
            self.go_on(1)
            self.agent.step(turn // 3)
        assert list(faults(self.world.history, exact=True)) == []
        assert all(not row.is_open for row in self.centre.disk.rows.values())
        assert all(row.acknowledged_at is not None for row in self.agent.disk.orders.values())


OrderMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestOrders = OrderMachine.TestCase


# ---- kept: what failed once, and what must be seen in every run


def machine() -> OrderMachine:
    kept = OrderMachine()
    kept.begin()
    return kept


def outcome(kept: OrderMachine, order_id: str) -> list[str]:
    words = [entry.what for entry in kept.world.history if entry.order_id == order_id]
    return [what for what in words if what.startswith("SETTLED") or what in ("EFFECT", "EXPIRED")]


def test_a_welcome_that_a_newer_session_overtook_opens_nothing() -> None:
    kept = machine()
    kept.dial(0)
    late = kept.streams[-1]
    kept.write(late)
    kept.deliver(late)
    for _ in range(3):
        kept.centre.step(late.hub)
    kept.write(late)
    kept.dial(12)
    kept.deliver(late)
    assert not is_open(late.agent)
    kept.teardown()


def test_a_refusal_is_not_lost_when_every_result_credit_is_out() -> None:
    kept = machine()
    (stream,) = kept.streams
    kept.launch(offline=False)
    kept.launch(offline=False)
    for _ in range(4):
        kept.hub_works()
    kept.hub_freezes(40, "nothing", 0)
    assert stream.agent.end.result_room == 0
    kept.facility_is_busy_or_not()
    kept.launch(offline=False)
    kept.centre.sweep(stream.hub)
    for _ in range(3):
        advance(stream.hub.delivering)
    kept.hub_freezes(12, "nothing", 0)
    kept.go_on(40)
    assert outcome(kept, "w2") == ["SETTLED REFUSED"]


def test_a_crash_between_the_effect_and_its_row_starts_nothing_twice() -> None:
    for steps in range(1, 12):
        kept = machine()
        kept.launch(offline=False)
        for turn in range(steps):
            kept.hub_works()
            kept.write(kept.streams[-1])
            kept.deliver(kept.streams[-1])
            kept.agent.step(turn + 1)
        kept.agent_crashes()
        kept.teardown()
        assert outcome(kept, "w0") == ["EFFECT", "SETTLED OK"]


def test_a_stop_that_comes_first_cancels() -> None:
    kept = machine()
    kept.launch(offline=True)
    kept.centre.disk.rows["w0"].state = "SENT"  # it may have been
    waiting = kept.centre.disk.rows.pop("w0")
    kept.stop(0)
    kept.dial(12)
    kept.go_on(12)
    kept.centre.disk.rows["w0"] = waiting
    kept.teardown()
    assert outcome(kept, "w0") == ["SETTLED CANCELLED"]


def test_an_order_that_waits_expires_and_one_that_stops_does_not() -> None:
    kept = machine()
    kept.launch(offline=True)
    kept.stop(0)
    kept.wait(LIFE)
    kept.teardown()
    assert outcome(kept, "w0") == ["EXPIRED"]
    assert outcome(kept, "s1") == ["SETTLED CANCELLED"]
