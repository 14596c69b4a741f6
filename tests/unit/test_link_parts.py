"""The small rules of the link's owners: pauses, rates, and settings that are refused before anything opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from central_portal.link.bucket import Bucket
from central_portal.link.hub import Hub, HubMisconfigured, HubSettings
from facility_agent.link.backoff import Backoff
from facility_agent.link.client import AgentLink, LinkMisconfigured, LinkSettings
from tests.link_parts import Enrolment, MemoryQueue, Recorder, SmallCore

AGENT = LinkSettings("alpha", "127.0.0.1:1", "hub", Path("key"), "store", 1, plaintext=True)


def longest(low: float, high: float) -> float:
    assert low == 0.0
    return high


def test_pauses_double_up_to_the_cap_and_never_end() -> None:
    backoff = Backoff(0.25, 30.0, 60.0, longest)
    pauses = [backoff.pause(0.0) for _ in range(2000)]
    assert pauses[:8] == [0.25, 0.5, 1, 2, 4, 8, 16, 30]
    assert set(pauses[7:]) == {30.0}


def test_a_stable_session_makes_the_next_retry_quick_and_an_unstable_one_does_not() -> None:
    backoff = Backoff(0.25, 30.0, 60.0, longest)
    for _ in range(5):
        backoff.pause(0.0)
    assert backoff.pause(59.9) == 8.0
    assert backoff.pause(60.0) == 0.25


def test_jitter_is_full() -> None:
    backoff = Backoff(1.0, 30.0, 60.0)
    pauses = [backoff.pause(100.0) for _ in range(200)]
    assert min(pauses) < 0.2
    assert max(pauses) > 0.8
    assert all(0 <= pause <= 1 for pause in pauses)


def test_the_hubs_wish_is_followed_within_the_cap() -> None:
    backoff = Backoff(0.25, 30.0, 60.0, lambda _low, _high: 0.0)
    assert backoff.pause(0.0, asked=3.0) == 3.0
    assert backoff.pause(0.0, asked=1e9) == 30.0


def test_a_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    bucket = Bucket(rate=10.0, burst=5.0, now=0.0)
    assert bucket.take(5, 0.0) == 0.0
    assert bucket.take(1, 0.0) == pytest.approx(0.1)
    assert bucket.take(0, 100.0) == 0.0
    assert bucket.take(6, 100.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hub": "hub.example.org:7443"}, "this machine"),
        ({"hub": "10.0.0.1:7443"}, "this machine"),
        ({"hub": "localhost.example.org:7443"}, "this machine"),
        ({"plaintext": False}, "centre.ca_file"),
        ({"ca_file": Path("ca.pem")}, "centre.ca_file"),
        ({"hub": "nonsense"}, "host:port"),
        ({"hub": "127.0.0.1:0"}, "port"),
        ({"facility_id": "Not a slug"}, "slug"),
    ],
)
async def test_an_agent_refuses_before_it_connects(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    core = SmallCore()
    settings = replace(AGENT, key_file=tmp_path / "key", **changes)  # type: ignore[arg-type]
    with pytest.raises(LinkMisconfigured, match=says):
        await AgentLink(settings, core).run()
    assert not (tmp_path / "key").exists()
    assert core.listeners == []


async def test_an_agent_without_its_ca_file_says_so(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    settings = replace(AGENT, key_file=tmp_path / "key", plaintext=False, ca_file=missing)
    with pytest.raises(LinkMisconfigured, match=r"ca\.pem cannot be read"):
        await AgentLink(settings, SmallCore()).run()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (HubSettings("0.0.0.0:0", "hub", plaintext=True), "loopback only"),
        (HubSettings("[::]:0", "hub", plaintext=True), "loopback only"),
        (HubSettings("hub.example.org:0", "hub", plaintext=True), "loopback only"),
        (HubSettings("127.0.0.1:0", "hub"), "PARASOL_HUB_CERTIFICATE"),
        (HubSettings("127.0.0.1:0", "hub", certificate=Path("x")), "PARASOL_HUB_KEY"),
        (HubSettings("127.0.0.1:0", "hub", Path("x"), Path("y"), plaintext=True), "not both"),
        (HubSettings("127.0.0.1:0", "hub", Path("/missing"), Path("/missing")), "cannot be read"),
        (HubSettings("127.0.0.1:0", "", plaintext=True), "AUDIENCE"),
        (HubSettings("nonsense", "hub", plaintext=True), "host:port"),
    ],
)
async def test_a_hub_refuses_before_it_listens(settings: HubSettings, says: str) -> None:
    hub = Hub(settings, Enrolment(), Recorder(), MemoryQueue())
    with pytest.raises(HubMisconfigured, match=says):
        await hub.start()
    assert hub.port == 0
    await hub.stop()
