"""The mirror of open metadata: what agents send as changes, kept at the centre and served by the PaNOSC interface."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.catalogue import Changes, Dataset, Member, Parameter, Proposal
from shared.commands import Answer, GetChanges, Problem, Verb
from shared.facilities import Outcome
from tests.panosc_client import Client, include, pids

pytestmark = pytest.mark.usefixtures("database")
XAS, SAXS = "PaNET01196", "PaNET01188"


def dataset(pid: str, title: str = "", **said: Any) -> Dataset:
    row = Dataset(pid, title or f"Title {pid}", "P1", "I22", "silver", "NXsas", 1e9, None, 10, 1, is_open=True)
    return replace(row, **said)


def apply(slug: str, since: str, changes: Changes) -> bool:
    from central_portal.mirror import store

    return store.apply(slug, since, changes)


def kept(slug: str) -> dict[str, str]:
    from central_portal.mirror import store

    return {d.pid: d.title for d in store.datasets(slug, "", 1000)}


def fresh() -> str:
    return f"m-{uuid.uuid4().hex[:12]}"


async def in_db(work: Any, *values: Any) -> Any:
    from central_portal.database import in_database

    return await in_database(work)(*values)


class Source:
    """A facility's open datasets with a log of what changed, as an agent answers `catalogue.changes`."""

    def __init__(self) -> None:
        self.feed, self.seq, self.rows, self.size = uuid.uuid4().hex, 0, dict[str, tuple[int, str | None]](), 2

    def put(self, pid: str, title: str | None) -> None:
        if title is None and pid not in self.rows:
            return
        self.seq += 1
        self.rows[pid] = (self.seq, title)

    def open(self) -> dict[str, str]:
        return {pid: title for pid, (_, title) in self.rows.items() if title is not None}

    def forget(self) -> None:
        """A new store: nothing is known of what is gone."""
        self.feed = uuid.uuid4().hex
        self.rows = {pid: row for pid, row in self.rows.items() if row[1] is not None}

    def changes(self, since: str, *, complete: bool = True) -> Changes:
        feed, _, seq = since.partition(":")
        restart = feed != self.feed
        after = 0 if restart else int(seq)
        later = sorted((row[0], pid, row[1]) for pid, row in self.rows.items() if row[0] > after)
        page = later[: self.size]
        return Changes(
            tuple(dataset(pid, title) for _, pid, title in page if title is not None),
            gone_datasets=tuple(pid for _, pid, title in page if title is None),
            token=f"{self.feed}:{page[-1][0] if page else after}", more=len(later) > self.size, restart=restart,
            complete=complete,
        )  # fmt: skip


EDIT = st.tuples(st.sampled_from("abcdef"), st.one_of(st.none(), st.sampled_from(["x", "y", "z"])))
STEP = st.one_of(EDIT, st.sampled_from(["forget", "page", "round", "late"]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=25), size=st.integers(1, 4))
def test_after_a_whole_round_the_mirror_is_what_is_open(steps: list[Any], size: int) -> None:
    """Whatever was edited, forgotten, half read or answered late before."""
    from central_portal.mirror import store

    source, slug = Source(), fresh()
    source.size = size
    old: list[tuple[str, Changes]] = []
    for step in [*steps, "round"]:
        if step == "forget":
            source.forget()
        elif step == "late" and old:  # of another process, which asked before
            since, changes = old[0]
            assert apply(slug, since, changes) is (store.token(slug) == since)
        elif step in ("page", "round"):
            for _ in range(1 if step == "page" else 100):
                since = store.token(slug)
                changes = source.changes(since)
                old.append((since, changes))
                assert apply(slug, since, changes)
                if not changes.more:
                    break
        elif step != "late":
            source.put(*step)
    assert kept(slug) == source.open()


def test_what_a_partial_beginning_does_not_name_stays_until_the_catalogue_was_read_whole() -> None:
    from central_portal.mirror import store

    slug, source = fresh(), Source()
    source.size = 10
    source.put("a", "x")
    source.put("b", "y")
    apply(slug, "", source.changes(""))
    other = Source()
    other.size = 10
    other.put("a", "new")
    assert apply(slug, store.token(slug), other.changes(store.token(slug), complete=False))
    assert kept(slug) == {"a": "new", "b": "y"}
    assert not store.standings([slug])[0].complete
    assert apply(slug, store.token(slug), other.changes(store.token(slug)))
    assert kept(slug) == {"a": "new"}
    (standing,) = store.standings([slug])
    assert standing.complete
    assert standing.age is not None
    assert 0 <= standing.age < 60


