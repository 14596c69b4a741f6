"""A federation reads a federation: the adapter over the PaNOSC search API that the centre serves from its mirror."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from central_portal.panosc.app import SearchApi
from facility_agent.adapters.catalogue.panosc import Panosc
from facility_agent.core.feed import Feed
from facility_agent.link.codec import OpenRecordCodec
from facility_agent.ports.catalogue import STRANGER
from facility_agent.store.feed import SqliteFeed
from facility_agent.testing.patience import eventually
from shared.catalogue import (
    ArchiveState,
    Changes,
    Dataset,
    Member,
    Parameter,
    Proposal,
    ProposalQuery,
    SearchQuery,
)
from shared.commands import GetFiles
from tests.contracts.panosc_worlds import adapter
from tests.panosc_client import Client, pids
from tests.standins.serving import serving

pytestmark = pytest.mark.usefixtures("database")
SAXS, FOREIGN = "PaNET01188", "https://w3id.org/PaN/ESRFET#XAS"


def dataset(n: int) -> Dataset:
    return Dataset(
        f"d{n:03}%2Fx" if n % 5 == 0 else f"d{n:03}", f"Title “{n}” & <b>", f"P{n % 3}", ("I22", "ID11", "")[n % 3],
        ("silver", "", "gold leaf")[n % 3], "NXsas", None if n % 7 == 0 else 1e9 + n // 2 + 0.25, 2e9, n, 3, is_open=True,
        techniques=((SAXS,), (), (SAXS, FOREIGN))[n % 3], keywords=("k",), licence="CC-BY-4.0", state=ArchiveState.ONLINE,
        parameters=(Parameter("energy", 1.5 * n, "keV"), Parameter("state", "solid")) if n % 2 else (),
    )  # fmt: skip


def proposal(n: int) -> Proposal:
    members = (Member("Ada", "proposer", "ESS", "0000-0001"), Member("Bob", "")) if n else ()
    return Proposal(
        f"P{n}", f"Proposal {n}", "About silver", "experiment" if n else "", started=1e9, ended=1e9 + 1, released=2e9,
        doi=f"10.5072/p{n}", licence="CC-BY-4.0", keywords=("a", "b"), members=members, is_open=True,
    )  # fmt: skip


def mirrored(slug: str, changes: Changes) -> None:
    from central_portal.mirror import store

    assert store.apply(slug, store.token(slug), changes)


async def in_db(work: Any, *values: Any) -> Any:
    from central_portal.database import in_database

    return await in_database(work)(*values)


def records(slugs: Sequence[str]) -> Any:
    from central_portal.mirror.records import MirrorRecords

    return MirrorRecords(lambda: slugs)


@asynccontextmanager
async def reading(slugs: Sequence[str], at: Path, **settings: Any) -> AsyncIterator[Panosc]:
    """The adapter over the API, once it has read it."""
    async with serving(SearchApi(records(slugs))) as base, adapter(base, at, **settings) as backend:

        async def read() -> bool:
            return (await backend.search(SearchQuery(), STRANGER)).complete

        await eventually(read, "the federation's API has been read")
        yield backend


async def everything(backend: Panosc, **query: Any) -> list[Dataset]:
    asked, found = SearchQuery(limit=10, **query), list[Dataset]()
    while True:
        page = await backend.search(asked, STRANGER)
        found += page.datasets
        if not page.next:
            return found
        asked = replace(asked, after=page.next)


def names() -> tuple[str, str]:
    return f"a-{uuid.uuid4().hex[:8]}", f"b-{uuid.uuid4().hex[:8]}"


def as_told(slug: str, d: Dataset) -> Dataset:
    """What the specification's models can carry of a dataset."""
    pid = f"{slug}:{d.pid}".replace("%", "%25")
    return replace(
        d, pid=pid, definition="", ended=None, files=0, keywords=(), licence="", state=ArchiveState.UNKNOWN
    )


async def test_what_was_mirrored_comes_out_equal(tmp_path: Path) -> None:
    one, other = names()
    datasets, proposals = [dataset(n) for n in range(60)], [proposal(n) for n in range(3)]
    await in_db(mirrored, one, Changes(tuple(datasets), tuple(proposals), token="t:1", restart=True))
    await in_db(mirrored, other, Changes((dataset(7),), (proposal(1),), token="t:1", restart=True))
    async with reading((one, other), tmp_path, facility=one, proposal_prefix=f"{one}:", page=7) as backend:
        found = await everything(backend)
        assert sorted(found, key=lambda d: d.pid) == sorted(
            (as_told(one, d) for d in datasets), key=lambda d: d.pid
        )
        told = (await backend.proposals(ProposalQuery(), STRANGER)).proposals
        used = {
            p.pid: tuple(sorted({d.instrument for d in datasets if d.proposal == p.pid} - {""})) for p in proposals
        }
        assert told == tuple(replace(p, kind=p.kind or "proposal", instruments=used[p.pid]) for p in proposals)
        for query, expected in (
            ({"techniques": ("PaNET01124",)}, {d.title for d in datasets if SAXS in d.techniques}),
            ({"techniques": (FOREIGN,)}, {d.title for d in datasets if FOREIGN in d.techniques}),
            ({"sample": "GOLD lea"}, {d.title for d in datasets if d.sample == "gold leaf"}),
            ({"proposals": ("P1",), "instruments": ("ID11",)}, {d.title for d in datasets if d.proposal == "P1"}),
            ({"since": 1e9 + 10, "until": 1e9 + 20}, {d.title for d in datasets if d.started and 1e9 + 10 <= d.started <= 1e9 + 20}),
        ):  # fmt: skip
            assert {d.title for d in await everything(backend, **query)} == expected, query
            assert expected
        files = await backend.files(GetFiles(found[0].pid), STRANGER)
        assert (files.files, files.total) == ((), 0), "which a mirror has not"
    async with reading((one, other), tmp_path, proposal_prefix="", page=1000) as backend:
        both = [as_told(one, d) for d in datasets] + [as_told(other, dataset(7))]
        assert {d.pid for d in await everything(backend)} == {d.pid for d in both}


async def test_a_federation_follows_a_federation(tmp_path: Path) -> None:
    """One's mirror → its API → the adapter → the agent's feed → another's mirror → its API; deletions too."""
    one, other = names()
    await in_db(mirrored, one, Changes(tuple(map(dataset, range(30))), (proposal(1),), token="t:1", restart=True))
    async with reading((one,), tmp_path, facility=one, page=9) as backend:
        store = SqliteFeed(tmp_path / "feed.sqlite3", lambda: 1000.0)
        feed = Feed(backend, store, OpenRecordCodec(), lambda: 1000.0, 30.0)

        async def follow() -> list[str]:
            from central_portal.mirror import store as mirror

            await feed.look()
            said = await feed.changes(await in_db(mirror.token, other))
            assert (said.complete, said.more) == (True, False)
            await in_db(mirrored, other, said)
            shown = await Client(records((other,))).get("/api/Datasets", filter={"limit": 1000})
            return [pid.removeprefix(f"{other}:") for pid in pids(shown)]

        expected = sorted(as_told(one, dataset(n)).pid for n in range(30))
        assert sorted(await follow()) == expected
        await in_db(mirrored, one, Changes(gone_datasets=("d001", "d002"), token="t:2"))

        async def gone() -> bool:
            return len(await everything(backend)) == 28

        await eventually(gone, "the adapter has seen it")
        assert set(expected) - set(await follow()) == {f"{one}:d001", f"{one}:d002"}
        await store.close()
