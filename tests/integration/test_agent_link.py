"""The agent's link with its real core and store, against a small hub over gRPC on loopback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facility_agent.link.client import AgentLink, LinkSettings
from facility_agent.link.stream import open_stream
from shared.catalogue import SearchQuery
from shared.commands import Stop, Verb
from shared.link.outputs import Ending
from shared.link.pump import StreamLost
from shared.link.terms import DEFAULT
from shared.wire.commands import encode_body
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.workspaces import WorkspaceInventory, WorkspaceState
from tests.agent_parts import LAUNCH, Agent, Facility, answer_of, until, workspace
from tests.link_parts import REPORT, SmallCore, eventually
from tests.small_hub import SmallHub
from tests.waiting import free_port

TERMS = replace(DEFAULT, heartbeat_every=0.2, dead_after=2.0)
W1, W2 = workspace(1), workspace(2)


class Scene:
    """A hub, a facility, and the link between them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facility, self.hub = Facility(folder), SmallHub(TERMS)
        self.tasks: list[asyncio.Task[None]] = []
        self.changes: list[bool] = []

    def settings(self, **changes: Any) -> LinkSettings:
        mine = LinkSettings(
            "alpha", f"127.0.0.1:{self.hub.port}", "hub", self.folder / "agent.key", "store", 1, plaintext=True,
            first_pause=0.02, longest_pause=0.2, refused_pause=0.2, terms=TERMS,
        )  # fmt: skip
        return replace(mine, **changes)

    async def agent(self, **changes: Any) -> tuple[Agent, AgentLink]:
        """A fresh agent, connected."""
        agent = await self.facility.agent()
        await agent.linked("ada")
        agent.watch()
        link = self.dial(AgentLink(self.settings(**changes), agent.core, desk=agent.orders))
        await eventually(lambda: link.connected)
        return agent, link

    def dial(self, link: AgentLink) -> AgentLink:
        link.on_change = self.changes.append
        self.tasks.append(asyncio.create_task(link.run()))
        return link

    async def hang_up(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path)
    await scene.hub.start()
    yield scene
    await scene.hang_up()
    await scene.facility.close()
    await scene.hub.stop()


def search(text: str = "", verb: Verb = Verb.SEARCH) -> bytes:
    return encode_body("alpha", "q-1", verb, SearchQuery(text=text), 1)


# --- orders


async def test_an_order_is_accepted_settled_and_acknowledged(scene: Scene) -> None:
    agent, _ = await scene.agent()
    asked = scene.facility.order(W1, LAUNCH)
    session = scene.hub.newest
    session.order(asked)
    await eventually(lambda: W1 in session.results)
    assert session.accepted == [W1]
    answer = answer_of(asked, session.results[W1].SerializeToString())
    assert answer.payload is not None
    assert answer.payload.state is WorkspaceState.STARTING  # type: ignore[union-attr]

    async def acknowledged() -> bool:
        return not await agent.orders.waiting(None, 1)

    await until(acknowledged)
    assert session.end.order_room == TERMS.order_credits
    assert scene.facility.scheduler.started == [W1]


async def test_a_result_is_sent_in_each_session_until_it_is_acknowledged(scene: Scene) -> None:
    scene.hub.acknowledges = False
    agent, _ = await scene.agent()
    scene.hub.newest.order(scene.facility.order(W1, LAUNCH))
    await eventually(lambda: W1 in scene.hub.newest.results)
    for _ in range(2):
        before = len(scene.hub.sessions)
        scene.hub.newest.pump.close(Ending.STOPPED, "the hub restarts")
        await eventually(lambda n=before: len(scene.hub.sessions) > n and W1 in scene.hub.newest.results)
    scene.hub.acknowledges = True
    scene.hub.newest.pump.close(Ending.STOPPED, "the hub restarts")

    async def acknowledged() -> bool:
        return not await agent.orders.waiting(None, 1)

    await until(acknowledged)
    scene.hub.newest.pump.close(Ending.STOPPED, "the hub restarts")
    count = len(scene.hub.sessions)
    await eventually(lambda: len(scene.hub.sessions) > count and scene.hub.newest.end.ready)
    scene.hub.newest.order(scene.facility.order(W2, LAUNCH))
    await eventually(lambda: W2 in scene.hub.newest.results)
    assert W1 not in scene.hub.newest.results
    await eventually(lambda: scene.facility.scheduler.started == [W1, W2])


