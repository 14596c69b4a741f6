"""The stand-in of SciCat is as strict, and as surprising, as SciCat's source says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from tests.standins.scicat import SciCat, build, serving


@dataclass
class Door:
    world: SciCat
    base: str
    http: aiohttp.ClientSession

    async def ask(self, path: str, token: str = "", body: Any = None, **query: Any) -> tuple[int, Any]:
        given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in query.items()}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        method = "GET" if body is None else "POST"
        url = self.base + path + ("?" if given else "")
        async with self.http.request(method, url, params=given, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    def token(self, username: str, **more: Any) -> str:
        return self.world.token(next(u for u in self.world.users.values() if u.username == username), **more)

    async def pids(self, token: str, **asked: Any) -> list[str]:
        path = "/api/v4/datasets" if token else "/api/v4/datasets/public"
        status, rows = await self.ask(path, token, filter=asked)
        assert status == 200, rows
        return [row["pid"] for row in rows]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    world = SciCat()
    world.add_user("keeper", "admin", strategy="local", password="p")
    world.add_user("ann", "g-ann", "g-both")
    world.add_user("bob", "g-bob", "g-both")
    for n, (owner, groups, public) in enumerate(
        [("g-ann", [], False), ("g-bob", ["g-both"], False), ("g-x", [], True)]
    ):
        at = datetime(2024, 1, 1 + n, tzinfo=UTC)
        world.put("datasets", pid=f"20.1/{n}", datasetName=f"Run {n}", ownerGroup=owner, accessGroups=groups,
                  isPublished=public, startTime=at, createdAt=at, proposalIds=[f"P{n}"], size=n)  # fmt: skip
        world.put("blocks", datasetId=f"20.1/{n}", ownerGroup=owner, accessGroups=groups, isPublished=public,
                  dataFileList=[{"path": "a/b.h5", "size": 1, "time": at, "uid": "ann", "perm": "600"}])  # fmt: skip
        world.put("proposals", proposalId=f"P{n}", title=f"Title {n}", ownerGroup=owner, isPublished=public)
    async with serving(build(world)) as base, aiohttp.ClientSession() as http:
        yield Door(world, base, http)


async def test_each_sees_what_their_groups_see(door: Door) -> None:
    assert await door.pids(door.token("ann")) == ["20.1/2", "20.1/1", "20.1/0"]
    assert await door.pids(door.token("bob")) == ["20.1/2", "20.1/1"]
    assert await door.pids("") == ["20.1/2"]
    assert len(await door.pids(door.token("keeper"))) == 3
    assert await door.ask("/api/v4/datasets/count", door.token("bob")) == (200, {"count": 2})
    assert await door.ask("/api/v4/datasets/public/count") == (200, {"count": 1})
    for path, expected in (("20.1%2F0", 403), ("20.1%2F1", 200), ("20.1%2F9", 404)):
        assert (await door.ask(f"/api/v4/datasets/{path}", door.token("bob")))[0] == expected
    assert await door.ask("/api/v4/datasets/public/20.1%2F0") == (200, None), "nothing, and no error"
    status, blocks = await door.ask(
        "/api/v4/origdatablocks", door.token("bob"), filter={"where": {"datasetId": "20.1/0"}}
    )
    assert (status, blocks) == (200, [])


async def test_a_bad_token_is_nobodys(door: Door) -> None:
    old, forged = door.token("ann", expires_in=0), door.token("ann")[:-4] + "AAAA"
    revoked = door.token("ann")
    door.world.revoke_all()
    for token in (old, forged, revoked, "x", ""):
        assert (await door.ask("/api/v4/datasets", token))[0] == 403
        assert await door.ask("/api/v3/auth/whoami", token) == (200, None)
        status, proposals = await door.ask("/api/v3/proposals", token)
        assert (status, [p["proposalId"] for p in proposals]) == (200, ["P2"]), "silently what is public"


async def test_signing_in_and_minting(door: Door) -> None:
    status, refused = await door.ask("/api/v3/auth/login", body={"username": "keeper", "password": "no"})
    assert (status, refused) == (401, {"message": "Unauthorized", "statusCode": 401})
    status, given = await door.ask("/api/v3/auth/login", body={"username": "keeper", "password": "p"})
    assert (status, given["expires_in"]) == (201, 3600)
    keeper, ann = given["access_token"], next(u for u in door.world.users.values() if u.username == "ann")
    assert (await door.ask(f"/api/v3/users/{ann.id}/jwt", door.token("bob"), body={}))[0] == 403
    assert await door.ask("/api/v3/users/nobody/jwt", keeper, body={}) == (201, None)
    status, refused = await door.ask(f"/api/v3/users/{ann.id}/jwt", keeper, body={"expires": "1"})
    assert (status, refused["message"]) == (400, ["property expires should not exist"])
    status, minted = await door.ask(f"/api/v3/users/{ann.id}/jwt", keeper, body={"expiresIn": "600"})
    assert status == 201
    status, who = await door.ask("/api/v3/auth/whoami", minted["jwt"])
    assert (who["username"], who["currentGroups"]) == ("ann", ["g-ann", "g-both"])
    ann.groups.remove("g-ann")
    assert (await door.ask("/api/v3/auth/whoami", minted["jwt"]))[1]["currentGroups"] == ["g-both"], (
        "read at each use"
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"wher": {}, "x": 1}, "Property x should not exist in the filter object"),
        ({"where": {"$where": "sleep(1)"}}, "Property where.$where should not exist in the filter object"),
        ({"where": {"pid": {"$foo": 1}}}, "Property where.pid.$foo should not exist in the filter object"),
        ({"where": {"proposalIds.0": "P1"}}, "Property where.proposalIds.0 should not exist in the filter object"),
        ({"where": {"$and": [{"$where": "1"}]}}, "unknown top level operator: $where"),
        ({"where": {"$or": []}}, "$or argument must be a non-empty array"),
        ({"where": {"pid": {"$regex": "("}}}, "Regular expression is invalid"),
        ({"include": ["everything"]}, "Provided include field"),
        ({"limits": {"limit": -1}}, "invalid argument to $limit"),
    ],
)  # fmt: skip
async def test_what_is_refused(door: Door, asked: dict[str, Any], message: str) -> None:
    status, refused = await door.ask("/api/v4/datasets", door.token("ann"), filter=asked)
    assert (status, refused["error"]) == (400, "Bad Request")
    assert refused["message"].startswith(message)
    assert (await door.ask("/api/v4/datasets", door.token("ann"), filter="{"))[0] == 400


async def test_dates_are_sorted_by_and_not_compared(door: Door) -> None:
    ann = door.token("ann")
    assert await door.pids(ann, where={"startTime": {"$gte": "2000-01-01T00:00:00.000Z"}}) == []
    where = json.dumps({"where": {"startTime": {"$gte": "2024-01-02T00:00:00.000Z"}}})
    assert await door.ask("/api/v4/datasets/count", ann, filter=where) == (200, {"count": 2}), "counting does cast"
    by_time = {"limits": {"sort": {"startTime": "asc"}}}
    assert await door.pids(ann, **by_time) == ["20.1/0", "20.1/1", "20.1/2"]
    assert await door.pids(ann, fields=["pid"], **by_time) == ["20.1/0", "20.1/1", "20.1/2"]
    desc = {"limits": {"sort": {"startTime": "desc"}}}
    assert await door.pids(ann, fields=["pid"], **desc) == ["20.1/0", "20.1/1", "20.1/2"], (
        "not among fields: unsorted"
    )
    assert await door.pids(ann, fields=["pid", "startTime"], **desc) == ["20.1/2", "20.1/1", "20.1/0"]
    assert await door.pids(ann, limits={"skip": 1, "limit": 1, "sort": {"pid": "asc"}}) == ["20.1/1"]


async def test_what_matches(door: Door) -> None:
    ann = door.token("ann")
    for where, expected in (
        ({"proposalIds": {"$in": ["P1", "P2"]}}, {1, 2}),
        ({"proposalIds": "P1"}, {1}),
        ({"proposalIds": {"$nin": ["P1"]}}, {0, 2}),
        ({"datasetName": {"$regex": "^rUN [01]$", "$options": "i"}}, {0, 1}),
        ({"size": {"$gt": 0, "$lte": 1}}, {1}),
        ({"size": {"$gt": "0"}}, set()),
        ({"license": None}, {0, 1, 2}),
        ({"license": {"$exists": True}}, set()),
        ({"datasetlifecycle.retrievable": False}, {0, 1, 2}),
        ({"$or": [{"pid": "20.1/0"}, {"isPublished": True}]}, {0, 2}),
        ({"$nor": [{"pid": "20.1/0"}]}, {1, 2}),
        ({"pid": {"$gt": "20.1/0"}}, {1, 2}),
    ):  # fmt: skip
        assert set(await door.pids(ann, where=where)) == {f"20.1/{n}" for n in expected}, where


async def test_a_retrieval(door: Door) -> None:
    ann = door.token("ann")
    job = {
        "type": "retrieve",
        "ownerGroup": "g-ann",
        "jobParams": {"datasetList": [{"pid": "20.1/0", "files": []}]},
    }
    status, refused = await door.ask("/api/v4/jobs", ann, body=job)
    assert (status, "retrievable" in refused["message"]) == (400, True)
    door.world.datasets[0]["datasetlifecycle"]["retrievable"] = True
    assert (await door.ask("/api/v4/jobs", door.token("bob"), body={**job, "ownerGroup": "g-bob"}))[0] == 403
    assert (await door.ask("/api/v4/jobs", door.token("bob"), body=job))[0] == 400
    assert (await door.ask("/api/v4/jobs", ann, body={**job, "pids": []}))[0] == 400
    assert not door.world.jobs
    status, made = await door.ask("/api/v4/jobs", ann, body=job)
    assert (status, made["statusCode"]) == (201, "jobSubmitted")
    assert (await door.ask(f"/api/v4/jobs/{made['id']}", ann))[0] == 200
    assert (await door.ask(f"/api/v4/jobs/{made['id']}", door.token("bob")))[0] == 403
    assert (await door.ask("/api/v4/jobs/none", ann))[0] == 400


async def test_facets_and_relations(door: Door) -> None:
    status, facets = await door.ask("/api/v4/datasets/fullfacet", door.token("bob"), facets=["ownerGroup"])
    assert (status, facets[0]["all"]) == (200, [{"totalSets": 2}])
    assert {f["_id"]: f["count"] for f in facets[0]["ownerGroup"]} == {"g-bob": 1, "g-x": 1}
    status, rows = await door.ask("/api/v4/datasets/public", filter={"include": ["proposals", "origdatablocks"]})
    assert [p["proposalId"] for p in rows[0]["proposals"]] == ["P2"]
    assert rows[0]["origdatablocks"][0]["dataFileList"][0]["path"] == "a/b.h5"
