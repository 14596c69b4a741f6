"""The service account's session at an ICAT: opened, renewed, ended, and told from a refusal."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from facility_agent.adapters.catalogue.icat_client import REQUEST_LINE, IcatClient
from facility_agent.adapters.http import Bounds, Upstream
from shared.errors import BackendError, BackendUnavailable, InvalidRequest
from tests.icat_dump import NOW, PASSWORD, SERVICE
from tests.standins.icat import Icat, build, passwords, serving

ALL = "SELECT u FROM User u"


@pytest.fixture
def world() -> Icat:
    made = Icat(
        authenticators={"simple": passwords("simple", {SERVICE: PASSWORD})}, root=frozenset({f"simple/{SERVICE}"})
    )
    made.clock = lambda: NOW
    for name in ("ann", "bob"):
        made.add("User", name=f"db/{name}")
    return made


def credentials() -> dict[str, str]:
    return {"username": SERVICE, "password": PASSWORD}


@pytest.fixture
async def address(world: Icat) -> AsyncIterator[str]:
    async with serving(build(world)) as base:
        yield f"{base}/icat"


@pytest.fixture
async def client(address: str) -> AsyncIterator[IcatClient]:
    made = IcatClient(Upstream(address, "catalogue"), "simple", credentials)
    yield made
    await made.close()


async def test_a_session_that_is_over_is_opened_anew_once(world: Icat, client: IcatClient) -> None:
    assert len(await client.query(ALL)) == 2
    (first,) = world.sessions
    world.sessions.clear()
    assert len(await client.query(ALL)) == 2
    (second,) = world.sessions
    assert first != second
    assert await client.user() == f"simple/{SERVICE}"


async def test_a_refusal_is_not_taken_for_a_session_that_is_over(world: Icat, client: IcatClient) -> None:
    with pytest.raises(BackendError) as refused:
        await client.query("SELECT u FROM Nothing u")
    assert "Nothing" not in refused.value.message
    assert len(world.sessions) == 1


async def test_a_wrong_password_or_an_authenticator_that_is_not_there_is_told(world: Icat, address: str) -> None:
    for plugin, given in (
        ("simple", {**credentials(), "password": "x"}), ("oidc", {"token": "x"}), ("simple", {"a": "b"}),
    ):  # fmt: skip
        client = IcatClient(Upstream(address, "catalogue"), plugin, lambda given=given: given)  # type: ignore[misc]
        with pytest.raises(BackendError):
            await client.query(ALL)
        await client.close()
    assert world.sessions == {}


async def test_a_password_file_that_cannot_be_read_is_an_outage_and_its_text_stays_there(
    world: Icat, address: str, tmp_path: Path
) -> None:
    def missing() -> dict[str, str]:
        return {"password": (tmp_path / "nothing").read_text()}

    client = IcatClient(Upstream(address, "catalogue"), "simple", missing)
    with pytest.raises(BackendUnavailable) as refused:
        await client.query(ALL)
    await client.close()
    assert str(tmp_path) not in refused.value.message
    assert world.sessions == {}


async def test_the_session_is_renewed_and_ended(world: Icat, address: str) -> None:
    now = [0.0]
    client = IcatClient(Upstream(address, "catalogue"), "simple", credentials, clock=lambda: now[0])
    await client.query(ALL)
    (session,) = world.sessions
    world.clock = lambda: NOW + timedelta(minutes=70)
    now[0] = 70 * 60.0
    await client.query(ALL)
    assert world.sessions == {session: (f"simple/{SERVICE}", NOW + timedelta(minutes=70) + world.life)}
    await client.close()
    assert world.sessions == {}


async def test_a_catalogue_that_is_away_is_told(world: Icat) -> None:
    async with serving(build(world)) as base:
        pass
    client = IcatClient(Upstream(f"{base}/icat", "catalogue", Bounds(seconds=2.0)), "simple", credentials)
    with pytest.raises(BackendUnavailable):
        await client.query(ALL)
    await client.close()


async def test_a_question_that_no_request_can_hold_is_refused_and_not_sent(
    world: Icat, client: IcatClient
) -> None:
    await client.query(ALL)
    before = len(world.asked)
    with pytest.raises(InvalidRequest):
        await client.query(f"SELECT u FROM User u WHERE u.name = '{'ä' * (REQUEST_LINE // 6)}'")
    assert len(world.asked) == before


async def test_neither_password_nor_session_is_in_an_error_or_a_log(
    world: Icat, client: IcatClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await client.query(ALL)
    (session,) = world.sessions
    world.authenticators["simple"] = passwords("simple", {SERVICE: "another"})
    world.sessions.clear()
    with pytest.raises(BackendError) as refused:
        await client.query(ALL)
    said = f"{caplog.text} {refused.value} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert PASSWORD not in said
    assert session not in said
    world.authenticators["simple"] = passwords("simple", {SERVICE: PASSWORD})
    session = await client.session()
    code, told = await client._ask("GET", f"/session/{session}x")
    assert (code, session in told["message"]) == ("SESSION", True), "so it must be taken out"
