"""From a web process's `Links` to the hub that holds the session, over real gRPC: what is taken, refused, asked again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from central_portal.link.hub import Hub
from central_portal.link.ports import HubPlace, SealedBody, Whereabouts
from central_portal.link.relay import FACILITY, METHOD, RelayKey
from central_portal.link.relay_key import KeyFileRefused, load_or_make_key
from central_portal.link.relay_links import RelayLinks, RelaySettings
from central_portal.link.wakes_memory import MemoryWakes
from shared.catalogue import SearchPage
from shared.commands import Verb
from shared.errors import DeadlineExceeded, FacilityUnavailable, InvalidRequest
from shared.facilities import Outcome
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from tests.certificates import self_signed
from tests.link_parts import SmallCore, eventually, search
from tests.link_scene import Scene, open_scene
from tests.waiting import free_port

SECRET = b"k" * 32


@dataclass
class Map:
    """Where the facilities are, as the test says; a list is what each look says in turn."""

    at: dict[str, list[Whereabouts]] = field(default_factory=dict)
    looks: int = 0

    def place(self, facility_id: str) -> Whereabouts:
        known = self.at.get(facility_id) or [Whereabouts(None)]
        return known[0]

    async def look(self, facility_id: str) -> Whereabouts:
        self.looks += 1
        known = self.at.get(facility_id, [])
        if len(known) > 1:
            known.pop(0)
        return self.place(facility_id)


class World:
    """A hub that relays, an agent on it, and a web process's links."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.map = scene, Map()
        self.links = RelayLinks(RelaySettings(plaintext=True), RelayKey(SECRET), self.map, MemoryWakes())

    def is_at(self, *hubs: Hub | int | None, moving: bool = False) -> None:
        """Alpha is at the first, then as each next look says."""
        self.map.at["alpha"] = [
            Whereabouts(None, moving)
            if hub is None
            else Whereabouts(HubPlace("h", f"127.0.0.1:{hub if isinstance(hub, int) else hub.port}"))
            for hub in hubs
        ]

    async def ask(self, text: str = "x", within: float = 5.0) -> list[str]:
        answer = await self.links.ask("alpha", Verb.SEARCH, search(text), within)
        assert isinstance(answer.payload, SearchPage)
        return [dataset.pid for dataset in answer.payload.datasets]


class RelayScene(Scene):
    """A scene whose hubs relay."""

    def new_hub(self, listen: str, **changes: Any) -> Hub:
        plain = super().new_hub(listen, **changes)
        return Hub(plain._settings, self.enrolment, self.events, self.events.queue, relay_key=RelayKey(SECRET))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_scene(tmp_path, RelayScene) as scene:
        world = World(scene)
        world.is_at(scene.hub)
        yield world
        await world.links.close()


async def test_an_ask_is_answered_through_the_hub(world: World) -> None:
    core = SmallCore()
    await world.scene.agent(core)
    assert world.links.online("alpha")
    assert not world.links.online("beta")
    assert await world.ask("silver") == ["silver"]
    await world.links.ask("alpha", Verb.SEARCH, SealedBody(search().body, "grant-1", b"m" * 32), 5.0)
    assert core.proofs[-1] == ("grant-1", b"m" * 32)
    names = [f"d{n}" for n in range(200)]
    assert await asyncio.gather(*(world.ask(name) for name in names)) == [[name] for name in names]


async def test_a_refusal_by_the_facility_is_an_answer(world: World) -> None:
    await world.scene.agent(SmallCore())
    refused = await world.links.ask("alpha", Verb.GET, SealedBody(b"\xff"), 5.0)
    assert refused.problem is not None
    assert (refused.outcome, refused.problem.reason) == (Outcome.FAILED, "INVALID_REQUEST")


async def test_what_the_link_cannot_carry_is_the_same_error_as_beside_the_hub(world: World) -> None:
    await world.scene.agent(SmallCore())
    with pytest.raises(InvalidRequest):
        await world.links.ask("alpha", Verb.SEARCH, SealedBody(b"x" * 3_000_000), 5.0)
    with pytest.raises(InvalidRequest):
        await world.links.ask("alpha", Verb.SEARCH, search(), 601.0)
    assert await world.ask() == ["x"]


