"""Both owners of a link in small: their rows on a disk that outlives them, and what they do with an end's outputs.

Every piece of work is a generator that stops before and after each durable write, so that a crash may come anywhere:
what is on a disk stays, everything else of that side is gone. The rules are those of decision 0010.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import FacilityUnavailable, RateLimited
from shared.link.agent_end import AgentEnd
from shared.link.centre_end import CentreEnd
from shared.link.end import Phase
from shared.link.outputs import (
    Ending,
    Greeted,
    Opened,
    OrderAccepted,
    OrderAcknowledged,
    OrderArrived,
    OrderSettled,
    Output,
)
from shared.link.terms import Terms
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from tests.history import Entry

LIFE, MEMORY = 600.0, 700.0
Work = Generator[None, None, None]
TERMS = Terms(
    frame_envelopes=3, frame_bytes=200, queue_envelopes=6, control_envelopes=20,
    query_credits=2, order_credits=2, result_credits=2,
)  # fmt: skip


class World:
    """Time, and what happens at the facility outside every store: workspaces that run. All that happens is noted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.history: list[Entry] = []
        self.running: dict[str, bool] = {}
        self.busy = False

    def note(self, order_id: str, what: str, who: str, epoch: int = 0) -> None:
        self.history.append(Entry(order_id, what, epoch, who, self.now))

    def start(self, workspace: str) -> None:
        """Not idempotent: whoever calls it twice has it twice."""
        self.running[workspace] = True
        self.note(workspace, "EFFECT", "effect")

    def stop(self, workspace: str, order_id: str) -> bool:
        """Whether it ran until now."""
        if ran := self.running.get(workspace, False):
            self.running[workspace] = False
            self.note(order_id, "EFFECT", "effect")
        return ran


# ---- the agent


@dataclass
class Stored:
    """An order in the agent's store."""

    body: bytes
    result: pb.OrderResult | None = None
    acknowledged_at: float | None = None


@dataclass
class AgentDisk:
    """What survives the agent."""

    floor: int = 0
    orders: dict[str, Stored] = field(default_factory=dict)
    workspaces: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class AgentLine:
    """One session as the agent has it."""

    end: AgentEnd
    sent: set[str] = field(default_factory=set)


def body_of(verb: str, target: str, expires: float) -> bytes:
    """The bytes of an order. `expires` is 0 for one that never does."""
    return f"{verb} {target} {expires}".encode()


