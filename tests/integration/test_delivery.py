"""Orders from the queue to the agent and their results back, over real gRPC: what is lost, late, too much or overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from central_portal.link import delivery, session_orders
from central_portal.link.ports import OrderState
from facility_agent.ports.link import AskedOrder
from shared.link.terms import DEFAULT
from tests.agent_parts import workspace
from tests.link_parts import SmallCore, eventually
from tests.link_scene import Scene, open_scene

ONE, TWO, OTHER = workspace(1), workspace(2), workspace(99)
NEVER = 3600.0
OFTEN = 0.05


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(tmp_path) as scene:
        yield scene


@dataclass
class Desk(SmallCore):
    """Takes an order once `room` is set, and notes each that comes."""

    taken: list[str] = field(default_factory=list)
    room: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, asked: AskedOrder, accepted: Callable[[], None]) -> bytes | None:
        self.taken.append(asked.order_id)
        await self.room.wait()
        return await super().take(asked, accepted)


def add(scene: Scene, *order_ids: str, facility_id: str = "alpha", title: str = "T") -> None:
    for order_id in order_ids:
        scene.events.queue.add(order_id, facility_id, title)


def settled(scene: Scene) -> list[str]:
    return [what[3] for what in scene.events.of("settled")]


async def swept(scene: Scene, times: int = 5) -> None:
    """The queue was looked at so often from now on."""
    until = scene.events.queue.looks + times
    await eventually(lambda: scene.events.queue.looks >= until)


async def test_no_more_is_under_way_than_the_agent_takes(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "SWEEP", OFTEN)
    core = Desk()
    await scene.agent(core, terms=replace(DEFAULT, order_credits=2))
    await scene.agent(SmallCore("beta"))  # with room, so that sweeps look at the queue
    names = [workspace(n) for n in range(5)]
    add(scene, *names)
    await eventually(lambda: len(core.taken) == 2)
    await swept(scene)
    assert core.taken == names[:2]
    assert [row.state for row in scene.events.queue.rows.values()] == [OrderState.SENT] * 2 + [
        OrderState.WAITING
    ] * 3
    core.room.set()
    await scene.events.until("settled", 5)
    assert (core.taken, sorted(settled(scene))) == (names, names)


async def test_what_the_agent_takes_makes_room_at_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for what was asked while there was none."""
    core = Desk()
    await scene.agent(core, terms=replace(DEFAULT, order_credits=1))
    await swept(scene, 1)
    monkeypatch.setattr(delivery, "SWEEP", NEVER)
    await swept(scene, 1)
    add(scene, ONE)
    scene.hub.links.deliver("alpha")
    await eventually(lambda: core.taken == [ONE])
    add(scene, TWO)
    scene.hub.links.deliver("alpha")
    assert await scene.ask("meanwhile") == ["meanwhile"]
    assert core.taken == [ONE]
    core.room.set()
    await scene.events.until("settled", 2)


async def test_a_lost_hint_costs_at_most_a_sweep(scene: Scene) -> None:
    await scene.agent(SmallCore())
    add(scene, ONE)
    await scene.events.until("settled", deadline=delivery.SWEEP + 1)
    assert settled(scene) == [ONE]


async def test_what_is_not_settled_comes_again_in_the_next_session(scene: Scene) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await scene.agent(core)
    add(scene, ONE, title="slow")
    scene.hub.links.deliver("alpha")
    await eventually(lambda: len(core.handled) == 1)
    await scene.kill()
    await scene.events.until("disconnected")
    assert settled(scene) == []
    again = SmallCore()
    await scene.agent(again)
    await scene.events.until("settled")
    assert [command.command_id for command in again.handled] == [ONE]
    assert scene.events.of("settled")[0][2] == 2, "of the newest session"


async def test_a_database_that_fails_for_a_while_only_delays(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(delivery, "SWEEP", OFTEN)
    caplog.set_level("CRITICAL", delivery.log.name)
    core = SmallCore()
    await scene.agent(core)
    scene.events.queue.broken = True
    add(scene, ONE)
    await swept(scene)
    assert core.handled == []
    assert scene.events.queue.rows[ONE].state is OrderState.WAITING
    scene.events.queue.broken = False
    await scene.events.until("settled")
    assert len(core.handled) == 1


async def test_a_result_is_acknowledged_once_it_is_committed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_orders, "AGAIN", OFTEN)
    core = SmallCore()
    await scene.agent(core)
    scene.events.failing = True
    add(scene, ONE)
    scene.hub.links.deliver("alpha")
    await eventually(lambda: scene.events.refused >= 3)
    assert core.acknowledged == []
    assert ONE in scene.events.queue.rows
    scene.events.failing = False
    await eventually(lambda: core.acknowledged == [ONE])
    assert (settled(scene), len(core.handled)) == ([ONE], 1)


async def test_what_ended_before_it_was_sent_is_not_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody takes a launch back, or it expires, between the hub's look and its sending."""
    queue, core = scene.events.queue, SmallCore()

    async def taken_back() -> None:
        queue.rows.pop(ONE, None)

    queue.before_sent = taken_back
    await scene.agent(core)
    add(scene, ONE, TWO)
    scene.hub.links.deliver("alpha")
    await scene.events.until("settled")
    await swept(scene, 2)
    assert [command.command_id for command in core.handled] == [TWO]


async def test_a_session_that_ends_meanwhile_keeps_no_other_facility_waiting(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.agent(SmallCore())
    core = SmallCore("beta")
    await scene.agent(core)
    await swept(scene, 1)
    monkeypatch.setattr(delivery, "SWEEP", NEVER)
    await swept(scene, 1)

    async def alpha_ends() -> None:
        scene.events.queue.before_sent = None
        await scene.kill(0)
        await scene.events.until("disconnected")

    scene.events.queue.before_sent = alpha_ends
    add(scene, ONE)
    add(scene, OTHER, facility_id="beta")
    scene.hub.wake(None)
    await scene.events.until("settled")
    assert settled(scene) == [OTHER]
    await scene.agent(SmallCore())
    await scene.events.until("settled", 2)
    assert settled(scene) == [OTHER, ONE]


async def test_a_facility_with_very_many_orders_keeps_no_other_waiting(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BATCH", 2)
    stuck = Desk()
    await scene.agent(stuck, terms=replace(DEFAULT, order_credits=1))
    await scene.agent(SmallCore("beta"))
    await swept(scene, 1)
    monkeypatch.setattr(delivery, "SWEEP", NEVER)
    await swept(scene, 1)
    add(scene, *(workspace(n) for n in range(9)))
    add(scene, OTHER, facility_id="beta")
    scene.hub.wake(None)
    await scene.events.until("settled")
    assert settled(scene) == [OTHER]
    assert stuck.taken == [workspace(0)]


async def test_an_agent_that_settles_nothing_gets_a_bounded_number(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_orders, "UNSETTLED", 3)
    monkeypatch.setattr(delivery, "SWEEP", OFTEN)
    core = SmallCore(held={"slow": asyncio.Event()})
    await scene.agent(core)
    await scene.agent(SmallCore("beta"))
    add(scene, *(workspace(n) for n in range(5)), title="slow")
    await eventually(lambda: len(core.handled) == 3)
    await swept(scene)
    assert len(core.handled) == 3
    core.held["slow"].set()
    await scene.events.until("settled", 5)