async def test_an_order_delivered_again_in_a_later_session_is_answered_from_the_store(scene: Scene) -> None:
    scene.hub.acknowledges = False
    await scene.agent()
    asked = scene.facility.order(W1, LAUNCH)
    scene.hub.newest.order(asked)
    await eventually(lambda: W1 in scene.hub.newest.results)
    first = scene.hub.newest.results[W1]
    scene.hub.newest.pump.close(Ending.STOPPED, "the hub restarts")
    await eventually(lambda: len(scene.hub.sessions) == 2 and scene.hub.newest.end.ready)
    scene.hub.newest.order(asked)
    await eventually(lambda: scene.hub.newest.end.order_room == TERMS.order_credits)
    await eventually(lambda: W1 in scene.hub.newest.results)
    assert scene.hub.newest.results[W1] == first
    assert scene.facility.scheduler.started == [W1]


async def test_what_was_done_while_the_hub_was_away_is_told_when_it_is_back(scene: Scene) -> None:
    scene.facility.scheduler.down = True
    agent = await scene.facility.agent()
    await agent.linked("ada")
    link = scene.dial(AgentLink(scene.settings(), agent.core, desk=agent.orders))
    await eventually(lambda: link.connected)
    await agent.store.transact(lambda tx: tx.accept_order(_accepted(scene.facility)))
    scene.facility.scheduler.down = False
    agent.watch()
    await eventually(lambda: W1 in scene.hub.newest.results)
    assert scene.facility.scheduler.started == [W1]


def _accepted(facility: Facility) -> Any:
    from facility_agent.core.grants import order_hash
    from facility_agent.ports.store import OrderRow
    from tests.agent_parts import ADA

    asked = facility.order(W1, LAUNCH)
    key = order_hash(asked.body, asked.grant_id, asked.mac)
    return OrderRow(W1, asked.grant_id, key, Verb.LAUNCH, ADA, 1, asked.body, b"", facility.now)


async def test_more_results_than_the_hub_takes_wait_for_its_acknowledgements(scene: Scene) -> None:
    scene.hub.terms = replace(TERMS, result_credits=2)
    scene.hub.acknowledges = False
    await scene.agent()
    names = [f"stop-{n}" for n in range(7)]
    for name in names:
        scene.hub.newest.order(scene.facility.order(name, Stop(W1), expires_in=None))
    hub = scene.hub.newest
    await eventually(lambda: len(hub.results) == 2 and len(hub.accepted) == 7)
    for done in range(5):
        assert len(hub.results) == 2 + done, "no more than it takes"
        hub.acknowledge(list(hub.results)[done])
        await eventually(lambda n=done: len(hub.results) == 3 + n)
    assert sorted(hub.results) == names


async def test_a_refusal_is_sent_and_stored_nowhere(scene: Scene) -> None:
    agent, _ = await scene.agent()
    scene.hub.newest.order(replace(scene.facility.order(W1, LAUNCH), mac=b"x" * 32))
    await eventually(lambda: W1 in scene.hub.newest.results)
    assert scene.hub.newest.results[W1].problem.reason == "SIGN_IN_NEEDED"
    assert scene.hub.newest.accepted == []
    assert await agent.store.transact(lambda tx: tx.order(W1)) is None


