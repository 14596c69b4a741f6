"""For random filters, rules, steps and rows the adapter finds what the visible rows alone say, and shows no more of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.catalogue import Dataset, SearchQuery, sort_key
from shared.techniques import canonical, narrower
from tests.icat_dump import USERS, served
from tests.icat_local import ANYONE, Local, local, opened, searched
from tests.standins.icat import Icat
from tests.standins.icat.rules import Rules

pytestmark = pytest.mark.needs("icat-data")
SEEDS = range(60)
WORDS = [
    "e20",
    "raw",
    "NiO",
    "durol",
    "hike",
    "E2",
    "12100409",
    "1",
    "%",
    "_",
    "'",
    "\\",
    "pub",
    "gate",
    "x y",
    "zzz",
    "st",
]
TERMS = ["PaNET01217", "PaNET01001", "PaNET01203", "PaNET01089", "https://w3id.org/PaN/ESRFET#XAS"]
STEPS = [("Dataset", "sample"), ("Dataset", "datasetInstruments"), ("Dataset", "datasetTechniques"),
         ("Investigation", "investigationInstruments"), ("Investigation", "keywords")]  # fmt: skip


@dataclass
class Shown:
    """A dataset as a user may know it, told from the stand-in's rows and rules by walking them."""

    pid: str
    title: str
    started: float | None
    proposal: str
    sample: str
    instruments: list[str]
    techniques: list[str]
    said: list[str]


class Walk:
    """The rows of a world as one user sees them."""

    def __init__(self, world: Icat, user: str) -> None:
        self.rows, self._rules = world.rows, Rules(world, user)

    def included(self, origin: str, relation: str, target: str, number: int | None) -> dict[str, Any]:
        step = self._rules.public_step(origin, relation) and (origin, relation) != ("Dataset", "investigation")
        if number is None or not (step or number in self._rules.shown(target)):
            return {}
        return self.rows[target][number]

    def linked(
        self, origin: str, number: int, relation: str, link: str, back: str, to: str
    ) -> list[dict[str, Any]]:
        links = [n for n, row in self.rows[link].items() if row[back] == number]
        shown = [self.included(origin, relation, link, n) for n in links]
        ends = [self.included(link, to, to.capitalize(), row[to]) for row in shown if row]
        return [end for end in ends if end]

    def dataset(self, number: int) -> Shown:
        row = self.rows["Dataset"][number]
        inv = self.included("Dataset", "investigation", "Investigation", row["investigation"])
        sample = self.included("Dataset", "sample", "Sample", row.get("sample")) if inv else {}
        kind = self.included("Dataset", "type", "DatasetType", row["type"])
        own = self.linked("Dataset", number, "datasetInstruments", "DatasetInstrument", "dataset", "instrument")
        if not any(link["dataset"] == number for link in self.rows["DatasetInstrument"].values()) and inv:
            own = self.linked("Investigation", inv["id"], "investigationInstruments", "InvestigationInstrument", "investigation", "instrument")  # fmt: skip
        techniques = self.linked(
            "Dataset", number, "datasetTechniques", "DatasetTechnique", "dataset", "technique"
        )
        instruments, started = sorted({i["name"] for i in own}), row.get("startDate")
        said = [row["name"], row.get("description") or "", kind.get("name", ""), inv.get("name", ""), inv.get("title", ""),
                sample.get("name", ""), *instruments]  # fmt: skip
        return Shown(f"{number:012d}", row["name"], started.timestamp() if started else None, inv.get("name", ""),
                     sample.get("name", ""), instruments, sorted({canonical(t["pid"]) for t in techniques}), said)  # fmt: skip

    def datasets(self) -> list[Shown]:
        return [self.dataset(number) for number in self._rules.searched("Dataset")]


def found(shown: Shown, query: SearchQuery) -> bool:
    wanted = {term for each in query.techniques for term in narrower(each)}
    return (
        (not query.proposals or shown.proposal in query.proposals)
        and (not query.instruments or bool(set(query.instruments) & set(shown.instruments)))
        and (not query.techniques or bool(wanted & set(shown.techniques)))
        and (query.since is None or (shown.started is not None and shown.started >= query.since))
        and (query.until is None or (shown.started is not None and shown.started <= query.until))
        and all(word.lower() in shown.sample.lower() for word in query.sample.split())
        and all(any(word.lower() in each.lower() for each in shown.said) for word in query.text.split())
    )