class AgentOwner:
    """The process at the facility: its work is lost in a crash, its disk is not."""

    def __init__(self, world: World, disk: AgentDisk) -> None:
        self.world, self.disk = world, disk
        self.lines: list[AgentLine] = []
        self.work: dict[tuple[str, bytes], Work] = {}
        self.hear: dict[tuple[str, bytes], list[AgentLine]] = {}
        self.acknowledging: deque[Work] = deque()
        for order_id, row in disk.orders.items():
            if row.result is None:
                self.work[order_id, row.body] = self._carry_out(order_id)

    def heard(self, line: AgentLine, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Opened):
                self._opened(line, output.epoch)
            elif isinstance(output, OrderArrived):
                self._take(line, output)
            elif isinstance(output, OrderAcknowledged):
                self.acknowledging.append(self._acknowledge(output.order_id))
                self.flush()

    def _opened(self, line: AgentLine, epoch: int) -> None:
        if epoch <= self.disk.floor:  # while it shook hands a newer one was opened
            line.end.close(Ending.STALE_EPOCH, "A newer session is open.")
            return
        self.disk.floor = epoch
        for other in self.lines:
            if other is not line:
                other.end.finish()
        self.world.note("", "EPOCH", "agent", epoch)
        self.flush()

    def step(self, which: int) -> None:
        """One more step of something that is under way."""
        if self.acknowledging and which % 3 == 0:
            advance(self.acknowledging)
        elif self.work:
            key = list(self.work)[which % len(self.work)]
            if next(self.work[key], StopIteration) is StopIteration:
                del self.work[key]
                self.hear.pop(key, None)

    def flush(self) -> None:
        """Send every result that the centre may lack and that this session has not carried yet."""
        for order_id, row in self.disk.orders.items():
            for line in self.lines:
                wanted = row.result is not None and row.acknowledged_at is None and order_id not in line.sent
                if wanted and row.result is not None and line.end.settle(row.result):
                    line.sent.add(order_id)

    def forget(self) -> None:
        """Tombstones of long ago."""
        for order_id, row in list(self.disk.orders.items()):
            if row.acknowledged_at is not None and self.world.now - row.acknowledged_at > MEMORY:
                del self.disk.orders[order_id]

    def _take(self, line: AgentLine, order: OrderArrived) -> None:
        key = (order.order_id, order.body)
        self.hear.setdefault(key, []).append(line)
        row = self.disk.orders.get(order.order_id)
        if row is not None and row.body != order.body:
            line.end.settle(_result(order.order_id, "CONFLICT"))
        elif row is not None:
            line.end.accept(order.order_id)
            if row.result is not None and line.end.settle(row.result):
                line.sent.add(order.order_id)
        elif key not in self.work:
            self.work[key] = self._judge(order.order_id, order.body)

    def _judge(self, order_id: str, body: bytes) -> Work:
        _, _, expires = body.decode().split()
        yield  # the grant is looked at
        if order_id in self.disk.orders:  # stored meanwhile, with other bytes
            self._tell(order_id, body, lambda end: end.settle(_result(order_id, "CONFLICT")))
            return
        if self.world.busy or 0 < float(expires) < self.world.now:
            self.disk.orders[order_id] = Stored(
                body, _result(order_id, "REFUSED")
            )  # brought again it stays refused
            self.world.note(order_id, "STORED", "agent")
            yield
            self.flush()
            return
        self.disk.orders[order_id] = Stored(body)
        self.world.note(order_id, "STORED", "agent")
        yield
        self._tell(order_id, body, lambda end: end.accept(order_id))
        yield
        yield from self._carry_out(order_id)

    def _tell(self, order_id: str, body: bytes, word: Callable[[AgentEnd], object]) -> None:
        for line in self.hear.get((order_id, body), ()):
            word(line.end)

    def _carry_out(self, order_id: str) -> Work:
        verb, target, _ = self.disk.orders[order_id].body.decode().split()
        yield
        if verb == "LAUNCH":
            yield from self._launch(order_id)
        else:
            yield from self._stop(order_id, target)
        yield  # the result is stored and not sent
        self.flush()

    def _launch(self, order_id: str) -> Work:
        if order_id in self.disk.workspaces:
            self._settled(order_id, "CANCELLED")
            return
        if order_id not in self.world.running:  # the probe: an earlier effect of this order is found by its id
            self.world.start(order_id)
        yield
        self.disk.workspaces[order_id] = "RUNNING"
        self._settled(order_id, "OK")

    def _stop(self, order_id: str, target: str) -> Work:
        while target in self.disk.orders and self.disk.orders[target].result is None:
            yield  # what becomes of the launch is not known yet
        state = self.disk.workspaces.setdefault(target, "TOMBSTONE")
        if state == "TOMBSTONE":
            self._settled(order_id, "CANCELLED")
            return
        stopped = self.world.stop(target, order_id)
        yield
        self.disk.workspaces[target] = "ENDED"
        self._settled(order_id, "OK" if stopped else "ENDED")

    def _settled(self, order_id: str, outcome: str) -> None:
        self.disk.orders[order_id].result = _result(order_id, outcome)

    def _acknowledge(self, order_id: str) -> Work:
        yield
        row = self.disk.orders.get(order_id)
        if row is not None and row.result is not None and row.acknowledged_at is None:
            row.acknowledged_at = self.world.now
            self.world.note(order_id, "ACKNOWLEDGED", "agent")


def _result(order_id: str, outcome: str) -> pb.OrderResult:
    return pb.OrderResult(order_id=order_id, outcome=outcome)


# ---- the centre


@dataclass
class Row:
    """An order in the centre's table."""

    body: bytes
    expires: float
    state: str = "WAITING"

    @property
    def is_open(self) -> bool:
        return self.state in ("WAITING", "SENT", "ACCEPTED")


@dataclass
class CentreDisk:
    """What survives the centre."""

    epoch: int = 0
    rows: dict[str, Row] = field(default_factory=dict)