async def test_the_deadline_travels_and_a_cancelled_ask_is_forgotten(world: World) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await world.scene.agent(core)
    with pytest.raises(DeadlineExceeded):
        await world.ask("slow", within=0.3)
    await eventually(lambda: len(core.cancelled) == 1)
    ask = asyncio.create_task(world.ask("slow", within=30.0))
    await eventually(lambda: len(core.handled) == 2)
    session = world.scene.hub._sessions["alpha"]
    ask.cancel()
    await asyncio.gather(ask, return_exceptions=True)
    await eventually(lambda: not session.under_way())
    core.held["slow"].set()


async def test_a_facility_that_moved_is_asked_where_it_is(world: World) -> None:
    other = world.scene.new_hub("127.0.0.1:0")
    await other.start()
    await world.scene.agent(SmallCore())
    world.is_at(other, other, world.scene.hub)
    assert await world.ask("moved") == ["moved"]
    assert world.map.looks == 2
    await other.stop()


async def test_a_hub_that_is_gone_is_left_for_another(world: World) -> None:
    await world.scene.agent(SmallCore())
    world.is_at(free_port(), world.scene.hub)
    assert await world.ask("found") == ["found"]


async def test_a_facility_between_two_hubs_is_waited_for(world: World) -> None:
    await world.scene.agent(SmallCore())
    world.is_at(None, None, None, world.scene.hub, moving=True)
    assert not world.links.online("alpha")
    assert await world.ask("back") == ["back"]


async def test_a_facility_that_is_nowhere_is_unavailable_at_once(world: World) -> None:
    world.is_at(None)
    started = time.monotonic()
    with pytest.raises(FacilityUnavailable):
        await world.ask()
    with pytest.raises(FacilityUnavailable):
        await world.links.ask("unknown", Verb.SEARCH, search(), 5.0)
    assert time.monotonic() - started < 0.5


async def test_one_that_never_arrives_is_given_up_in_time(world: World) -> None:
    started = time.monotonic()
    with pytest.raises(FacilityUnavailable):
        await world.ask(within=0.6)
    assert 0.5 < time.monotonic() - started < 2.0
    assert world.map.looks > 2


async def test_what_a_hub_had_taken_when_it_died_is_not_asked_again(world: World) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await world.scene.agent(core)
    ask = asyncio.create_task(world.ask("slow"))
    await eventually(lambda: bool(core.handled))
    for server in world.scene.hub._servers:
        await server.stop(grace=0)
    with pytest.raises(FacilityUnavailable):
        await ask
    assert len(core.handled) == 1


async def test_an_overtaken_session_answers_what_is_under_way_and_takes_no_more(world: World) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await world.scene.agent(core, first_pause=30.0)
    hub = world.scene.hub
    ask = asyncio.create_task(world.ask("slow"))
    await eventually(lambda: bool(core.handled))
    hub.overtaken("alpha", 1)
    assert hub.links.online("alpha"), "that is its own epoch"
    hub.overtaken("alpha", 2)
    with pytest.raises(FacilityUnavailable):
        await world.ask("more", within=0.1)
    core.held["slow"].set()
    assert await ask == ["slow"]
    await world.scene.events.until("disconnected")
    assert world.scene.enrolment.closed == [("alpha", 1, "SUPERSEDED")]


async def test_a_quarantined_session_is_cut_at_once(world: World) -> None:
    core = SmallCore(held={"slow": asyncio.Event()})
    await world.scene.agent(core, first_pause=30.0)
    ask = asyncio.create_task(world.ask("slow"))
    await eventually(lambda: bool(core.handled))
    world.scene.hub.overtaken("alpha", 2, at_once=True)
    with pytest.raises(FacilityUnavailable):
        await ask


