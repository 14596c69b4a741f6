"""ICAT: the stand-in shows what the real ICAT showed, and the adapter shows each user exactly that."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from facility_agent.adapters.catalogue.folders import Folders
from facility_agent.adapters.catalogue.icat import Icat as Adapter
from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.adapters.catalogue.icat_client import IcatClient
from facility_agent.adapters.catalogue.icat_map import id_of, undigested
from facility_agent.adapters.catalogue.icat_rules import UNKNOWN_RULE, Rule, sources
from facility_agent.adapters.http import Bounds, Upstream
from facility_agent.ports.catalogue import STRANGER, Reader
from facility_agent.ports.directory import Account
from shared.catalogue import Dataset, ProposalQuery, SearchQuery, sort_key
from shared.commands import GetFiles
from shared.errors import BackendError, BackendUnavailable, InvalidRequest, NotFound
from tests.components import missing, path_of
from tests.standins.icat.app import answered, build
from tests.standins.icat.jpql import Refused
from tests.standins.icat.oracle import ENTITIES, visible
from tests.standins.icat.rules import readable
from tests.standins.icat.world import USER, Icat, load
from tests.standins.serving import serving

pytestmark = pytest.mark.skipif(missing("icat-data") is not None, reason=f"needs {missing('icat-data')}")
RECORDED = ["simple/root", "db/acord", "db/ahau", "db/jbotu", "db/jdoe", "db/nbour", "db/rbeck"]


def recorded(user: str) -> dict[str, int]:
    """What the real ICAT showed this user, as python-icat's tests have it."""
    suffix = "" if user == "simple/root" else "." + user.partition("/")[2]
    lines = (Path(path_of("icat-data")).parent / f"summary-6.2{suffix}").read_text().splitlines()
    assert lines[0] == f"User: {user}"
    counts = dict(line.split(":") for line in lines[1:] if ":" in line)
    return {name.strip(): int(count) for name, count in counts.items()}


@pytest.fixture
def world() -> Icat:
    return load(Path(path_of("icat-data")))


@pytest.fixture
async def client(world: Icat) -> AsyncIterator[IcatClient]:
    async with serving(build(world)) as address:
        made = IcatClient(Upstream(f"{address}/icat", "catalogue"), "simple", service())
        yield made
        await made.close()


def service() -> dict[str, str]:
    return {"username": USER, "password": "service-word"}


def local(world: Icat) -> Adapter:
    """The adapter over the stand-in's query engine, without HTTP."""

    async def ask(text: str) -> list[object]:
        return answered(world, text, f"simple/{USER}")

    return Adapter(ask, roots=frozenset({"simple/root"}))


async def everything(adapter: Adapter, user: str, limit: int = 2) -> tuple[list[str], list[Dataset], list[str]]:
    """Proposals, datasets and files that following `next` finds."""
    proposals, datasets, files = list[str](), list[Dataset](), list[str]()
    asked = ProposalQuery(limit=limit)
    while True:
        page = await adapter.proposals(asked, user)
        proposals += [each.pid for each in page.proposals]
        if not page.next:
            break
        asked = replace(asked, after=page.next)
    query = SearchQuery(limit=limit)
    while True:
        found = await adapter.search(query, user)
        datasets += found.datasets
        if not found.next:
            break
        query = replace(query, after=found.next)
    for dataset in datasets:
        wanted = GetFiles(dataset.pid, limit)
        while True:
            part = await adapter.files(wanted, user)
            files += [f"{dataset.pid}/{each.path}" for each in part.files]
            if not part.next:
                break
            wanted = replace(wanted, after=part.next)
    return proposals, datasets, files


@pytest.mark.parametrize("user", RECORDED)
def test_the_stand_in_shows_what_the_real_icat_showed(world: Icat, user: str) -> None:
    for entity in ENTITIES:
        assert len(readable(world, entity, user)) == recorded(user)[entity] == len(visible(world, user)[entity])


@pytest.mark.parametrize("user", RECORDED)
async def test_each_user_sees_the_recorded_numbers_through_the_adapter(client: IcatClient, user: str) -> None:
    adapter = Adapter(client.query, roots=frozenset({"simple/root"}))
    proposals, datasets, files = await everything(adapter, user)
    assert (len(set(proposals)), len({d.pid for d in datasets}), len(set(files))) == tuple(
        recorded(user)[entity] for entity in ENTITIES
    )
    assert [len(proposals), len(datasets), len(files)] == [len({*proposals}), len({*datasets}), len({*files})]
    assert datasets == sorted(datasets, key=sort_key)
    assert proposals == sorted(proposals)
    assert (await everything(adapter, user, limit=100))[1] == datasets


