"""A real ICAT's users at the portal: each signs in, links the account, and sees through GraphQL what that ICAT showed.

Centre and hub are processes of their own, the facility's core and its adapter for ICAT are the real ones; ICAT and its data
service are stand-ins that hold the dump of a real ICAT.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account, Directory
from shared.identity import Subject
from shared.wire.proof import token
from tests.contracts.icat_worlds import adapter
from tests.icat_dump import USERS, recorded, served
from tests.icat_tokens import PLUGIN, Purse, trusting
from tests.icat_tokens import token as sign_on_token
from tests.integration.openid import Op
from tests.integration.tab import Tab, granted
from tests.integration.whole_centre import Centre, Facility
from tests.standins.icat import Ids, build
from tests.standins.icat import serving as icat_serving
from tests.waiting import until

pytestmark = pytest.mark.needs("icat-data")
NODES = "pid title proposal instrument sample startedAt isOpen archiveState techniques{id}"


class People(Directory, AccessRules):
    """Accounts of these names, to which the facility's own file gives proposals that ICAT does not."""

    async def account(self, username: str) -> Account:
        number = 20_000 + [user.partition("/")[2] for user in USERS].index(username)
        return Account(username, str(number), number, number, (), Path("/home") / username)

    async def may_use(self, account: Account) -> bool:
        return True

    async def proposals(self, account: Account) -> Set[str]:
        return {"08100122-EF", "10100601-ST", "12100409-ST"}


