"""The agent's store: one commit for all that waits, each work for itself, and what happens when the disk fails."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.ports.store import GrantRow, OrderRow, Transaction, WorkspaceRow
from facility_agent.store.database import Unusable, renew_store_id
from facility_agent.store.schema import STEPS
from facility_agent.store.sqlite import GROUP, SqliteStore
from shared.commands import Verb
from shared.errors import BackendUnavailable, Conflict
from shared.identity import Subject
from shared.workspaces import WorkspaceState
from tests.link_parts import eventually

ADA = Subject("https://op", "ada")
RUNNING = WorkspaceRow(
    "w1", ADA, "7", "hash", "jupyter", "small", (), "T", 600, WorkspaceState.RUNNING, 3, "[]", "h", b"", "", "", 1.0,
    None, None,
)  # fmt: skip


class Commits:
    """What a store says of its commits, and what another connection saw at that moment."""

    def __init__(self, path: Path) -> None:
        self.path, self.sizes, self.seen = path, list[int](), list[int]()

    def __call__(self, size: int, seconds: float) -> None:
        assert seconds >= 0
        self.sizes.append(size)
        with sqlite3.connect(self.path) as db:
            self.seen.append(db.execute("select count(*) from grant_").fetchone()[0])
        db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sqlite3"


@pytest.fixture
def commits(path: Path) -> Commits:
    return Commits(path)


@pytest.fixture
def store(path: Path, commits: Commits) -> Iterator[SqliteStore]:
    store = SqliteStore(path, commits)
    yield store
    store.close()


def grant(number: int) -> GrantRow:
    return GrantRow(f"g{number}", ADA, "sid", "7", 1, "run", b"x" * 100, 0.0, 1e12)


def order(order_id: str, at: float = 1.0) -> OrderRow:
    return OrderRow(order_id, "g", "hash", Verb.STOP, ADA, 1, b"body", b"", at)


async def held(store: SqliteStore) -> threading.Event:
    """Keeps the store's thread busy until the event is set."""
    entered, release = threading.Event(), threading.Event()

    def wait(_: Transaction) -> None:
        entered.set()
        release.wait(10)

    store_task = asyncio.create_task(store.transact(wait))
    await asyncio.to_thread(entered.wait, 10)
    store_task.add_done_callback(lambda task: task.exception())
    return release


async def test_what_waits_is_committed_together_and_each_answer_comes_after_the_commit(
    store: SqliteStore, commits: Commits
) -> None:
    release = await held(store)
    works = [asyncio.create_task(store.transact(lambda tx, n=n: tx.put_grant(grant(n)))) for n in range(150)]
    await asyncio.sleep(0)
    assert not any(work.done() for work in works)
    release.set()
    await asyncio.gather(*works)
    assert commits.sizes == [1, GROUP, GROUP, 150 - 2 * GROUP]
    assert commits.seen == [0, GROUP, 2 * GROUP, 150], "rows are there before anybody hears of them"