async def test_a_disk_that_fails_refuses_orders_and_leaves_the_link_and_queries_alone(scene: Scene) -> None:
    agent, link = await scene.agent()
    path = scene.folder / "agent.sqlite3"
    path.rename(scene.folder / "away")
    scene.hub.newest.order(scene.facility.order(W1, LAUNCH))
    await eventually(lambda: W1 in scene.hub.newest.results)
    problem = scene.hub.newest.results[W1].problem
    assert (problem.reason, problem.retryable) == ("BACKEND_UNAVAILABLE", True)
    assert agent.store.fault
    ticket = scene.hub.newest.ask(search())
    await eventually(lambda: ticket in scene.hub.newest.answers)
    assert scene.hub.newest.answers[ticket].outcome == "OK"
    (scene.folder / "away").rename(path)
    scene.hub.newest.order(scene.facility.order(W2, LAUNCH))
    await eventually(lambda: W2 in scene.hub.newest.results)
    assert scene.hub.newest.results[W2].outcome == "OK"
    assert (link.connected, agent.store.fault) == (True, "")


# --- sessions


async def test_the_next_session_is_open_before_the_drained_one_ends(scene: Scene) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    link = scene.dial(AgentLink(scene.settings(), core, desk=core))
    await eventually(lambda: link.connected)
    first = scene.hub.newest
    ticket = first.ask(search("slow"))
    await eventually(lambda: bool(core.handled))
    first.drain(deadline_s=20.0)
    await eventually(lambda: len(scene.hub.open()) == 1 and scene.hub.newest is not first, 5)
    await eventually(lambda: first.drained)
    assert link.connected
    assert first.closed is None
    core.held["slow"].set()
    await eventually(lambda: ticket in first.answers)
    await eventually(lambda: first.closed is not None)
    assert scene.changes == [True], "never offline"
    assert scene.hub.newest.hello.previous_ending == "DRAINED"
    assert link.status().epoch == scene.hub.newest.epoch == 2


async def test_what_happens_as_the_next_hello_is_said_is_told_in_the_next_session(scene: Scene) -> None:
    class Busy(SmallCore):
        """Something happens right after its inventory was taken."""

        def inventory(self) -> WorkspaceInventory:
            asyncio.get_running_loop().call_soon(self.tell, REPORT)
            return super().inventory()

    core = Busy()
    link = scene.dial(AgentLink(scene.settings(), core, desk=core))
    await eventually(lambda: link.connected)
    first = scene.hub.newest
    first.drain(deadline_s=20.0)
    await eventually(lambda: len(scene.hub.open()) == 1 and scene.hub.newest is not first, 5)
    await eventually(lambda: len(scene.hub.newest.events) == 1)


async def test_a_drain_to_a_hub_that_is_not_there_keeps_the_old_session(scene: Scene) -> None:
    core = SmallCore()
    link = scene.dial(AgentLink(scene.settings(), core, desk=core))
    await eventually(lambda: link.connected)
    first = scene.hub.newest
    scene.hub.refusal = Ending.STOPPED
    first.drain(deadline_s=20.0)
    await eventually(lambda: len(scene.hub.sessions) >= 4)
    ticket = first.ask(search("still"))
    await eventually(lambda: ticket in first.answers)
    scene.hub.refusal = None
    await eventually(lambda: first.closed is not None)
    assert scene.changes == [True]


async def test_a_newer_certificate_opens_the_next_session_first(scene: Scene) -> None:
    core = SmallCore()
    link = scene.dial(AgentLink(scene.settings(), core, desk=core))
    await eventually(lambda: link.connected)
    link.renewed()
    await eventually(lambda: len(scene.hub.sessions) == 2 and scene.hub.sessions[0].closed is not None)
    assert scene.changes == [True]
    assert scene.hub.newest.end.ready


async def test_any_hub_of_the_list_will_do(scene: Scene) -> None:
    core = SmallCore()
    hubs = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{scene.hub.port}", f"127.0.0.1:{free_port()}")
    link = scene.dial(AgentLink(scene.settings(hub=hubs), core, desk=core))
    await eventually(lambda: link.connected)
    assert link.status().hub == f"127.0.0.1:{scene.hub.port}"