def signed(secret: bytes, **changes: Any) -> str:
    claims = {"aud": "parasol-relay", "iat": int(time.time()), "exp": int(time.time()) + 60, **changes}
    return jwt.encode(
        {"alg": "HS256"}, {k: v for k, v in claims.items() if v is not None}, OctKey.import_key(secret)
    )


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x.y.z",
        signed(b"another key of thirty-two bytes!"),
        signed(SECRET, aud="parasol-hub"),
        signed(SECRET, iat=int(time.time()) - 300, exp=int(time.time()) - 240),
        signed(SECRET, exp=int(time.time()) + 86_400),
        signed(SECRET, exp=None),
        signed(SECRET, iat="now"),
    ],
    ids=["none", "garbage", "other-key", "other-audience", "expired", "too-long", "endless", "no-number"],
)
async def test_nobody_without_the_key_asks(world: World, token: str) -> None:
    core = SmallCore()
    await world.scene.agent(core)
    message = pb.Command(body=search().body, timeout_ms=1000).SerializeToString()
    metadata = (("authorization", f"Bearer {token}"), (FACILITY, "alpha"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.scene.hub.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(METHOD)(message, metadata=metadata)  # type: ignore[call-arg]
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert core.handled == []


async def test_a_wrong_key_is_no_offline_facility_forever_retried(world: World) -> None:
    core = SmallCore()
    await world.scene.agent(core)
    stranger = RelayLinks(RelaySettings(plaintext=True), RelayKey(b"z" * 32), world.map, MemoryWakes())
    with pytest.raises(FacilityUnavailable):
        await stranger.ask("alpha", Verb.SEARCH, search(), 5.0)
    await stranger.close()
    assert (world.map.looks, core.handled) == (0, [])


async def test_a_command_that_is_none_is_refused(world: World) -> None:
    core = SmallCore()
    await world.scene.agent(core)
    metadata = (("authorization", f"Bearer {RelayKey(SECRET).token()}"), (FACILITY, "alpha"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.scene.hub.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(METHOD)(b"\xff" * 64, metadata=metadata)  # type: ignore[call-arg]
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert core.handled == []


async def test_a_hub_without_the_key_relays_nothing(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        world = World(scene)
        await scene.agent(SmallCore())
        world.is_at(scene.hub)
        with pytest.raises(FacilityUnavailable):
            await world.ask()
        await world.links.close()


async def test_under_tls_the_hub_is_known_by_its_certificate(world: World, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path / "hub")
    other, _ = self_signed(tmp_path / "other")
    plain, scene = world.scene.hub, world.scene
    scene.hub = scene.new_hub("127.0.0.1:0", plaintext=False, certificate=certificate, key=key)
    await scene.hub.start()
    world.is_at(scene.hub)
    try:
        await scene.agent(SmallCore(), plaintext=False, ca_file=certificate)
        for roots, trusted in ((certificate, True), (other, False)):
            links = RelayLinks(RelaySettings(roots=roots.read_bytes()), RelayKey(SECRET), world.map, MemoryWakes())
            if trusted:
                assert (await links.ask("alpha", Verb.SEARCH, search(), 5.0)).outcome is Outcome.OK
            else:
                with pytest.raises(FacilityUnavailable):
                    await links.ask("alpha", Verb.SEARCH, search(), 0.5)
            await links.close()
        await scene.kill()
        await scene.events.until("disconnected")
    finally:
        await scene.hub.stop()
        scene.hub = plain


async def test_without_tls_no_other_machine_is_asked(world: World) -> None:
    world.map.at["alpha"] = [Whereabouts(HubPlace("h", "192.0.2.1:7443"))]
    with pytest.raises(FacilityUnavailable, match="on this machine only"):
        await world.ask()


def test_the_key_is_made_once_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "relay.key"
    with pytest.raises(KeyFileRefused, match="cannot be read"):
        load_or_make_key(file, make=False)
    assert not file.exists()
    key = load_or_make_key(file, make=True)
    assert (len(key), file.stat().st_mode & 0o777) == (32, 0o600)
    assert load_or_make_key(file, make=True) == key
    assert [path.name for path in tmp_path.iterdir()] == ["relay.key"]
    file.chmod(0o640)
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        load_or_make_key(file, make=True)
    for text, why in (("abcd", "too short"), ("not hex " * 10, "no hexadecimal"), ("é" * 64, "no hexadecimal")):
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(KeyFileRefused, match=why):
            load_or_make_key(file, make=False)