def shaken(chance: random.Random) -> Icat:
    """The dump with more rows, and with steps, rules and links that are gone."""
    world = served()
    rows, pick = world.rows, lambda entity: chance.choice(sorted(world.rows[entity]))
    for n in range(chance.randint(0, 10)):
        started = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(milliseconds=250 * chance.randint(0, 6))
        made = world.add("Dataset", name=chance.choice(WORDS) + str(n), investigation=pick("Investigation"), type=pick("DatasetType"),
                         sample=chance.choice([None, pick("Sample")]), description=chance.choice([None, *WORDS]))  # fmt: skip
        if chance.random() < 0.7:
            rows["Dataset"][made]["startDate"] = started
        for _ in range(chance.randint(0, 2)):
            world.add("DatasetInstrument", dataset=made, instrument=pick("Instrument"))
            world.add("DatasetTechnique", dataset=made, technique=pick("Technique"))
    gone = [step for step in STEPS if chance.random() < 0.4]
    for number, row in list(rows["PublicStep"].items()):
        if (row["origin"], row["field"]) in gone:
            del rows["PublicStep"][number]
    for number, row in list(rows["Rule"].items()):
        about = any(f" {name} o" in row["what"] or row["what"] == name for name in ("Sample", "Instrument", "DatasetInstrument", "Technique", "DatasetType", "Investigation"))  # fmt: skip
        if about and chance.random() < 0.15:
            del rows["Rule"][number]
    return world


def question(chance: random.Random, everything: list[Shown]) -> SearchQuery:
    """Some fields of a search."""
    some = lambda values, most: tuple(chance.sample(values, chance.randint(1, most)))  # noqa: E731
    times = sorted(each.started for each in everything if each.started is not None)
    times = [times[0], times[-1]] if times else [0.0, 1.0]
    fields: dict[str, Any] = {
        "text": " ".join(some(WORDS, 2)), "sample": chance.choice(["durol", "nio", "sc", "1", "d s"]),
        "proposals": some(["12100409-ST", "10100601-ST", "08100122-EF", "none"], 2),
        "instruments": some(["E2", "HIKE", "EDDI", "none"], 2), "techniques": some(TERMS, 2),
        "since": chance.choice(times), "until": times[1] + chance.choice([0, 0.25]),
    }  # fmt: skip
    kept = {name: fields[name] for name in chance.sample(sorted(fields), chance.randint(1, 2))}
    return SearchQuery(**kept, limit=chance.randint(1, 6))


def told(dataset: Dataset) -> tuple[Any, ...]:
    return (
        dataset.pid,
        dataset.title,
        dataset.started,
        dataset.proposal,
        dataset.sample,
        dataset.instrument,
        sorted(dataset.techniques),
    )


def meant(shown: Shown) -> tuple[Any, ...]:
    first = shown.instruments[0] if shown.instruments else ""
    return (shown.pid, shown.title, shown.started, shown.proposal, shown.sample, first, shown.techniques)


@pytest.mark.parametrize("in_person", [False, True], ids=["by rules", "in person"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_filters_find_what_the_visible_rows_say(seed: int, in_person: bool) -> None:
    chance = random.Random(seed)
    world = shaken(chance)
    user = chance.choice([*USERS[1:], ANYONE])
    shown = Walk(world, user).datasets()
    adapter, asked = local(world), [SearchQuery(limit=4)] + [question(chance, shown) for _ in range(4)]
    for query in asked:
        datasets = await searched(adapter, user, query, Local(world, user) if in_person else None)
        assert datasets == sorted(datasets, key=sort_key)
        wanted = [meant(each) for each in shown if found(each, query)]
        assert sorted(map(told, datasets)) == sorted(wanted), (user, query)
    instruments = {name for each in Walk(world, ANYONE).datasets() for name in each.instruments}
    assert await opened(world).instruments() <= instruments, "what nobody may know is not told"
    if len(world.rows["PublicStep"]) == len(served().rows["PublicStep"]):
        assert await opened(world).instruments() == instruments


def test_the_random_worlds_try_what_they_should() -> None:
    hidden = hits = 0
    for seed in SEEDS:
        chance = random.Random(seed)
        world = shaken(chance)
        user = chance.choice([*USERS[1:], ANYONE])
        mine, whole = Walk(world, user).datasets(), Walk(world, "simple/root")
        hidden += any(meant(each) != meant(whole.dataset(int(each.pid))) for each in mine)
        hits += sum(any(found(each, question(chance, mine)) for each in mine) for _ in range(4))
    assert hidden > 15
    assert hits > 30
