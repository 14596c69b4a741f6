"""The stand-in of ICAT shows what a real ICAT showed, and is as strict as ICAT's source says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.icat_door import Door, door
from tests.icat_dump import USERS, recorded
from tests.icat_tokens import token

__all__ = ["door"]
pytestmark = pytest.mark.needs("icat-data")


@pytest.mark.parametrize("user", USERS)
async def test_each_sees_as_many_rows_as_a_real_icat_showed(door: Door, user: str) -> None:
    expected = recorded(user)
    assert len(expected) == 53
    assert {each: (await door.find(f"SELECT COUNT(o) FROM {each} o", user))[0] for each in expected} == expected
    for entity in ("Investigation", "Dataset", "Datafile"):
        rows = await door.find(f"SELECT o FROM {entity} o", user)
        assert len({row[entity]["id"] for row in rows}) == len(rows) == expected[entity]


async def test_nobody_in_particular_sees_what_is_public_alone(door: Door) -> None:
    _, body = await door.login("anon")
    session = body["sessionId"]
    seen = {}
    for entity in ("Investigation", "Dataset", "Datafile", "InvestigationUser", "Rule", "Instrument"):
        asked = f"SELECT COUNT(o) FROM {entity} o"
        seen[entity] = (await door.ask("GET", "/icat/entityManager", sessionId=session, query=asked))[1][0]
    assert seen == {
        "Investigation": 0, "Dataset": 1, "Datafile": 1, "InvestigationUser": 0, "Rule": 0, "Instrument": 3,
    }, "the published dataset and its file, and the instruments"  # fmt: skip


async def test_version_and_properties(door: Door) -> None:
    assert await door.ask("GET", "/icat/version") == (200, {"version": "6.2.0"})
    status, body = await door.ask("GET", "/icat/properties")
    assert (status, body["maxEntities"], body["lifetimeMinutes"]) == (200, 10000, 120)
    assert {each["mnemonic"]: each["keys"] for each in body["authenticators"]} == {
        "db": [{"name": "username"}, {"name": "password", "hide": True}],
        "simple": [{"name": "username"}, {"name": "password", "hide": True}],
        "anon": [],
        "oidc": [{"name": "token", "hide": True}],
    }


async def test_a_session_lives_is_refreshed_expires_and_ends(door: Door) -> None:
    session, start = await door.enter("db/jdoe"), door.world.clock()
    path = f"/icat/session/{session}"
    assert await door.ask("GET", path) == (200, {"userName": "db/jdoe", "remainingMinutes": 120.0})
    door.world.clock = lambda: start + timedelta(minutes=90)
    assert (await door.ask("GET", path))[1]["remainingMinutes"] == 30.0
    assert await door.ask("PUT", path) == (204, None)
    door.world.clock = lambda: start + timedelta(minutes=209)
    assert (await door.ask("GET", path))[1]["remainingMinutes"] == 1.0
    door.world.clock = lambda: start + timedelta(minutes=210)
    gone = {"code": "SESSION", "message": f"Unable to find user by sessionid: {session}"}
    for method in ("GET", "PUT", "DELETE"):
        assert await door.ask(method, path) == (403, gone)
    asked = {"sessionId": session, "query": "SELECT o FROM Facility o"}
    assert await door.ask("GET", "/icat/entityManager", **asked) == (403, gone)
    door.world.clock = lambda: start
    assert await door.ask("DELETE", path) == (204, None)
    assert await door.ask("GET", path) == (403, gone)


async def test_a_token_is_somebody_and_wrong_credentials_are_nobody(door: Door) -> None:
    _, body = await door.login("oidc", token=token(door.world, "db/jdoe"))
    assert (await door.ask("GET", f"/icat/session/{body['sessionId']}"))[1]["userName"] == "db/jdoe"
    before = len(door.world.sessions)
    for plugin, given in (
        ("db", {"username": "jdoe", "password": "x"}),
        ("db", {"username": "nobody", "password": "x"}),
        ("db", {"username": "jdoe"}),
        ("db", {"username": "jdoe", "password": ""}),
        ("oidc", {"token": "x"}),
        ("ldap", {"username": "jdoe", "password": "jdoe"}),
    ):
        status, body = await door.login(plugin, **given)
        assert (status, body["code"]) == (403, "SESSION"), (plugin, given)
    for text, expected in (
        ("{", (500, "INTERNAL")),
        ("[]", (400, "BAD_PARAMETER")),
        ('{"plugin":"db","credentials":{"username":"jdoe","password":"jdoe"}}', (400, "BAD_PARAMETER")),
        ('{"plugin":"db","credentials":[{"username":"jdoe","password":"jdoe"}]}', (400, "BAD_PARAMETER")),
        ('{"plugin":"db","credentials":[{"username":"jdoe"},{"password":1}]}', (400, "BAD_PARAMETER")),
        ('{"plugin":"db","credentials":[],"more":1}', (400, "BAD_PARAMETER")),
    ):
        status, body = await door.ask("POST", "/icat/session", {"json": text})
        assert (status, body["code"]) == expected, text
    assert len(door.world.sessions) == before


async def test_what_is_no_call_of_icat_is_refused(door: Door) -> None:
    session = await door.enter("db/nbour")
    query = "SELECT o FROM Facility o"
    for method, path, given, expected in (
        ("GET", "/icat/entityManager", {"sessionId": session}, (400, "BAD_PARAMETER")),
        ("GET", "/icat/entityManager", {"query": query}, (403, "SESSION")),
        ("GET", "/icat/entityManager", {"sessionId": "x", "query": query}, (403, "SESSION")),
        ("GET", "/icat/entityManager", {"sessionId": session, "query": query, "q": "1"}, (400, "BAD_PARAMETER")),
        (
            "GET",
            "/icat/entityManager",
            {"sessionId": session, "query": query, "id": "1"},
            (501, "NOT_IMPLEMENTED"),
        ),
        ("GET", "/icat/version", {"x": "1"}, (400, "BAD_PARAMETER")),
        ("GET", "/icat/nothing", {}, (501, "NOT_IMPLEMENTED")),
        ("POST", "/icat/entityManager", {}, (500, "INTERNAL")),
        ("POST", "/icat/session", {}, (500, "INTERNAL")),
    ):
        status, body = await door.ask(method, path, **given)
        assert (status, body["code"]) == expected, (method, path, given)
    assert door.world.asked == []