async def test_anyone_sees_what_is_published_and_nothing_else(world: Icat) -> None:
    _, datasets, files = await everything(local(world), "anon/anon")
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
        assert (await local(world).search(query, "anon/anon")).datasets == ()
    assert len((await local(world).search(SearchQuery(text="pub-"), "anon/anon")).datasets) == 1
    open_ones = [d.title for d in (await everything(local(world), "db/nbour"))[1] if d.is_open]
    assert open_ones == ["pub-00027"], "what a member sees is not therefore open"


def edit(world: Icat, chance: random.Random) -> None:
    """One change that an operator could make."""
    t = world.rows
    pick = chance.choice
    kind = chance.randrange(7)
    if kind == 0 and t["UserGroup"]:
        pick(list(t["UserGroup"].values()))["user"] = pick(list(t["User"]))
    elif kind == 1:
        grouping = pick(list(t["Grouping"]))
        t["UserGroup"] = {i: row for i, row in t["UserGroup"].items() if row["grouping"] != grouping}
    elif kind == 2:
        away = timedelta(days=chance.choice([-1, 1]))
        pick(list(t["DataPublication"].values()))["publicationDate"] = world.now + away
    elif kind == 3:
        pick(list(t["Investigation"].values()))["releaseDate"] = world.now + timedelta(days=chance.choice([-1, 1]))
    elif kind == 4:
        world.add("UserGroup", grouping=pick(list(t["Grouping"])), user=pick(list(t["User"])))
    elif kind == 5:
        pick(list(t["Dataset"].values()))["investigation"] = pick(list(t["Investigation"]))
    elif t["InstrumentScientist"]:
        pick(list(t["InstrumentScientist"].values()))["user"] = pick(list(t["User"]))