@dataclass
class Place:
    """The whole of it."""

    op: Op
    centre: Centre
    facility: Facility
    ids: Ids
    purse: Purse

    def tab(self, user: str) -> Tab:
        """A browser of somebody whose account of this name is linked."""
        name = user.partition("/")[2]
        self.op.person = (f"{name}-{token()[:8]}", f"sid-{token()}")
        self.facility.subject = Subject("http://op-of-the-gateway", f"pairwise-{name}")
        account = asyncio.run(People().account(name))
        self.facility.linked(name, account.immutable_id)
        tab = self.centre.tab()
        granted(self.op, tab, self.facility)
        return tab


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    from tests.integration.openid import serving
    from tests.integration.whole_centre import running_centre

    folder, ids = tmp_path_factory.mktemp("icat"), Ids(served())
    for row in ids.icat.rows["Datafile"].values():
        row["location"] = f"files/{row['id']}"
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    standing = icat_serving(build(ids.icat, ids))
    base = asyncio.run_coroutine_threadsafe(standing.__aenter__(), loop).result(10)
    trusting(ids.icat)
    catalogue, purse = adapter(base, folder, roots=("db/root",), person_session=PLUGIN), Purse()
    catalogue.use(purse)
    try:
        with serving(Op()) as op, running_centre(folder, op, catalogue, People()) as (centre, facility):
            facility.connect()
            until(centre.tab().mirrored, "the portal has read what is open")
            yield Place(op, centre, facility, ids, purse)
            facility.call(catalogue.__aexit__())
    finally:
        asyncio.run_coroutine_threadsafe(standing.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def told(tab: Tab, query: str) -> dict[str, Any]:
    """The answer of GraphQL, asked again while the grant has been used too often: twenty times a second is its measure."""

    def answer() -> dict[str, Any] | None:
        headers = {"Content_Type": "application/json", "Origin": tab.origin}
        body = orjson.loads(tab.ask("POST", "/graphql", orjson.dumps({"query": query}), **headers).body)
        return None if "RATE_LIMITED" in orjson.dumps(body).decode() else dict(body)

    return until(answer, "the grant is good for more") or {}


def searched(tab: Tab, query: str = "", first: int = 4) -> list[dict[str, Any]]:
    """What a search finds, page by page; every answer is complete."""
    found, after = list[dict[str, Any]](), ""
    while True:
        given = f"query: {{{query}}}, first: {first}" + (f', after: "{after}"' if after else "")
        page = told(
            tab,
            f"{{search({given}){{nodes{{{NODES}}} pageInfo{{hasNextPage endCursor}} outcomes{{outcome problem{{code message}}}}}}}}",
        )["data"]["search"]
        assert [outcome["outcome"] for outcome in page["outcomes"]] == ["OK"], page
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            assert len({node["pid"] for node in found}) == len(found)
            return found
        after = page["pageInfo"]["endCursor"]


def files(tab: Tab, pid: str) -> list[str] | None:
    """The paths of a dataset's files; None when there is no such dataset."""
    answer = told(tab, f'{{files(dataset: "Dataset:alpha:{pid}", first: 100){{nodes{{path}} totalCount}}}}')
    said = answer["data"]["files"]
    assert {error["extensions"]["code"] for error in answer.get("errors", ())} <= {"NOT_FOUND"}, answer
    assert said is None or said["totalCount"] == len(said["nodes"])
    return [node["path"] for node in said["nodes"]] if said else None


@pytest.mark.parametrize("user", USERS)
def test_each_user_sees_the_recorded_numbers_through_graphql(place: Place, user: str) -> None:
    sees_what_icat_showed(place, user)


@pytest.mark.parametrize("user", ["db/jdoe", "db/nbour"])
def test_the_same_in_a_session_of_their_own(place: Place, user: str) -> None:
    account = asyncio.run(People().account(user.partition("/")[2]))
    place.purse.put(account.immutable_id, sign_on_token(place.ids.icat, user))
    place.ids.icat.asked.clear()
    try:
        sees_what_icat_showed(place, user)
    finally:
        place.purse.tokens.clear()
    asked = Counter(asker for asker, _ in place.ids.icat.asked)
    assert asked[user] > 10
    assert not any(user in text for _, text in place.ids.icat.asked), "no rule was read for them"


def sees_what_icat_showed(place: Place, user: str) -> None:
    tab, wanted = place.tab(user), recorded(user)
    datasets = searched(tab)
    listed = [f"{each['pid']}/{path}" for each in datasets for path in files(tab, each["pid"]) or ()]
    proposals = {each["proposal"] for each in datasets} - {""}
    assert (len(proposals), len(datasets), len(set(listed))) == tuple(
        wanted[entity] for entity in ("Investigation", "Dataset", "Datafile")
    )
    mine = {each["pid"] for each in datasets}
    for number in place.ids.icat.rows["Dataset"]:
        if f"{number:012d}" not in mine:
            assert files(tab, f"{number:012d}") is None, "what is hidden does not exist"
    assert [each["title"] for each in datasets if each["isOpen"]] == ["pub-00027"]


def test_strangers_see_what_is_published(place: Place) -> None:
    tab = place.centre.tab()
    assert [node["title"] for node in searched(tab)] == ["pub-00027"]
    assert [(node["proposal"], node["sample"]) for node in searched(tab)] == [("", "")]
    for query in ('text: "NiO"', 'proposals: ["12100409-ST"]', 'sample: "nickel"', 'instruments: ["HIKE"]'):
        assert searched(tab, query) == []


def keeps(node: dict[str, Any], field: str, value: str) -> bool:
    """Whether a dataset that one sees is found by this filter."""
    return {
        "instruments": node["instrument"] == value, "proposals": node["proposal"] == value,
        "sample": value.lower() in node["sample"].lower(), "techniques": value in {each["id"] for each in node["techniques"]},
        "since": (node["startedAt"] or "") >= value, "until": bool(node["startedAt"]) and node["startedAt"] <= value,
    }[field]  # fmt: skip


def asked(field: str, value: str) -> str:
    """A field of a search, as GraphQL writes it."""
    return (
        f'{field}: ["{value}"]' if field in ("instruments", "proposals", "techniques") else f'{field}: "{value}"'
    )


@pytest.mark.parametrize("user", USERS)
def test_filters_and_counts_are_those_of_the_visible_rows(place: Place, user: str) -> None:
    tab, chance = place.tab(user), random.Random(user)
    visible = searched(tab, first=100)
    values = {
        "instruments": {node["instrument"] for node in visible} - {""}, "proposals": {node["proposal"] for node in visible} - {""},
        "sample": {word for node in visible for word in node["sample"].split()},
        "techniques": {each["id"] for node in visible for each in node["techniques"]},
        "since": {node["startedAt"] for node in visible} - {None}, "until": {node["startedAt"] for node in visible} - {None},
    }  # fmt: skip
    tried = 0
    for field, some in values.items():
        if not some:
            continue
        value, other = (
            chance.choice(sorted(some)),
            chance.choice(sorted({"sample", "instruments", "proposals"} - {field})),
        )
        assert searched(tab, asked(field, value), 100) == [
            node for node in visible if keeps(node, field, value)
        ], field
        more = chance.choice(sorted(values[other]) or ["nothing"])
        wanted = [node for node in visible if keeps(node, field, value) and keeps(node, other, more)]
        assert searched(tab, f"{asked(field, value)}, {asked(other, more)}", 100) == wanted, (
            field,
            value,
            other,
            more,
        )
        tried += 1
    assert tried == 6
    asking = "{search(query: {}, first: 100){facets{instruments{id count} proposals{id count}}}}"
    facets = told(tab, asking)["data"]["search"]["facets"]
    for name, field in (("instruments", "instrument"), ("proposals", "proposal")):
        counted = Counter(node[field] for node in visible if node[field])
        assert {each["id"]: each["count"] for each in facets[name]} == counted


def test_where_data_are_is_seen_in_the_portal(place: Place) -> None:
    number = place.ids.icat.named("Dataset", "e201215")
    tab = place.tab("db/jdoe")
    for state in ("ARCHIVED", "RESTORING", "ONLINE"):
        place.ids.archive = {} if state == "ONLINE" else {number: state}
        said = {node["title"]: node["archiveState"] for node in searched(tab)}
        assert said.pop("e201215") == state
        assert set(said.values()) == {"ONLINE"}


def test_who_leaves_a_grouping_no_longer_sees(place: Place) -> None:
    world = place.ids.icat
    tab, before = place.tab("db/jdoe"), world.rows["UserGroup"]
    assert len(searched(tab)) == 6
    jdoe = world.named("User", "db/jdoe")
    world.rows["UserGroup"] = {n: row for n, row in before.items() if row["user"] != jdoe}
    try:
        assert [node["title"] for node in searched(tab)] == ["pub-00027"]
    finally:
        world.rows["UserGroup"] = before
    assert len(searched(tab)) == 6