def test_a_tombstone_stays_and_carries_nothing() -> None:
    from central_portal.mirror.models import OpenRecord

    slug = fresh()
    apply(slug, "", Changes((dataset("a"),), token="t:1", restart=True))
    apply(slug, "t:1", Changes(gone_datasets=("a",), token="t:2"))
    row = OpenRecord.objects.get(facility=slug)
    assert (row.gone, bytes(row.payload), row.proposal, row.sample) == (True, b"", "", "")
    apply(slug, "t:2", Changes((dataset("a", "back"),), token="t:3"))
    assert kept(slug) == {"a": "back"}


def test_what_is_read_again_and_is_the_same_keeps_its_time() -> None:
    """An agent that was killed begins its feed anew: no news for a harvester."""
    from central_portal.mirror import store

    slug = fresh()
    apply(slug, "", Changes((dataset("a"), dataset("b"), dataset("c")), token="x:1", restart=True))
    before = {c.pid: c.changed_at for c in store.changed([slug], None, (0.0, 0), 9)[0]}
    apply(slug, "x:1", Changes((dataset("a"), dataset("b", "new")), token="y:1", restart=True))
    after = {c.pid: (c.changed_at, c.dataset) for c in store.changed([slug], None, (0.0, 0), 9)[0]}
    assert after["a"] == (before["a"], dataset("a"))
    assert after["b"][0] > before["b"]
    assert after["c"][0] > before["c"]
    assert after["c"][1] is None