async def test_who_is_refused_says_so_once_and_asks_less_often(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.hub.refusal = Ending.QUARANTINED
    core = SmallCore()
    link = scene.dial(AgentLink(scene.settings(refused_pause=60.0), core, desk=core))
    await eventually(lambda: len(scene.hub.sessions) >= 4)
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "QUARANTINED" in said[0].getMessage()
    assert "Release it at the centre." in said[0].getMessage()
    status = link.status()
    assert (status.ending, status.ending_message) == ("QUARANTINED", "Release it at the centre.")
    assert status.connected_since is None
    scene.hub.refusal = None
    await eventually(lambda: link.connected)
    assert scene.hub.newest.hello.previous_ending == "REFUSED"


async def test_the_epoch_is_stored_before_anything_is_done_and_an_older_one_is_left(scene: Scene) -> None:
    agent, _ = await scene.agent()
    assert await agent.orders.raise_floor(0) == 1
    await scene.hang_up()
    await agent.die()
    scene.hub.epochs = lambda: 1  # a hub that woke up
    agent = await scene.facility.agent()
    link = scene.dial(AgentLink(scene.settings(), agent.core, desk=agent.orders))
    await eventually(lambda: link.ending is not None)
    assert link.ending is not None
    assert link.ending.ending is Ending.STALE_EPOCH
    assert not link.connected
    scene.hub.epochs = lambda: 5
    await eventually(lambda: link.connected)
    assert await agent.orders.raise_floor(0) == 5


async def test_hello_tells_how_the_last_session_ended_and_what_runs(scene: Scene) -> None:
    await scene.agent()
    assert scene.hub.newest.hello.previous_ending == ""
    scene.hub.newest.pump.close(Ending.STOPPED, "the hub restarts")
    await eventually(lambda: len(scene.hub.sessions) == 2 and scene.hub.newest.end.ready)
    assert scene.hub.newest.hello.previous_ending == "LOST"
    assert scene.hub.newest.hello.order_credits == TERMS.order_credits


async def test_heartbeats_measure_the_round_trip(scene: Scene) -> None:
    _, link = await scene.agent()
    await eventually(lambda: link.status().round_trip is not None)
    trip = link.status().round_trip
    assert trip is not None
    assert 0 <= trip < 2


# --- large answers


class LargeCore(SmallCore):
    """Answers with a megabyte."""

    async def handle(self, *asked: Any) -> Any:
        answer = await super().handle(*asked)
        page = answer.payload
        return replace(answer, payload=replace(page, datasets=page.datasets * 20_000))


async def test_a_large_answer_goes_beside_the_stream_in_pieces(scene: Scene) -> None:
    core = LargeCore()
    link = scene.dial(AgentLink(scene.settings(), core, desk=core))
    await eventually(lambda: link.connected)
    session = scene.hub.newest
    ticket = session.ask(search("large"))
    await eventually(lambda: (f"s-{session.epoch}", ticket) in scene.hub.bulk)
    pieces, data = scene.hub.bulk[f"s-{session.epoch}", ticket]
    result = pb.Result.FromString(data)
    assert (result.ticket, result.outcome) == (ticket, "OK")
    assert len(data) > 512 * 1024
    assert pieces == -(-len(data) // (64 * 1024))
    assert session.answers == {}
    again = session.ask(search("large"))
    await eventually(lambda: (f"s-{session.epoch}", again) in scene.hub.bulk)


async def test_a_hub_without_bulk_gets_it_by_the_stream(scene: Scene) -> None:
    await scene.hub.stop()
    scene.hub.takes_bulk = False
    await scene.hub.start()
    core = LargeCore()
    link = scene.dial(AgentLink(scene.settings(), core, desk=core))
    await eventually(lambda: link.connected)
    ticket = scene.hub.newest.ask(search("large"))
    await eventually(lambda: ticket in scene.hub.newest.answers)
    assert scene.hub.newest.answers[ticket].outcome == "OK"


async def test_a_word_after_the_end_of_a_stream_is_a_lost_stream(scene: Scene) -> None:
    async with open_stream(f"127.0.0.1:{scene.hub.port}", None, ()) as stream:
        await stream.finish()
        with pytest.raises(StreamLost):
            await stream.write(b"half closed")
        while await stream.read() is not None:
            pass
        with pytest.raises(StreamLost):
            await stream.write(b"ended")
        await stream.finish()
