"""The two ends joined by a pipe that delays, cuts, and brings frames of earlier sessions back.

Whatever happens: every ask gets exactly one answer or error, no answer crosses to another ask, and
epochs only rise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.errors import FacilityUnavailable, ParasolError, RateLimited
from shared.link.agent_end import AgentEnd
from shared.link.centre_end import CentreEnd
from shared.link.end import Phase
from shared.link.outputs import CommandArrived, Greeted, Opened, Output, Settled
from shared.link.terms import Terms
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

TERMS = Terms(
    frame_envelopes=3, frame_bytes=200, queue_envelopes=6, outstanding=8, control_envelopes=20, query_credits=3
)


@dataclass
class Session:
    """Both ends of one stream, and what is on its way."""

    centre: CentreEnd
    agent: AgentEnd
    down: deque[bytes] = field(default_factory=deque)
    up: deque[bytes] = field(default_factory=deque)
    asks: dict[int, bytes] = field(default_factory=dict)
    settled: dict[int, pb.Result | ParasolError] = field(default_factory=dict)
    arrived: list[CommandArrived] = field(default_factory=list)


class LinkMachine(RuleBasedStateMachine):
    """Time, the network and both owners, driven at random."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.epoch = 0
        self.floor = 0
        self.serial = 0
        self.opened: list[int] = []
        self.old_down: list[bytes] = []
        self.old_up: list[bytes] = []
        self.sessions: list[Session] = []
        self.connect()
        self.carry(6)

    @property
    def session(self) -> Session:
        return self.sessions[-1]

    def connect(self) -> None:
        agent = AgentEnd(TERMS, pb.Hello(facility_id="alpha"), self.now, self.floor)
        self.sessions.append(Session(CentreEnd(TERMS, self.now), agent))

    def at_centre(self, session: Session, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Greeted):
                self.epoch += 1
                session.centre.welcome(self.epoch, "s", output.version, self.now)
            elif isinstance(output, Settled):
                assert output.ticket not in session.settled, "settled twice"
                session.settled[output.ticket] = output.result

    def at_agent(self, session: Session, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Opened):
                self.opened.append(output.epoch)
                self.floor = output.epoch
            elif isinstance(output, CommandArrived):
                session.arrived.append(output)

    @rule(timeout=st.sampled_from([0.5, 5.0, 60.0]), size=st.integers(0, 150))
    def ask(self, timeout: float, size: int) -> None:
        self.serial += 1
        body = b"%d:" % self.serial + b"x" * size
        try:
            ticket = self.session.centre.ask(body, "", b"", timeout, self.now)
        except (FacilityUnavailable, RateLimited):
            return
        assert ticket not in self.session.asks
        self.session.asks[ticket] = body

    @rule(which=st.integers(0, 10), old=st.booleans())
    def answer(self, which: int, old: bool) -> None:
        session = self.sessions[which % len(self.sessions)] if old else self.session
        if session.arrived:
            command = session.arrived[which % len(session.arrived)]
            result = pb.Result(ticket=command.ticket, outcome="OK", payload=command.body)
            session.agent.answer(result)

    @rule()
    def write(self) -> None:
        for end, pipe, record in (
            (self.session.centre, self.session.down, self.old_down),
            (self.session.agent, self.session.up, self.old_up),
        ):
            if (frame := end.next_frame()) is not None:
                pipe.append(frame)
                record.append(frame)

    @rule()
    def deliver(self) -> None:
        session = self.session
        if session.up:
            self.at_centre(session, session.centre.receive(session.up.popleft(), self.now))
        if session.down:
            self.at_agent(session, session.agent.receive(session.down.popleft(), self.now))

    @rule(which=st.integers(0, 1000))
    def replay(self, which: int) -> None:
        """A frame of any session comes again."""
        session = self.session
        if self.old_up:
            frame = self.old_up[which % len(self.old_up)]
            self.at_centre(session, session.centre.receive(frame, self.now))
        if self.old_down:
            frame = self.old_down[which % len(self.old_down)]
            self.at_agent(session, session.agent.receive(frame, self.now))

    @rule(by=st.sampled_from([0.1, 0.5, 1.0, 7.0, 30.0]))
    def wait(self, by: float) -> None:
        self.now += by
        self.at_centre(self.session, self.session.centre.tick(self.now))
        self.at_agent(self.session, self.session.agent.tick(self.now))
        if Phase.CLOSED in (self.session.centre.phase, self.session.agent.phase):
            self.cut(after=6)

    @rule(after=st.sampled_from([0, 1, 2, 6, 6, 6]))
    def cut(self, after: int) -> None:
        """The stream breaks, and the next one gets `after` deliveries far: mostly through the handshake."""
        self.at_centre(self.session, self.session.centre.lose("cut"))
        self.at_agent(self.session, self.session.agent.lose("cut"))
        self.connect()
        self.carry(after)

    @rule(steps=st.integers(1, 10))
    def carry(self, steps: int) -> None:
        for _ in range(steps):
            self.write()
            self.deliver()

    @rule(size=st.integers(0, 150), answered=st.booleans())
    def exchange(self, size: int, answered: bool) -> None:
        """A whole round trip, or one that stops before the answer is written."""
        self.ask(timeout=5.0, size=size)
        self.carry(4)
        session = self.session
        for command in session.arrived[-1:]:
            session.agent.answer(pb.Result(ticket=command.ticket, outcome="OK", payload=command.body))
        if answered:
            self.carry(4)

    @invariant()
    def no_answer_crosses(self) -> None:
        for session in getattr(self, "sessions", []):
            for ticket, result in session.settled.items():
                assert ticket in session.asks, "nobody asked this"
                if isinstance(result, pb.Result):
                    assert result.payload == session.asks[ticket], "another ask's answer"

    @invariant()
    def epochs_rise(self) -> None:
        opened = getattr(self, "opened", [])
        assert opened == sorted(set(opened))

    @invariant()
    def memory_is_bounded(self) -> None:
        for session in getattr(self, "sessions", [])[-1:]:
            assert session.centre.outstanding <= TERMS.outstanding
            assert len(session.asks) == len(session.settled) + session.centre.outstanding

    def teardown(self) -> None:
        for session in getattr(self, "sessions", []):
            self.at_centre(session, session.centre.lose("the end"))
            assert session.asks.keys() == session.settled.keys(), "every ask has exactly one end"


LinkMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=60, deadline=None)
TestLink = LinkMachine.TestCase