@pytest.mark.parametrize("seed", range(200))
async def test_after_any_edits_each_user_sees_what_the_oracle_says(world: Icat, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        edit(world, chance)
    user = chance.choice([row["name"] for row in world.rows["User"].values()] + ["anon/anon"])
    seen = visible(world, user)
    proposals, datasets, files = await everything(local(world), user, limit=3)
    named = {world.rows["Investigation"][i]["name"] for i in seen["Investigation"]}
    assert set(proposals) == named
    assert {id_of(d.pid) for d in datasets} == seen["Dataset"]
    reachable = [i for i in seen["Datafile"] if world.rows["Datafile"][i]["dataset"] in seen["Dataset"]]
    assert len(files) == len(set(files)) == len(reachable)
    assert {id_of(d.pid) for d in datasets if d.is_open} == seen["Dataset"] & visible(world, "anon/anon")[
        "Dataset"
    ]
    for entity in ENTITIES:
        assert readable(world, entity, user) == seen[entity]


@pytest.mark.parametrize("seed", range(20))
async def test_a_rule_that_is_dropped_takes_its_rows_away(world: Icat, seed: int) -> None:
    chance = random.Random(seed)
    rules = world.rows["Rule"]
    about = [i for i, row in rules.items() if "R" in row["crudFlags"] and " Dataset o " in row["what"]]
    for number in chance.sample(about, chance.randint(1, len(about))):
        del rules[number]
    for user in RECORDED[1:]:
        found = (await everything(local(world), user))[1]
        assert {id_of(d.pid) for d in found} == readable(world, "Dataset", user)


@pytest.mark.parametrize("what", [
    "Dataset <-> Investigation [name='x']", "SELECT o FROM Dataset o WHERE o.name LIKE '%'",
    "SELECT o FROM Dataset o WHERE o.id IN (SELECT x.id FROM Dataset x)", "SELECT o FROM Dataset o, User u",
    "SELECT o FROM Dataset o WHERE", "SELECT o FROM Dataset o WHERE o.name = 'a' OR", "SELECT x FROM Dataset o",
    "SELECT o FROM Dataset o WHERE (o.name = 'a'", "SELECT o FROM Dataset o WHERE o.name = 'a') OR (o.id = 1",
    "SELECT o FROM Dataset o LEFT JOIN o.type AS t", "SELECT o FROM Dataset o WHERE NOT o.name = 'a'",
    "SELECT o FROM Dataset o WHERE x.name = 'a'", "SELECT o FROM Dataset o WHERE o.name", "SELECT", "", "*",
    "SELECT o FROM Dataset o JOIN o.type AS parasol1", "SELECT o FROM Dataset o WHERE o.name = 'a' ORDER BY o.id",
])  # fmt: skip
async def test_a_rule_of_unknown_shape_refuses_and_shows_nothing(world: Icat, what: str) -> None:
    with pytest.raises(BackendError, match=UNKNOWN_RULE):
        sources([Rule(what, None)], "Dataset", "db/jdoe", frozenset())
    world.add("Rule", crudFlags="R", what=what)
    with pytest.raises(BackendError, match=UNKNOWN_RULE):
        await local(world).search(SearchQuery(), "db/jdoe")


async def test_an_unknown_rule_of_somebody_else_refuses_nobody(world: Icat) -> None:
    world.add(
        "Rule",
        crudFlags="R",
        what="Dataset <-> Investigation [name='x']",
        grouping=world.named("Grouping", "rall"),
    )
    world.add("Rule", crudFlags="U", what="Dataset <-> Investigation [name='x']")
    assert len((await local(world).search(SearchQuery(), "db/jdoe")).datasets) == 6


async def test_no_rules_at_all_is_an_error_not_an_empty_catalogue(world: Icat) -> None:
    world.rows["Rule"].clear()
    with pytest.raises(BackendError, match=UNKNOWN_RULE):
        await local(world).search(SearchQuery(), "db/jdoe")


STRANGE = ["'", "''", "\\", "\\'", "%", "_", "!", "!%", "' OR 1=1 OR '", "') OR (o.id > 0", ":user", "{o}", "{ts 2000-01-01 00:00:00}",
           "x' INCLUDE 1", "<script>alert(1)</script>", "\n", "🦄", "LIMIT 0, 1", "a'; DELETE FROM Dataset"]  # fmt: skip


@pytest.mark.parametrize("text", STRANGE)
async def test_strange_text_is_data(world: Icat, text: str) -> None:
    dataset = next(
        i for i in readable(world, "Dataset", "db/ahau") if i not in readable(world, "Dataset", "anon/anon")
    )
    world.rows["Dataset"][dataset]["name"] = f"<{text}>"
    adapter = local(world)
    whole = {d.pid for d in (await everything(adapter, "db/ahau"))[1]}
    expected = {d.pid for d in (await everything(adapter, "db/ahau"))[1] if all(
        w.lower() in f"{d.title} {d.proposal} {d.definition} {d.sample} {d.instrument}".lower() or w.lower() in _title(world, d.proposal) for w in text.split())}  # fmt: skip
    found = await adapter.search(SearchQuery(text=text), "db/ahau")
    assert {d.pid for d in found.datasets} == expected <= whole
    assert (await adapter.search(SearchQuery(proposals=(text,)), "db/ahau")).datasets == ()
    assert (await adapter.search(SearchQuery(), text)).datasets == (
        await adapter.search(SearchQuery(), "anon/anon")
    ).datasets
    with pytest.raises(NotFound):
        await adapter.get(text, "db/ahau")
    with pytest.raises(InvalidRequest):
        await adapter.search(SearchQuery(after=text), "db/ahau")


def _title(world: Icat, proposal: str) -> str:
    if not proposal:
        return ""
    title: str = world.rows["Investigation"][world.named("Investigation", proposal)]["title"]
    return title.lower()


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


async def test_a_session_that_is_over_is_opened_anew_once(world: Icat, client: IcatClient) -> None:
    assert len(await client.query("SELECT u FROM User u")) == 11
    world.sessions.clear()
    assert len(await client.query("SELECT u FROM User u")) == 11
    assert world.logins == 2


async def test_a_refusal_is_not_taken_for_a_session_that_is_over(world: Icat, client: IcatClient) -> None:
    with pytest.raises(BackendError) as refused:
        await client.query("SELECT u FROM Nothing u")
    assert "Nothing" not in refused.value.message
    assert world.logins == 1


async def test_a_wrong_password_or_an_authenticator_that_is_not_there_is_told(world: Icat) -> None:
    async with serving(build(world)) as address:
        for plugin, given in (
            ("simple", {**service(), "password": "x"}),
            ("oidc", {"token": "x"}),
            ("db", {"a": "b"}),
        ):
            client = IcatClient(Upstream(f"{address}/icat", "catalogue"), plugin, given)
            with pytest.raises(BackendError):
                await client.query("SELECT u FROM User u")
            await client.close()
    assert world.sessions == {}


async def test_the_session_is_renewed_and_ended(world: Icat) -> None:
    now = [0.0]
    async with serving(build(world)) as address:
        client = IcatClient(Upstream(f"{address}/icat", "catalogue"), "simple", service(), clock=lambda: now[0])
        await client.query("SELECT u FROM User u")
        world.now += timedelta(minutes=70)
        now[0] = 70 * 60.0
        await client.query("SELECT u FROM User u")
        assert world.sessions.popitem()[1][1] == world.now + world.life
        await client.close()
    assert (world.logins, world.sessions) == (1, {})


async def test_a_catalogue_that_is_away_is_told(world: Icat) -> None:
    async with serving(build(world)) as address:
        pass
    client = IcatClient(Upstream(f"{address}/icat", "catalogue", Bounds(seconds=2.0)), "simple", service())
    with pytest.raises(BackendUnavailable):
        await client.query("SELECT u FROM User u")
    await client.close()


@pytest.mark.parametrize("text", [
    "SELECT o FROM Nothing o", "SELECT o FROM Dataset o WHERE o.nothing = 1", "SELECT o FROM Dataset o WHERE x.name = 'a'",
    "SELECT o FROM Dataset o WHERE o.name = 'a", "SELECT o FROM Dataset o LIMIT 5", "SELECT o FROM Dataset o INCLUDE o.nothing",
    "SELECT o FROM Dataset o WHERE o.name = 'a' garbage", "DELETE FROM Dataset", "SELECT o FROM Dataset o WHERE o.name = :user",
])  # fmt: skip
def test_the_stand_in_refuses_what_is_no_query(world: Icat, text: str) -> None:
    with pytest.raises(Refused) as refused:
        answered(world, text, "simple/root")
    assert refused.value.code == "BAD_PARAMETER"


def test_a_location_loses_its_digest_and_nothing_else() -> None:
    assert undigested("/data/a b/c.nxs 1234567890abcdef1234567890abcdef") == "/data/a b/c.nxs"
    assert undigested("/data/a b/c d.nxs") == "/data/a b/c d.nxs"


async def test_a_person_is_their_accounts_user_and_a_stranger_is_anyone(world: Icat, tmp_path: Path) -> None:
    port = IcatCatalogue(local(world), mnemonic="db", anyone="anon/anon", folders=Folders(tmp_path, "{proposal}"))
    jdoe = Reader(Account("jdoe", "1", 1001, 1001, (), tmp_path))
    assert [len((await port.search(SearchQuery(), reader)).datasets) for reader in (jdoe, STRANGER)] == [6, 1]
    more = Reader(jdoe.account, frozenset({"12100409-ST"}))
    assert len((await port.search(SearchQuery(), more)).datasets) == 9
    assert [p.pid for p in (await port.proposals(ProposalQuery(), more)).proposals] == [
        "08100122-EF", "10100601-ST", "12100409-ST",
    ]  # fmt: skip
    assert (await port.open_proposals(), await port.instruments()) == (set(), ())
    with pytest.raises(NotFound):
        await port.get((await port.search(SearchQuery(), jdoe)).datasets[-1].pid, STRANGER)
    assert len((await port.search(SearchQuery(text="durol hike"), jdoe)).datasets) == 2


async def test_a_proposals_folder_is_below_the_root_and_nowhere_else(world: Icat, tmp_path: Path) -> None:
    (tmp_path / "root" / "P1").mkdir(parents=True)
    (tmp_path / "root" / "P2").symlink_to(tmp_path)
    port = IcatCatalogue(
        local(world), mnemonic="db", anyone="anon/anon", folders=Folders(tmp_path / "root", "{proposal}")
    )
    assert (await port.locate("P1")).folder == tmp_path / "root" / "P1"
    for name in ("P2", "..", ".", "", "P1/..", "nothing", "a\0b", "x" * 5000):
        with pytest.raises(NotFound):
            await port.locate(name)
