"""Both ends over real gRPC on loopback: answers, deadlines, loss, reconnection, and who is let in."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from central_portal.link import session
from central_portal.link.hub import HubMisconfigured
from central_portal.link.ports import SealedBody
from shared.catalogue import ArchiveState
from shared.commands import Verb
from shared.errors import DeadlineExceeded, FacilityUnavailable
from shared.facilities import Outcome
from shared.restores import DatasetReport
from shared.wire.facilities import decode_description
from shared.workspaces import WorkspaceState
from tests.certificates import self_signed
from tests.link_parts import BLANK, REPORT, SmallCore, eventually, search
from tests.link_scene import Scene, open_scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(tmp_path) as scene:
        yield scene


async def test_an_agent_connects_and_answers(scene: Scene) -> None:
    core = SmallCore()
    assert not scene.hub.links.online("alpha")
    link = await scene.agent(core)
    assert scene.hub.links.online("alpha")
    assert link.connected
    (connected,) = scene.events.of("connected")
    assert connected[1:] == ("alpha", 1, core.inventory())
    (hello,) = scene.enrolment.hellos
    assert decode_description(hello.description) == BLANK
    assert (hello.store_id, hello.boot_counter) == ("store", 1)
    assert await scene.ask("silver") == ["silver"]
    body = search().body
    await scene.hub.links.ask("alpha", Verb.SEARCH, SealedBody(body, "grant-1", b"m" * 32), 5.0)
    assert core.proofs == [("", b""), ("grant-1", b"m" * 32)]


async def test_many_answers_find_their_asks(scene: Scene) -> None:
    await scene.agent(SmallCore())
    names = [f"d{n}" for n in range(300)]
    assert await asyncio.gather(*(scene.ask(name) for name in names)) == [[name] for name in names]


async def test_a_refusal_is_an_answer_and_a_fault_costs_one_command(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.agent(SmallCore())
    refused = await scene.hub.links.ask("alpha", Verb.GET, SealedBody(b"\xff"), 5.0)
    assert refused.problem is not None
    assert (refused.outcome, refused.problem.reason) == (Outcome.FAILED, "INVALID_REQUEST")
    with caplog.at_level(logging.CRITICAL, "facility_agent"):
        broken = await scene.hub.links.ask("alpha", Verb.SEARCH, search("bug"), 5.0)
    assert broken.problem is not None
    assert (broken.outcome, broken.problem.reason) == (Outcome.FAILED, "INTERNAL")
    assert "path" not in broken.problem.message
    assert await scene.ask("after") == ["after"]


async def test_a_slow_facility_is_timed_out_and_its_late_answer_changes_nothing(scene: Scene) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await scene.agent(core)
    with pytest.raises(DeadlineExceeded):
        await scene.ask("slow", within=0.2)
    core.held["slow"].set()
    assert await scene.ask("quick") == ["quick"]
    assert await scene.ask("slow") == ["slow"]


async def test_a_query_is_given_up_in_time(scene: Scene) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await scene.agent(core)
    with pytest.raises(DeadlineExceeded):
        await scene.ask("slow", within=0.1)
    await eventually(lambda: len(core.cancelled) == 1)
    assert await scene.ask() == ["none"]


async def test_a_cancelled_ask_leaves_nothing_behind(scene: Scene) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await scene.agent(core)
    ask = asyncio.create_task(scene.ask("slow"))
    await eventually(lambda: bool(core.handled))
    ask.cancel()
    await asyncio.gather(ask, return_exceptions=True)
    core.held["slow"].set()
    assert await scene.ask("next") == ["next"]


async def test_an_agent_that_dies_fails_its_asks_and_comes_back(scene: Scene) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await scene.agent(core)
    asks = [asyncio.create_task(scene.ask("slow")) for _ in range(3)]
    await eventually(lambda: len(core.handled) == 3)
    await scene.kill()
    for result in await asyncio.gather(*asks, return_exceptions=True):
        assert isinstance(result, FacilityUnavailable)
    await scene.events.until("disconnected")
    assert not scene.hub.links.online("alpha")
    with pytest.raises(FacilityUnavailable):
        await scene.ask()
    await scene.agent(SmallCore())
    assert await scene.ask("again") == ["again"]
    assert [c[2] for c in scene.events.of("connected")] == [1, 2]


async def test_an_agent_finds_a_hub_that_comes_back(scene: Scene) -> None:
    changes: list[bool] = []
    link = await scene.agent(SmallCore())
    up = asyncio.Event()

    def note(connected: bool) -> None:
        changes.append(connected)
        up.set() if connected else None

    link.on_change = note
    port = scene.hub.port
    await scene.hub.stop()
    await scene.events.until("disconnected")
    scene.hub = scene.new_hub(f"127.0.0.1:{port}")
    await scene.hub.start()
    async with asyncio.timeout(20):
        await up.wait()
    assert changes == [False, True]
    assert await scene.ask("back") == ["back"]


async def test_the_newest_session_wins_and_the_old_one_ends_when_it_has_answered(scene: Scene) -> None:
    old = SmallCore(held={"slow": asyncio.Event(), "too slow": asyncio.Event()})
    await scene.agent(old, first_pause=30.0)
    ask, late = asyncio.create_task(scene.ask("slow")), asyncio.create_task(scene.ask("too slow"))
    await eventually(lambda: len(old.handled) == 2)
    new = SmallCore()
    await scene.agent(new)
    assert await scene.ask("who") == ["who"]
    assert [c.parameters.text for c in new.handled] == ["who"]  # type: ignore[union-attr]
    old.held["slow"].set()
    assert await ask == ["slow"]
    with pytest.raises(FacilityUnavailable):
        await late
    await scene.events.until("disconnected")
    order = [what[:3] for what in scene.events.seen]
    assert order == [("connected", "alpha", 1), ("connected", "alpha", 2), ("disconnected", "alpha", 1)]


async def test_a_planned_recycle_fails_no_command(scene: Scene) -> None:
    hub = scene.new_hub("127.0.0.1:0", session_age=0.2, drain=5.0)
    await hub.start()
    old, scene.hub = scene.hub, hub
    await scene.agent(SmallCore())
    asked = 0
    while len(scene.events.of("connected")) < 4:
        assert await scene.ask(f"d{asked}") == [f"d{asked}"]
        asked += 1
        if asked % 10 == 0:
            order_id = str(uuid.uuid4())
            scene.events.queue.add(order_id)
            hub.links.deliver("alpha")
    await eventually(lambda: not scene.events.queue.rows)
    assert len({settled[3] for settled in scene.events.of("settled")}) == asked // 10
    await scene.kill()
    await hub.stop()
    scene.hub = old


async def test_events_reach_the_centre_newest_last(scene: Scene) -> None:
    core = SmallCore()
    await scene.agent(core)
    core.tell(replace(BLANK, name="Alpha renewed"))
    core.tell(replace(REPORT, sequence=2, state=WorkspaceState.STOPPING))
    core.tell(replace(REPORT, sequence=3, state=WorkspaceState.ENDED))
    (described,) = await scene.events.until("described")
    assert described[2].name == "Alpha renewed"
    await eventually(lambda: [r[2].sequence for r in scene.events.of("reported")][-1:] == [3])
    assert scene.events.of("reported")[-1][2].state is WorkspaceState.ENDED


async def test_what_is_reported_while_the_database_is_away_is_kept_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "AGAIN", 0.02)
    core = SmallCore()
    await scene.agent(core)
    scene.events.failing = True
    core.tell(replace(REPORT, sequence=2, state=WorkspaceState.ENDED))
    await eventually(lambda: scene.events.refused >= 3)
    assert scene.events.of("reported") == []
    scene.events.failing = False
    (reported,) = await scene.events.until("reported")
    assert reported[2].state is WorkspaceState.ENDED
    assert await scene.ask("after") == ["after"]
    assert scene.events.of("disconnected") == []


async def test_an_agent_whose_inventory_is_not_kept_comes_again_with_it(scene: Scene) -> None:
    scene.events.failing = True
    core = SmallCore()
    link = scene.dial(core)
    await scene.events.until("disconnected", 2)
    assert not link.connected
    assert not scene.hub.links.online("alpha")
    scene.events.failing = False
    await eventually(lambda: link.connected)
    assert scene.events.of("connected")[-1][3] == core.inventory()


async def test_one_facility_does_not_disturb_another(scene: Scene) -> None:
    await scene.agent(SmallCore("alpha", held={"slow": asyncio.Event()}))
    await scene.agent(SmallCore("beta"))
    slow = asyncio.create_task(scene.ask("slow", "alpha"))
    assert await scene.ask("quick", "beta") == ["quick"]
    core = SmallCore("beta")
    answer = await scene.hub.links.ask("beta", Verb.SEARCH, search("x", "alpha"), 5.0)
    assert answer.outcome is Outcome.OK, "the core, not the link, checks the facility in the body"
    assert core.handled == []
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_tls_is_pinned_to_the_centres_ca(scene: Scene, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "hub")
    other, _ = self_signed(tmp_path / "other")
    plain, scene.hub = scene.hub, scene.new_hub("127.0.0.1:0", plaintext=False, certificate=certificate, key=key)
    await scene.hub.start()
    try:
        await scene.agent(SmallCore(), plaintext=False, ca_file=certificate)
        assert await scene.ask("sealed") == ["sealed"]
        await scene.kill()
        await scene.events.until("disconnected")
        for changes in ({"plaintext": False, "ca_file": other}, {}):
            link = scene.dial(SmallCore(), **changes)
            await eventually(lambda link=link: link.ending is not None)
            assert not link.connected
            await scene.kill()
        assert len(scene.events.of("connected")) == 1
    finally:
        await scene.hub.stop()
        scene.hub = plain


async def test_a_second_hub_on_the_port_is_refused(scene: Scene) -> None:
    with pytest.raises(HubMisconfigured, match="cannot listen"):
        await scene.new_hub(f"127.0.0.1:{scene.hub.port}").start()


async def test_a_hub_that_stops_answers_until_its_agents_have_left(scene: Scene) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    hub = scene.new_hub("127.0.0.1:0", drain=0.3)
    await hub.start()
    old, scene.hub = scene.hub, hub
    await scene.agent(core)
    ask = asyncio.create_task(scene.ask("slow"))
    await eventually(lambda: bool(core.handled))
    stopping = asyncio.create_task(hub.stop())
    assert await scene.ask("not too late") == ["not too late"]
    await eventually(lambda: not hub.links.online("alpha"))
    with pytest.raises(FacilityUnavailable):
        await scene.ask("too late")
    core.held["slow"].set()
    assert await ask == ["slow"]
    await stopping
    scene.hub = old


async def test_where_a_restored_dataset_is_reaches_the_centre(scene: Scene) -> None:
    core = SmallCore()
    await scene.agent(core)
    core.tell(DatasetReport("raw%2F1", ArchiveState.RESTORING))
    core.tell(DatasetReport("raw%2F1", ArchiveState.ONLINE))
    core.tell(DatasetReport("raw%2F2", ArchiveState.ARCHIVED))
    await eventually(lambda: {said[2].pid for said in scene.events.of("dataset")} == {"raw%2F1", "raw%2F2"})
    last = {said[2].pid: said[2].state for said in scene.events.of("dataset")}
    assert last == {"raw%2F1": ArchiveState.ONLINE, "raw%2F2": ArchiveState.ARCHIVED}
