"""Harvesting the mirror through GraphQL: in the order of changes, with tombstones, exact totals and the mirror's age."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.catalogue import Changes
from tests.integration.test_mirror import apply, dataset, fresh, in_db

pytestmark = pytest.mark.usefixtures("database")
HARVEST = "query($f: [ID!], $s: DateTime, $first: Int, $after: String){openDatasets(facilities:$f, updatedSince:$s, first:$first, after:$after){edges{id isGone changedAt node{title}} pageInfo{hasNextPage endCursor} totalCount mirrors{facility{slug} ageSeconds isComplete}}}"


class Harvester:
    """Keeps what it reads, page by page."""

    def __init__(self, portal: Any, *slugs: str) -> None:
        self.portal, self.chosen = portal, [f"Facility:{slug}" for slug in slugs]
        self.rows, self.cursor, self.total = dict[str, str](), None, 0

    async def harvest(self, first: int) -> int:
        """Read to the end; how many entries came."""
        came = 0
        while True:
            page = (await self.portal.ask(HARVEST, {"f": self.chosen, "first": first, "after": self.cursor}))[
                "data"
            ]
            page = page["openDatasets"]
            assert len(page["edges"]) <= first
            for edge in page["edges"]:
                came += 1
                if edge["isGone"]:
                    assert edge["node"] is None
                    self.rows.pop(edge["id"], None)
                else:
                    self.rows[edge["id"]] = edge["node"]["title"]
            self.cursor, self.total = page["pageInfo"]["endCursor"], page["totalCount"]
            if not page["pageInfo"]["hasNextPage"]:
                return came


def portal(*slugs: str) -> Any:
    from tests.integration.portal import Portal

    return Portal(slugs=slugs)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are told at once: here nobody writes beside the reader."""
    monkeypatch.setattr("central_portal.mirror.store.SETTLED", -1.0)


async def test_a_harvester_that_goes_on_from_its_cursor_has_what_is_open() -> None:
    one, two = sorted((fresh(), fresh()))
    harvester, chance, tokens = Harvester(portal(one, two), one, two), random.Random(7), {one: "", two: ""}
    here: dict[str, str] = {}
    for turn in range(20):
        slug, pid, title = chance.choice([one, two]), chance.choice("abcdef"), f"t{turn}"
        goes = chance.random() < 0.4
        token = f"x:{turn}"
        changes = Changes(
            () if goes else (dataset(pid, title),), gone_datasets=(pid,) if goes else (), token=token,
            restart=not tokens[slug],
        )  # fmt: skip
        assert await in_db(apply, slug, tokens[slug], changes)
        tokens[slug] = token
        if goes:
            here.pop(f"Dataset:{slug}:{pid}", None)
        else:
            here[f"Dataset:{slug}:{pid}"] = title
        if chance.random() < 0.5:
            await harvester.harvest(chance.randint(1, 4))
            assert harvester.rows == here
            assert harvester.total == len(here)
    await harvester.harvest(2)
    assert harvester.rows == here
    assert await harvester.harvest(2) == 0, "nothing comes twice"


async def test_updated_since_and_facilities_narrow() -> None:
    one, two = sorted((fresh(), fresh()))
    centre = portal(one, two)
    for slug in (one, two):
        await in_db(apply, slug, "", Changes((dataset("a"), dataset("b")), token="t:1", restart=True, age=5.0))
    await in_db(apply, one, "t:1", Changes((dataset("c"),), gone_datasets=("a",), token="t:2"))
    found = (await centre.ask(HARVEST, {"f": [f"Facility:{one}"]}))["data"]["openDatasets"]
    ids = {e["id"].rpartition(":")[2]: e for e in found["edges"]}
    assert {pid: e["isGone"] for pid, e in ids.items()} == {"a": True, "b": False, "c": False}
    assert found["totalCount"] == 2
    (mirror,) = found["mirrors"]
    assert mirror["facility"]["slug"] == one
    assert mirror["isComplete"]
    assert 0 <= mirror["ageSeconds"] < 60
    far = (await centre.ask(HARVEST, {"s": "2999-01-01T00:00:00Z"}))["data"]["openDatasets"]
    assert (far["edges"], far["totalCount"]) == ([], 0)
    never = (await portal(fresh()).ask(HARVEST, {}))["data"]["openDatasets"]
    assert [(m["ageSeconds"], m["isComplete"]) for m in never["mirrors"]] == [(None, False)]


async def test_what_might_be_overtaken_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change with an earlier time may still be committed: a cursor past it would miss it."""
    slug = fresh()
    harvester = Harvester(portal(slug), slug)
    await in_db(apply, slug, "", Changes((dataset("a"),), token="t:1", restart=True))
    monkeypatch.setattr("central_portal.mirror.store.SETTLED", 3600.0)
    assert await harvester.harvest(10) == 0
    assert harvester.cursor is None
    monkeypatch.setattr("central_portal.mirror.store.SETTLED", -1.0)
    assert await harvester.harvest(10) == 1


@pytest.mark.parametrize(
    "wrong", [{"first": 0}, {"first": 101}, {"after": "x"}, {"after": "W10="}, {"after": "WzEsMV0="}]
)
async def test_bad_pages_are_refused(wrong: dict[str, Any]) -> None:
    found = await portal(fresh()).ask(HARVEST, wrong)
    assert found["errors"][0]["extensions"]["code"] == "INVALID_REQUEST"


async def test_asking_costs_no_facility_anything() -> None:
    slug = fresh()
    centre = portal(slug)

    async def asked(*_: Any) -> Any:
        raise AssertionError("a facility was asked")

    await centre.connect(slug, asked)
    await in_db(apply, slug, "", Changes((dataset("a"),), token="t:1", restart=True))
    for _ in range(100):
        found = await centre.ask(HARVEST, {})
        assert found["data"]["openDatasets"]["totalCount"] == 1
    assert centre.agents.asked == []