async def test_the_disk_is_told_to_keep_it_before_an_answer(store: SqliteStore) -> None:
    def modes(tx: Transaction) -> list[object]:
        db = tx._db  # type: ignore[attr-defined]
        return [db.execute(f"pragma {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]

    assert await store.transact(modes) == [2, "wal"]


async def test_one_bad_work_harms_no_neighbour(store: SqliteStore, commits: Commits) -> None:
    def bad(tx: Transaction) -> None:
        tx.put_grant(grant(1000))
        raise Conflict("mine alone")

    def clash(tx: Transaction) -> None:
        tx.put_grant(grant(1001))
        tx.accept_order(order("twice"))
        tx.accept_order(order("twice"))

    release = await held(store)
    works = [asyncio.create_task(store.transact(work)) for work in (bad, clash)]
    good = [asyncio.create_task(store.transact(lambda tx, n=n: tx.put_grant(grant(n)))) for n in range(5)]
    await asyncio.sleep(0)
    release.set()
    results = await asyncio.gather(*works, *good, return_exceptions=True)
    assert isinstance(results[0], Conflict)
    assert isinstance(results[1], sqlite3.IntegrityError)
    assert results[2:] == [None] * 5
    assert commits.sizes == [1, 7]
    rows = await store.transact(lambda tx: [row.grant_id for row in tx.grants_of(ADA, "sid")])
    assert rows == [f"g{n}" for n in range(5)]
    assert await store.transact(lambda tx: tx.order("twice")) is None


async def test_a_work_that_nobody_waits_for_is_left_out(store: SqliteStore) -> None:
    release = await held(store)
    work = asyncio.create_task(store.transact(lambda tx: tx.put_grant(grant(1))))
    await asyncio.sleep(0)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    release.set()
    assert await store.transact(lambda tx: tx.grant("g1")) is None


async def test_a_full_disk_refuses_loudly_and_is_used_again_once_there_is_room(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.transact(lambda tx: tx.put_grant(grant(1)))

    def limit(tx: Transaction, pages: int) -> None:
        tx._db.execute(f"pragma max_page_count={pages}")  # type: ignore[attr-defined]

    def large(tx: Transaction) -> None:
        for n in range(2, 400):
            tx.put_grant(grant(n))

    await store.transact(lambda tx: limit(tx, 1))  # SQLite takes the present size for the limit
    release = await held(store)
    works = [asyncio.create_task(store.transact(work)) for work in (lambda tx: tx.put_grant(grant(500)), large)]
    await asyncio.sleep(0)
    release.set()
    for result in await asyncio.gather(*works, return_exceptions=True):
        assert type(result) is BackendUnavailable, "nothing of a group is kept, and that is certain"
    assert store.fault == "the disk is full"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert await store.transact(lambda tx: tx.grant("g1")) == grant(1), "what is there can be read"
    assert store.fault == "the disk is full", "reading does not say that writing works"
    await store.transact(lambda tx: limit(tx, 100_000))
    await store.transact(large)
    assert store.fault == ""
    assert await store.transact(lambda tx: tx.grant("g500")) is None


async def test_a_file_that_vanishes_is_not_made_anew_and_is_found_again(store: SqliteStore, path: Path) -> None:
    await store.transact(lambda tx: tx.put_grant(grant(1)))
    name = store.store_id
    path.rename(path.with_suffix(".away"))
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            await store.probe()
    assert not path.exists()
    assert store.fault
    path.with_suffix(".away").rename(path)
    await store.probe()
    assert (store.fault, store.store_id, store.boot_counter) == ("", name, 1)
    assert await store.transact(lambda tx: tx.grant("g1")) == grant(1)


async def test_another_store_in_its_place_is_refused(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    await store.probe()
    other = SqliteStore(tmp_path / "other.sqlite3")
    await other.probe()
    other.close()
    (tmp_path / "other.sqlite3").replace(path)
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            await store.probe()
    assert "restart the agent" in store.fault
    with sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True) as db:
        assert db.execute("select value from meta where key='store_id'").fetchone() != (store.store_id,)
    db.close()


async def test_a_damaged_file_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"this was a database once" * 500)
    store = SqliteStore(path)
    with pytest.raises(BackendUnavailable):
        await store.probe()
    assert "damaged" in store.fault
    assert (store.store_id, store.boot_counter) == ("", 0)
    store.close()
    assert path.read_bytes() == b"this was a database once" * 500


async def test_a_second_agent_is_kept_away(store: SqliteStore, path: Path) -> None:
    await store.probe()
    second = SqliteStore(path)
    with pytest.raises(BackendUnavailable):
        await second.probe()
    assert second.fault == "another agent uses it"
    assert store.boot_counter == 1
    store.close()
    await second.probe()
    assert (second.boot_counter, second.fault) == (2, "")
    second.close()


async def test_each_start_counts_and_a_restored_store_gets_a_new_name(path: Path) -> None:
    names = []
    for boot in (1, 2):
        store = SqliteStore(path)
        await store.probe()
        assert store.boot_counter == boot
        names.append(store.store_id)
        store.close()
    journal = path.with_name(path.name + "-wal")
    journal.write_bytes(b"of the lost store")
    with pytest.raises(Unusable, match="-wal"):
        renew_store_id(path)
    journal.unlink()
    store = SqliteStore(path)
    await store.transact(lambda tx: tx.put_workspace(RUNNING))
    store.close()
    renewed = renew_store_id(path)
    store = SqliteStore(path)
    await store.probe()
    (after,) = await store.transact(lambda tx: tx.workspaces(0.0))
    assert after.sequence > 1_000_000, "what it says is newer than what the lost store had said"
    assert after == replace(RUNNING, sequence=after.sequence)
    assert names == [names[0]] * 2
    assert store.store_id == renewed != names[0]
    store.close()


async def test_what_was_being_started_at_the_backup_is_forgotten_by_the_restored_store(path: Path) -> None:
    store = SqliteStore(path)
    for name, handle in (("begun", "job-1"), ("beginning", "")):
        row = WorkspaceRow(
            name, Subject("https://op", "ada"), "id-ada", "hash", "env", "small", (), "T", 600, WorkspaceState.STARTING, 1,
            "[]", handle, b"", "", "", 1.0, None, None,
        )  # fmt: skip
        await store.transact(lambda tx, row=row: tx.put_workspace(row))  # type: ignore[misc]
    store.close()
    renew_store_id(path)
    store = SqliteStore(path)
    kept = [await store.transact(lambda tx, n=name: tx.workspace(n)) for name in ("begun", "beginning")]  # type: ignore[misc]
    store.close()
    assert kept[0] is not None
    assert kept[1] is None


async def test_orders_are_kept_until_acknowledged_and_forgotten_later(store: SqliteStore) -> None:
    for number in range(4):
        await store.transact(lambda tx, n=number: tx.accept_order(order(f"o{n}", float(n))))
    assert [row.order_id for row in await store.transact(lambda tx: tx.open_orders())] == ["o0", "o1", "o2", "o3"]
    for number in (2, 0, 1):
        await store.transact(lambda tx, n=number: tx.settle_order(f"o{n}", b"first", 10.0))
        await store.transact(lambda tx, n=number: tx.settle_order(f"o{n}", b"second", 11.0))
    waiting = await store.transact(lambda tx: tx.unacknowledged((0.0, ""), 2))
    assert [(row.order_id, row.result, row.body) for row in waiting] == [
        ("o0", b"first", b""),
        ("o1", b"first", b""),
    ]
    rest = await store.transact(lambda tx: tx.unacknowledged((10.0, "o1"), 2))
    assert [row.order_id for row in rest] == ["o2"]
    counts = await store.transact(lambda tx: tx.order_counts())
    assert (counts.accepted, counts.oldest_accepted, counts.unacknowledged) == (1, 3.0, 3)
    await store.transact(lambda tx: tx.acknowledge(["o0", "o2", "o3", "never"], 20.0))
    assert await store.transact(lambda tx: tx.forget(20.0, 10)) == 0
    assert await store.transact(lambda tx: tx.forget(21.0, 1)) == 1
    assert await store.transact(lambda tx: tx.forget(21.0, 10)) == 1
    left = [await store.transact(lambda tx, n=n: tx.order(f"o{n}")) for n in range(4)]
    assert [row is None for row in left] == [True, False, True, False]


async def test_the_floor_only_rises(store: SqliteStore) -> None:
    assert await store.transact(lambda tx: tx.floor()) == 0
    for epoch in (5, 3):
        await store.transact(lambda tx, e=epoch: tx.raise_floor(e))
    assert await store.transact(lambda tx: tx.floor()) == 5


async def test_after_its_end_a_store_refuses(store: SqliteStore) -> None:
    store.close()
    with pytest.raises(BackendUnavailable):
        await store.probe()
    await eventually(lambda: not store._thread.is_alive())


async def test_a_store_of_the_version_before_places_keeps_its_workspaces(path: Path) -> None:
    before = next(n for n, step in enumerate(STEPS) if "entered_place" in step)
    with sqlite3.connect(path) as db:
        for step in STEPS[:before]:
            db.executescript(step)
        db.execute(f"pragma user_version={before}")
        old = (
            "w1",
            ADA.issuer,
            ADA.sub,
            "7",
            "hash",
            "jupyter",
            "small",
            "[]",
            "T",
            600,
            "RUNNING",
            3,
            "[]",
            "h",
            b"",
            "",
            "",
            1.0,
            None,
            None,
        )
        db.execute(f"insert into workspace values ({','.join('?' * len(old))})", old)
    db.close()
    store = SqliteStore(path)
    try:
        assert await store.transact(lambda tx: tx.workspace("w1")) == RUNNING
        await store.transact(lambda tx: tx.put_workspace(replace(RUNNING, dataset="d-1")))
        assert await store.transact(lambda tx: tx.workspace("w1")) == replace(RUNNING, dataset="d-1")
        assert await store.transact(lambda tx: tx.all_entered("7")) == []
    finally:
        store.close()
