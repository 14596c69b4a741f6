"""Agents that lie, flood, freeze or replay: each is refused or cut off, nothing happens, nobody else notices."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from facility_agent.link.token import signed_token
from shared.commands import Verb
from shared.errors import FacilityUnavailable
from shared.facilities import Outcome
from shared.link.terms import Terms
from shared.wire.events import encode_event
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.raw import pieces
from tests.link_parts import BLANK, REPORT, SmallCore, search
from tests.link_scene import Scene, ending, frame, good_token, hello, open_scene, raw_stream, shake_hands

QUICK = Terms(heartbeat_every=0.1, dead_after=0.5, hello_deadline=2.0)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(tmp_path) as scene:
        yield scene


async def test_a_silent_agent_is_declared_dead(scene: Scene) -> None:
    hub = scene.new_hub("127.0.0.1:0", terms=QUICK)
    await hub.start()
    try:
        async with raw_stream(scene, good_token(scene), hub) as call:
            assert await shake_hands(call) == 1
            assert hub.links.online("alpha")
            with pytest.raises(FacilityUnavailable):
                await hub.links.ask("alpha", Verb.SEARCH, search(), 5.0)
            await scene.events.until("disconnected")
            assert not hub.links.online("alpha")
    finally:
        await hub.stop()


async def test_who_says_no_hello_is_sent_away(scene: Scene) -> None:
    hub = scene.new_hub("127.0.0.1:0", terms=replace(QUICK, hello_deadline=0.2))
    await hub.start()
    try:
        async with raw_stream(scene, good_token(scene), hub) as call:
            await ending(call)
        assert scene.events.seen == []
    finally:
        await hub.stop()


def other_key(scene: Scene) -> str:

    scene.settings()
    return signed_token(Ed25519PrivateKey.generate(), "alpha", "hub", time.time())


def other_audience(scene: Scene) -> str:

    scene.settings()
    return signed_token(scene.enrolment.keys["alpha"], "alpha", "another", time.time())


def expired(scene: Scene) -> str:

    scene.settings()
    return signed_token(scene.enrolment.keys["alpha"], "alpha", "hub", time.time() - 300)


def unknown_facility(scene: Scene) -> str:

    return signed_token(Ed25519PrivateKey.generate(), "gamma", "hub", time.time())


@pytest.mark.parametrize(
    "make", [other_key, other_audience, expired, unknown_facility, lambda _: "rubbish", lambda _: None]
)
async def test_a_bad_token_opens_nothing(scene: Scene, make: Callable[[Scene], str | None]) -> None:
    async with raw_stream(scene, make(scene)) as call:
        assert await ending(call) is grpc.StatusCode.UNAUTHENTICATED
        assert await call.details() == "The token was refused.", "the same sentence for every cause"
    assert scene.events.seen == []
    assert scene.enrolment.epochs == {}


async def test_a_registry_that_fails_lets_nobody_in_and_tells_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(facility_id: str) -> None:
        raise OSError(f"no database at /var/lib/central for {facility_id}")

    token = good_token(scene)
    scene.enrolment.key_of = broken  # type: ignore[method-assign]
    with caplog.at_level(logging.CRITICAL, "central_portal"):
        async with raw_stream(scene, token) as call:
            assert await ending(call) is grpc.StatusCode.UNAUTHENTICATED
            assert await call.details() == "The token was refused."
    assert scene.events.seen == []


async def test_a_token_opens_one_session_only(scene: Scene) -> None:
    token = good_token(scene)
    async with raw_stream(scene, token) as first:
        assert await shake_hands(first) == 1
        async with raw_stream(scene, token) as second:
            assert await ending(second) is grpc.StatusCode.UNAUTHENTICATED
        assert scene.hub.links.online("alpha"), "the replay has not cut the true session"
    assert len(scene.events.of("connected")) == 1


@pytest.mark.parametrize(("name", "described_as"), [("beta", None), ("alpha", "beta")])
async def test_an_agent_cannot_speak_for_another(scene: Scene, name: str, described_as: str | None) -> None:
    async with raw_stream(scene, good_token(scene, "alpha")) as call:
        await call.write(hello(name, described_as))
        await ending(call)
    assert scene.events.seen == []
    assert scene.enrolment.epochs == {}


async def test_an_agent_cannot_describe_another(scene: Scene) -> None:
    async with raw_stream(scene, good_token(scene)) as call:
        epoch = await shake_hands(call)
        _, foreign = encode_event(replace(BLANK, facility_id="beta"))
        _, own = encode_event(REPORT)
        await call.write(frame(*(pb.AgentEnvelope(epoch=epoch, event=event) for event in (foreign, own))))
        await scene.events.until("reported")
        assert scene.events.of("described") == []


async def test_a_huge_message_costs_the_sender_its_stream_alone(scene: Scene) -> None:
    await scene.agent(SmallCore("beta"))
    async with raw_stream(scene, good_token(scene)) as call:
        await shake_hands(call)
        await call.write(b"\x0a" + b"x" * 20_000_000)
        await ending(call)
    await scene.events.until("disconnected")
    assert await scene.ask("fine", "beta") == ["fine"]


async def test_a_million_envelopes_cost_the_sender_its_stream_alone(scene: Scene) -> None:
    await scene.agent(SmallCore("beta"))
    async with raw_stream(scene, good_token(scene)) as call:
        await shake_hands(call)
        await call.write(b"\x0a\x00" * 1_000_000)
        await ending(call)
    await scene.events.until("disconnected")
    assert await scene.ask("fine", "beta") == ["fine"]


async def test_a_flood_of_events_is_read_slowly_and_harms_nobody_else(scene: Scene) -> None:
    hub = scene.new_hub("127.0.0.1:0", events_per_second=50.0, events_at_once=100.0)
    await hub.start()
    old, scene.hub = scene.hub, hub
    try:
        await scene.agent(SmallCore("beta"))
        async with raw_stream(scene, good_token(scene), hub) as call:
            epoch = await shake_hands(call)
            _, event = encode_event(REPORT)
            flood = frame(*(pb.AgentEnvelope(epoch=epoch, event=event) for _ in range(60)))

            async def pour() -> None:
                for _ in range(5000):
                    await call.write(flood)

            pouring = asyncio.create_task(pour())
            await scene.events.until("reported", 100)
            for n in range(20):
                assert await scene.ask(f"fine{n}", "beta", 2.0) == [f"fine{n}"]
            assert len(scene.events.of("reported")) < 1000, "far less than was poured"
            pouring.cancel()
            await asyncio.gather(pouring, return_exceptions=True)
    finally:
        while scene.tasks:
            await scene.kill()
        await hub.stop()
        scene.hub = old


async def test_who_never_reads_has_its_asks_time_out_and_bounded_memory(scene: Scene) -> None:
    await scene.agent(SmallCore("beta"))
    async with raw_stream(scene, good_token(scene)) as call:
        await shake_hands(call)
        asks = (scene.hub.links.ask("alpha", Verb.SEARCH, search("x"), 0.3) for _ in range(3000))
        results = await asyncio.gather(*asks, return_exceptions=True)
        kinds = {type(result).__name__ for result in results}
        assert kinds == {"DeadlineExceeded", "RateLimited"}
        assert await scene.ask("fine", "beta") == ["fine"]


async def test_answers_to_nobodys_question_change_nothing(scene: Scene) -> None:
    async with raw_stream(scene, good_token(scene)) as call:
        epoch = await shake_hands(call)
        wrong = [pb.AgentEnvelope(epoch=epoch, result=pb.Result(ticket=n, outcome="OK")) for n in range(60)]
        stale = pb.AgentEnvelope(epoch=epoch - 1, result=pb.Result(ticket=1, outcome="OK"))
        ask = asyncio.create_task(scene.hub.links.ask("alpha", Verb.SEARCH, search(), 5.0))
        (piece,) = pieces(await call.read(), 1, 1)
        ticket = pb.CentreEnvelope.FromString(piece).command.ticket
        others = [envelope for envelope in wrong if envelope.result.ticket != ticket]
        right = pb.Result(ticket=ticket, outcome="DENIED", problem=pb.Problem(reason="PROPOSAL_DENIED"))
        await call.write(frame(*others, stale, pb.AgentEnvelope(epoch=epoch, result=right)))
        assert (await ask).outcome is Outcome.DENIED