@dataclass(eq=False)
class HubLine:
    """One session as its hub has it. `work` is done in order, delivering goes on beside it."""

    end: CentreEnd
    epoch: int = 0
    delivered: set[str] = field(default_factory=set)
    work: deque[Work] = field(default_factory=deque)
    delivering: deque[Work] = field(default_factory=deque)


class CentreOwner:
    """Any number of hubs over one database."""

    def __init__(self, world: World, disk: CentreDisk) -> None:
        self.world, self.disk = world, disk
        self.lines: list[HubLine] = []

    def insert(self, order_id: str, verb: str, target: str, expires: float) -> None:
        """The web's part: one row, and a hint that may be lost."""
        online = any(line.end.ready and line.epoch == self.disk.epoch for line in self.lines)
        state = "SENT" if online else "WAITING"
        self.disk.rows[order_id] = Row(body_of(verb, target, expires), expires, state)
        self.world.note(order_id, "ORDERED", "centre")

    def cancel(self, order_id: str) -> None:
        """What was never sent can be called off here."""
        if (row := self.disk.rows[order_id]).state == "WAITING":
            row.state = "CANCELLED"
            self.world.note(order_id, "CANCELLED", "centre")

    def expire(self) -> None:
        """What was never sent and whose life is over."""
        for order_id, row in self.disk.rows.items():
            if row.state == "WAITING" and 0 < row.expires <= self.world.now:
                row.state = "EXPIRED"
                self.world.note(order_id, "EXPIRED", "centre")

    def heard(self, line: HubLine, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, Greeted):
                line.work.append(self._admit(line, output))
            elif isinstance(output, OrderAccepted):
                line.work.append(self._accepted(line, output.order_id))
            elif isinstance(output, OrderSettled):
                line.work.append(self._commit(line, output.result))

    def sweep(self, line: HubLine) -> None:
        """Deliver in this session what is not settled and was not delivered in it."""
        if line.end.ready and not line.delivering:
            line.delivering.append(self._deliver(line))

    def step(self, line: HubLine) -> None:
        """One more step of what is under way for this session."""
        advance(line.work)
        advance(line.delivering)

    def _admit(self, line: HubLine, greeted: Greeted) -> Work:
        yield
        self.disk.epoch += 1
        line.epoch = self.disk.epoch
        self.world.note("", "EPOCH", "centre", line.epoch)
        yield
        line.end.welcome(line.epoch, "s", greeted.version, self.world.now)

    def _deliver(self, line: HubLine) -> Work:
        yield
        if line.epoch != self.disk.epoch:
            return
        chosen = [i for i, row in self.disk.rows.items() if row.is_open and i not in line.delivered]
        chosen = chosen[: line.end.order_room]
        bodies = {order_id: self.disk.rows[order_id].body for order_id in chosen}
        for order_id in chosen:
            if self.disk.rows[order_id].state == "WAITING":
                self.disk.rows[order_id].state = "SENT"
        for order_id in chosen:
            yield
            try:
                line.end.order(order_id, bodies[order_id], "", b"", self.world.now)
            except (FacilityUnavailable, RateLimited):
                return
            line.delivered.add(order_id)

    def _accepted(self, line: HubLine, order_id: str) -> Work:
        yield
        row = self.disk.rows.get(order_id)
        if line.epoch == self.disk.epoch and row is not None and row.state in ("WAITING", "SENT"):
            row.state = "ACCEPTED"
            self.world.note(order_id, "ACCEPTED", "centre", line.epoch)

    def _commit(self, line: HubLine, result: pb.OrderResult) -> Work:
        yield
        if line.epoch != self.disk.epoch:
            return  # fenced: the newer session gets it again
        row = self.disk.rows.get(result.order_id)
        if row is not None and row.is_open:
            row.state = "SETTLED"
            self.world.note(result.order_id, f"SETTLED {result.outcome}", "centre", line.epoch)
            if result.outcome == "CANCELLED":
                _, target, _ = row.body.decode().split()
                self.world.note(target, "CANCELLED", "centre")
        yield
        line.end.acknowledge(result.order_id)


def advance(work: deque[Work]) -> None:
    """One more step of the first piece of work."""
    if work and next(work[0], StopIteration) is StopIteration:
        work.popleft()


def is_open(line: AgentLine | HubLine) -> bool:
    """Whether the end still lives."""
    end: Any = line.end
    return end.phase is not Phase.CLOSED
