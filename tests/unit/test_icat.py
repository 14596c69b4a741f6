"""ICAT: the adapter shows each of a real ICAT's users exactly what that ICAT showed, and what is asked is data."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from facility_agent.adapters.catalogue.icat import Icat as Adapter
from facility_agent.adapters.catalogue.icat_client import IcatClient
from facility_agent.adapters.catalogue.icat_map import id_of, undigested
from facility_agent.adapters.catalogue.icat_rules import UNKNOWN_RULE, Rule, sources
from facility_agent.adapters.http import Upstream
from shared.catalogue import Dataset, ProposalQuery, SearchQuery, sort_key
from shared.commands import GetFiles
from shared.errors import AccessDenied, BackendError, InvalidRequest, NotFound
from tests.icat_dump import PASSWORD, SERVICE, USERS, recorded, served
from tests.icat_local import ANYONE, ENTITIES, Local, everything, local, searched
from tests.standins.icat import Icat, build, serving
from tests.standins.icat.rules import Rules

pytestmark = pytest.mark.needs("icat-data")


@pytest.fixture
def world() -> Icat:
    return served()


@pytest.fixture
async def client(world: Icat) -> AsyncIterator[IcatClient]:
    async with serving(build(world)) as address:
        made = IcatClient(
            Upstream(f"{address}/icat", "catalogue"), "simple", lambda: {"username": SERVICE, "password": PASSWORD}
        )
        yield made
        await made.close()


def readable(world: Icat, entity: str, user: str) -> set[int]:
    return Rules(world, user).searched(entity)


@pytest.mark.parametrize("user", USERS)
async def test_each_user_sees_the_recorded_numbers_through_the_adapter(client: IcatClient, user: str) -> None:
    adapter = Adapter(client, roots=frozenset({"simple/root"}))
    proposals, datasets, files = await everything(adapter, user)
    assert (len(set(proposals)), len({d.pid for d in datasets}), len(set(files))) == tuple(
        recorded(user)[entity] for entity in ENTITIES
    )
    assert [len(proposals), len(datasets), len(files)] == [len({*proposals}), len({*datasets}), len({*files})]
    assert datasets == sorted(datasets, key=sort_key)
    assert proposals == sorted(proposals)
    assert (await everything(adapter, user, limit=100))[1] == datasets


async def test_anyone_sees_what_is_published_and_nothing_else(world: Icat) -> None:
    _, datasets, files = await everything(local(world), ANYONE)
    assert ([d.title for d in datasets], len(files)) == (["pub-00027"], 1)
    assert [(d.is_open, d.proposal, d.sample) for d in datasets] == [(True, "", "")], (
        "its investigation is not open"
    )
    for query in (
        SearchQuery(proposals=("12100409-ST",)),
        SearchQuery(text="12100409-ST"),
        SearchQuery(text="NiO"),
        SearchQuery(sample="nickel"),
    ):
        assert (await local(world).search(query, ANYONE)).datasets == ()
    assert len((await local(world).search(SearchQuery(text="pub-"), ANYONE)).datasets) == 1
    open_ones = [d.title for d in (await everything(local(world), "db/nbour"))[1] if d.is_open]
    assert open_ones == ["pub-00027"], "what a member sees is not therefore open"


@pytest.mark.parametrize("seed", range(10))
async def test_a_rule_that_is_dropped_takes_its_rows_away(world: Icat, seed: int) -> None:
    chance = random.Random(seed)
    rules = world.rows["Rule"]
    about = [i for i, row in rules.items() if "R" in row["crudFlags"] and " Dataset o " in row["what"]]
    for number in chance.sample(about, chance.randint(1, len(about))):
        del rules[number]
    for user in USERS[1:]:
        found = await searched(local(world), user, SearchQuery(limit=100))
        assert {id_of(d.pid) for d in found} == readable(world, "Dataset", user)


@pytest.mark.parametrize("what", [
    "Dataset <-> Investigation [name='x']", "SELECT o FROM Dataset o WHERE o.name LIKE o.description",
    "SELECT o FROM Dataset o WHERE o.id IN (SELECT x.id FROM Dataset x)", "SELECT o FROM Dataset o, User u",
    "SELECT o FROM Dataset o WHERE", "SELECT o FROM Dataset o WHERE o.name = 'a' OR", "SELECT x FROM Dataset o",
    "SELECT o FROM Dataset o WHERE (o.name = 'a'", "SELECT o FROM Dataset o WHERE o.name = 'a') OR (o.id = 1",
    "SELECT o FROM Dataset o LEFT JOIN o.type AS t", "SELECT o FROM Dataset o WHERE NOT o.name",
    "SELECT o FROM Dataset o WHERE x.name = 'a'", "SELECT o FROM Dataset o WHERE o.name", "SELECT", "", "*",
    "SELECT o FROM Dataset o WHERE o.name IN ()", "SELECT o FROM Dataset o WHERE o.id BETWEEN 1", "SELECT o FROM Dataset o WHERE o.id = 1 + 1",
    "SELECT o FROM Dataset o WHERE o.name IN ('a', (SELECT x.name FROM Dataset x))", "SELECT o FROM Dataset o WHERE LENGTH(o.name) = 1",
    "SELECT o FROM Dataset o WHERE o.name = 'a", "SELECT o FROM Dataset o WHERE o.name = :other", "SELECT o FROM Dataset o WHERE o.datafiles IS",
    "SELECT o FROM Dataset o WHERE " + "(" * 5000 + "o.id = 1" + ")" * 5000, "SELECT o FROM Dataset o WHERE " + "NOT " * 5000 + "o.id = 1",
    "SELECT o FROM Dataset o WHERE LOWER(u.name) = 'a'", "SELECT o FROM Dataset o WHERE o.name = 'a' LIMIT 0, 1",
    "SELECT o FROM Dataset o JOIN o.type AS parasol1", "SELECT o FROM Dataset o WHERE o.name = 'a' ORDER BY o.id",
])  # fmt: skip
def test_a_rule_of_unknown_shape_is_refused(what: str) -> None:
    with pytest.raises(BackendError, match=UNKNOWN_RULE):
        sources([Rule(what, None)], "Dataset", "db/jdoe", frozenset())


@pytest.mark.parametrize("where", [
    "o.name LIKE 'e20%'", "o.name NOT LIKE 'e20%' AND o.complete = FALSE", "NOT o.name = 'e201215'", "NOT (o.id < 1 OR o.name = 'e201216')",
    "o.name IN ('e201215', 'it''s', 'pub-00027')", "o.name NOT IN ('e201215')", "o.startDate BETWEEN {ts 2010-01-01 00:00:00} AND CURRENT_TIMESTAMP",
    "LOWER(o.name) = 'e201215' OR UPPER(O.name) LIKE 'PUB%'", "o.sample IS NULL", "o.datasetInstruments IS EMPTY", "o.datafiles IS NOT EMPTY",
    "o.name LIKE 'e!_%' ESCAPE '!'", "o.fileSize > -1 AND o.fileSize < 100000.5", "o.name != 'e201215' AND (:user = 'db/jdoe' OR o.id = 1)",
    "o.investigation.name = '12100409-ST' and not o.name = ':user'", "o.name = 'a) OR (1 = 1'",
])  # fmt: skip
async def test_a_rule_of_many_shapes_shows_what_icat_shows(world: Icat, where: str) -> None:
    for number, row in list(world.rows["Rule"].items()):
        if row["what"].startswith("SELECT o FROM Dataset o"):
            del world.rows["Rule"][number]
    world.add("Rule", crudFlags="R", what=f"SELECT o FROM Dataset o WHERE {where}")
    for user in ("db/jdoe", ANYONE):
        found = await local(world).search(SearchQuery(limit=100), user)
        assert {id_of(each.pid) for each in found.datasets} == readable(world, "Dataset", user)


KNOWN_TO_ICAT_ALONE = [
    "SELECT o FROM Dataset o LEFT JOIN o.type t WHERE t.name = 'raw'",
    "Dataset <-> DatasetType [name=:user]",
]


@pytest.mark.parametrize("what", KNOWN_TO_ICAT_ALONE)
async def test_such_a_rule_shows_nothing_to_whom_it_applies_and_hinders_nobody_else(
    world: Icat, what: str
) -> None:
    rall = world.named("Grouping", "rall")
    world.add("Rule", crudFlags="R", what=what, grouping=rall)
    world.add("Rule", crudFlags="U", what=what)
    assert len((await local(world).search(SearchQuery(), "db/jdoe")).datasets) == 6
    world.add("UserGroup", grouping=rall, user=world.named("User", "db/jdoe"))
    for row in world.rows["Rule"].values():
        if row["what"] == "Dataset":
            row["crudFlags"] = "U"
    with pytest.raises(BackendError, match=UNKNOWN_RULE):
        await local(world).search(SearchQuery(), "db/jdoe")


async def test_a_service_account_that_may_not_see_everything_shows_nothing(world: Icat) -> None:
    """What it does not see would look as if it did not exist."""
    rules = world.rows["Rule"]
    for name in ("simple/nobody", "db/nbour", "db/acord"):
        with pytest.raises(BackendError, match="may not see all"):
            await Adapter(Local(world, name)).search(SearchQuery(), "db/jdoe")
    reader = world.add("User", name="simple/reader")
    world.add("UserGroup", grouping=world.named("Grouping", "rall"), user=reader)
    assert len((await Adapter(Local(world, "simple/reader")).search(SearchQuery(), "db/jdoe")).datasets) == 6
    (number,) = [
        n
        for n, row in rules.items()
        if row["what"] == "Datafile" and row.get("grouping") == world.named("Grouping", "rall")
    ]
    del rules[number]
    with pytest.raises(BackendError, match="may not see all"):
        await Adapter(Local(world, "simple/reader")).search(SearchQuery(), "db/jdoe")
    rules.clear()
    with pytest.raises(BackendError, match="may not see all"):
        await local(world).search(SearchQuery(), "db/jdoe")


class Loose(Local):
    """A service account of an ICAT whose database takes capital and small letters for the same."""

    async def query(self, text: str) -> list[Any]:
        return await super().query(text.replace("'db/JDoe'", "'db/jdoe'"))


async def test_a_name_that_differs_by_its_capitals_is_not_taken_for_somebody_elses(world: Icat) -> None:
    adapter = Adapter(Loose(world))
    (first, *_) = (await adapter.search(SearchQuery(), "db/jdoe")).datasets
    for ask in (
        adapter.search(SearchQuery(), "db/JDoe"), adapter.get(first.pid, "db/JDoe"), adapter.files(GetFiles(first.pid), "db/JDoe"),
        adapter.proposals(ProposalQuery(), "db/JDoe"),
    ):  # fmt: skip
        with pytest.raises(AccessDenied):
            await ask


STRANGE = ["'", "''", "\\", "\\'", "%", "_", "!", "!%", "' OR 1=1 OR '", "') OR (o.id > 0", ":user", "{o}", "{ts 2000-01-01 00:00:00}",
           "x' INCLUDE 1", "<script>alert(1)</script>", "\n", "🦄", "LIMIT 0, 1", "a'; DELETE FROM Dataset"]  # fmt: skip


@pytest.mark.parametrize("text", STRANGE)
async def test_strange_text_is_data(world: Icat, text: str) -> None:
    hidden = readable(world, "Dataset", "db/ahau") - readable(world, "Dataset", ANYONE)
    world.rows["Dataset"][min(hidden)]["name"] = f"<{text}>"
    adapter = local(world)
    whole = await searched(adapter, "db/ahau", SearchQuery(limit=100))
    expected = {each.pid for each in whole if all(word.lower() in _said(world, each) for word in text.split())}
    found = await adapter.search(SearchQuery(text=text), "db/ahau")
    assert {d.pid for d in found.datasets} == expected
    assert (await adapter.search(SearchQuery(proposals=(text,)), "db/ahau")).datasets == ()
    assert await adapter.search(SearchQuery(), text) == await adapter.search(SearchQuery(), ANYONE)
    with pytest.raises(NotFound):
        await adapter.get(text, "db/ahau")
    with pytest.raises(InvalidRequest):
        await adapter.search(SearchQuery(after=text), "db/ahau")


def _said(world: Icat, each: Dataset) -> str:
    """Everything of a dataset that is looked at; none of the strange texts is met across two of these."""
    row = world.rows["Dataset"][id_of(each.pid)]
    title = world.rows["Investigation"][row["investigation"]]["title"] if each.proposal else ""
    said = (
        each.title,
        each.proposal,
        each.definition,
        each.sample,
        each.instrument,
        title,
        row.get("description") or "",
    )
    return "\n\n".join(said).lower()


async def test_what_others_may_see_does_not_exist(world: Icat) -> None:
    adapter = local(world)
    theirs = readable(world, "Dataset", "db/nbour") - readable(world, "Dataset", "db/ahau")
    assert theirs
    for number in theirs:
        with pytest.raises(NotFound) as refused:
            await adapter.get(f"{number:012d}", "db/ahau")
        with pytest.raises(NotFound) as unknown:
            await adapter.get("000000999999", "db/ahau")
        assert refused.value.message == unknown.value.message
        with pytest.raises(NotFound):
            await adapter.files(GetFiles(f"{number:012d}"), "db/ahau")


async def test_each_field_narrows(world: Icat) -> None:
    adapter = local(world)
    all_of_it = (await everything(adapter, "db/nbour"))[1]
    middle = sorted(d.started for d in all_of_it if d.started is not None)[3]
    for query, keeps in (
        (SearchQuery(since=middle), lambda d: (d.started or 0) >= middle),
        (SearchQuery(until=middle), lambda d: d.started is not None and d.started <= middle),
        (SearchQuery(instruments=("HIKE",)), lambda d: d.instrument == "HIKE"),
        (SearchQuery(techniques=("PaNET01217",)), lambda d: "PaNET01217" in d.techniques),
        (SearchQuery(sample="durol"), lambda d: "Durol" in d.sample),
        (SearchQuery(proposals=("12100409-ST",)), lambda d: d.proposal == "12100409-ST"),
    ):
        found = (await adapter.search(query, "db/nbour")).datasets
        assert list(found) == [d for d in all_of_it if keeps(d)], query
        assert found, query


async def test_pages_hold_at_equal_times_at_parts_of_a_second_and_without_a_time(world: Icat) -> None:
    inv, kind = world.named("Investigation", "10100601-ST"), world.named("DatasetType", "raw")
    base = datetime(2010, 1, 1, tzinfo=UTC)
    for n in range(12):
        started = {"startDate": base + timedelta(milliseconds=250 * (n // 3))} if n < 9 else {}
        world.add("Dataset", name=f"more{n}", investigation=inv, type=kind, **started)
    whole = (await everything(local(world), "db/ahau", limit=100))[1]
    assert len(whole) == 16
    for limit in range(1, 6):
        assert (await everything(local(world), "db/ahau", limit=limit))[1] == whole


def test_a_location_loses_its_digest_and_nothing_else() -> None:
    assert undigested("/data/a b/c.nxs 1234567890abcdef1234567890abcdef") == "/data/a b/c.nxs"
    assert undigested("/data/a b/c d.nxs") == "/data/a b/c d.nxs"