def test_text_of_any_kind_has_room() -> None:
    """Folding makes it longer than the wire lets it be, and a row that the database refuses would stop the mirror."""
    slug, wide = fresh(), "\ufb03 " * 149 + "\ufb03"
    apply(
        slug,
        "",
        Changes(
            (dataset("a", wide, sample=wide, proposal="\ufb03" * 100, instrument="\ufb03" * 100),),
            token="t:1",
            restart=True,
        ),
    )
    assert kept(slug) == {"a": wide}


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are told at once: here nobody writes beside the reader."""
    monkeypatch.setattr("central_portal.mirror.store.SETTLED", -1.0)


ALPHA = Changes(
    (
        dataset("d1", "Silver", techniques=(XAS, "https://w3id.org/PaN/ESRFET#XAS"), parameters=(Parameter("energy", 7.1, "keV"),)),
        dataset("d2", "Gold", proposal="P2", instrument="ID11", sample="gold", started=None),
    ),
    (Proposal("P1", "All silver", "Sum", started=1e9, doi="10.1/x", licence="CC-BY-4.0", members=(Member("Ada", "PI", "Alpha", "0000"),), is_open=True),),
    token="t:1", restart=True,
)  # fmt: skip


async def served() -> tuple[str, str, Client]:
    from central_portal.mirror.records import MirrorRecords

    one, two = sorted((fresh(), fresh()))
    await in_db(apply, one, "", ALPHA)
    await in_db(
        apply, two, "", Changes((dataset("d1", "Same pid", techniques=(SAXS,)),), token="t:1", restart=True)
    )
    return one, two, Client(MirrorRecords(lambda: [two, one]))


async def test_the_panosc_interface_serves_the_mirror() -> None:
    one, two, api = await served()
    found = await api.get("/api/Datasets")
    assert pids(found) == [f"{one}:d1", f"{one}:d2", f"{two}:d1"], "a pid is unique among all"
    assert found[0]["creationDate"] == "2001-09-09T01:46:40.000Z"
    assert "creationDate" not in found[1]
    assert pids(await api.get("/api/Datasets", facility=two)) == [f"{two}:d1"]
    assert await api.get("/api/Datasets/count") == {"count": 3}
    assert (await api.get(f"/api/Datasets/{one}:d2"))["title"] == "Gold"
    assert (await api.get(f"/api/Datasets/{one}:d3"))[0] == 404
    assert (await api.get("/api/Datasets/nowhere:d1"))[0] == 404
    assert (await api.get(f"/api/Datasets/{one}:d%00"))[0] == 404
    assert (await api.get("/api/Datasets", filter={"where": {"pid": f"{one}:\ud800"}}))[0] == 400
    for strange in ("a\0b", "'; drop", "%"):
        assert await api.get("/api/Datasets", filter={"where": {"pid": f"{one}:{strange}"}}) == []
    assert not [key for each in found for key in each if key.startswith("_")], "nothing of ours leaves"


async def test_every_relation_of_the_mirror_is_followed() -> None:
    one, _, api = await served()
    wanted = [include(r) for r in ("instrument", "documents", "techniques", "parameters", "samples")]
    row = await api.get(f"/api/Datasets/{one}:d1", filter={"include": wanted})
    assert row["instrument"] == {"pid": f"{one}:I22", "name": "I22", "facility": one}
    assert [d["title"] for d in row["documents"]] == ["All silver"]
    assert [t["name"] for t in row["techniques"]] == [
        "x-ray absorption spectroscopy",
        "https://w3id.org/PaN/ESRFET#XAS",
    ]
    assert [(p["name"], p["value"], p["unit"]) for p in row["parameters"]] == [("energy", 7.1, "keV")]
    assert [s["name"] for s in row["samples"]] == ["silver"]
    members = include("members", None, include("person"), include("affiliation"))
    (document,) = await api.get("/api/Documents", filter={"include": [members, include("datasets")]}, facility=one)
    assert pids(document["datasets"]) == [f"{one}:d1"]
    (member,) = document["members"]
    assert (member["role"], member["person"]["fullName"], member["affiliation"]["name"]) == ("PI", "Ada", "Alpha")
    found = await api.get("/api/Instruments", filter={"include": [include("datasets")]}, facility=one)
    assert [(i["name"], pids(i["datasets"])) for i in found] == [("I22", [f"{one}:d1"]), ("ID11", [f"{one}:d2"])]
    for relation in ("techniques", "samples"):
        again = include(relation, None, include("datasets"))
        row = await api.get(f"/api/Datasets/{one}:d1", filter={"include": [again]})
        assert pids(row[relation][0]["datasets"]) == [f"{one}:d1"]


async def test_a_technique_finds_narrower_ones_and_units_convert() -> None:
    one, two, api = await served()
    saxs = {"include": [include("techniques", {"pid": "http://purl.org/pan-science/PaNET/PaNET01124"})]}
    assert pids(await api.get("/api/Datasets", filter=saxs)) == [f"{two}:d1"]
    energy = {"and": [{"name": "energy"}, {"value": {"between": [7000, 7200]}}, {"unit": "eV"}]}
    found = await api.get("/api/Datasets", filter={"include": [include("parameters", energy)]})
    assert pids(found) == [f"{one}:d1"]


def portal(*slugs: str) -> Any:
    from tests.integration.portal import Portal

    return Portal(slugs=slugs)


async def test_a_round_reads_every_facility_that_answers() -> None:
    from central_portal.mirror import store
    from central_portal.mirror.following import Mirror

    good, old, away = fresh(), fresh(), fresh()
    centre, source, asked = portal(good, old, away), Source(), list[tuple[Verb, str]]()
    for name, title in itertools.product("abcde", "xy"):
        source.put(name, title)

    async def answers(command: Any, sealed: Any) -> Answer:
        assert isinstance(command.parameters, GetChanges)
        asked.append((command.verb, sealed.grant_id))
        return Answer(Outcome.OK, source.changes(command.parameters.since))

    async def unsupported(_: Any, __: Any) -> Answer:
        return Answer(Outcome.FAILED, problem=Problem("UNSUPPORTED", "This agent does not send changes."))

    await centre.connect(good, answers)
    await centre.connect(old, unsupported)
    mirror = Mirror(centre.identity, centre.facilities, lambda _: True, 30.0, 1.0)
    for slug in (good, old, away):
        await mirror.pull(slug)
    assert await in_db(kept, good) == source.open()
    assert set(asked) == {(Verb.CHANGES, "")}, "never under a grant"
    standings = {s.facility: s for s in await in_db(store.standings, [good, old, away])}
    assert [standings[slug].age is None for slug in (good, old, away)] == [False, True, True]
    source.put("a", None)
    await mirror.pull(good)
    assert await in_db(kept, good) == source.open()
