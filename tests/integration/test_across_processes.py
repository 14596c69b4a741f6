"""What one process changes, who waits in another hears of: by a hint at once, without one from the rows."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from central_portal.database import in_database
from central_portal.identity.services import Identity
from central_portal.identity.watch import SessionWatch
from central_portal.link.ports import Topic
from central_portal.link.wakes_memory import MemoryWakes
from central_portal.workspaces import store
from central_portal.workspaces.broadcast import Broadcaster
from central_portal.workspaces.logic import WorkspaceView
from shared.identity import Subject
from shared.wire.commands import encode_body
from shared.wire.proof import hashed
from shared.workspaces import WorkspaceState
from tests.integration.portal import Agents
from tests.link_parts import eventually

pytestmark = pytest.mark.usefixtures("database")


class Side:
    """One process: what it tells through `wakes`, and what it follows."""

    def __init__(self, wakes: MemoryWakes) -> None:
        self.wakes, self.watch, self.broadcaster = wakes, SessionWatch(wakes), Broadcaster(wakes)
        self.identity = Identity(Agents(), encode_body, 3600.0, self.watch)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work()) for work in (self.watch.follow, self.broadcaster.follow)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(params=["hints", "no hints"])
def sides(request: pytest.FixtureRequest) -> tuple[Side, Side]:
    """Two processes; without hints as when everything is lost between them."""
    wakes = MemoryWakes()
    return Side(wakes), Side(wakes if request.param == "hints" else MemoryWakes())


async def signed_in(side: Side) -> tuple[str, int]:
    """A new person's cookie and number."""
    subject = Subject("http://op", f"ada-{uuid.uuid4()}")
    cookie = await side.identity.sign_in("", subject, "Ada", "op", f"sid-{uuid.uuid4()}", "t")
    caller = await side.identity.caller({"__Host-parasol": cookie})
    assert caller is not None
    return cookie, caller.person_id


async def workspace(person: int, clock: float) -> WorkspaceView:
    """A stored workspace."""
    view = WorkspaceView(
        str(uuid.uuid4()), person, "alpha", "jupyter", "Notebook", "small", (), "", "T", 60,
        WorkspaceState.REQUESTED, 0, (), "", "", clock, clock,
    )  # fmt: skip
    await in_database(store.insert)([view])
    return view


async def change(side: Side, view: WorkspaceView, **fields: Any) -> WorkspaceView:
    """What the hub's process does with a report."""
    done = await in_database(store.change)(view.id, lambda row: replace(row, **fields))
    assert done is not None
    side.broadcaster.publish(done[0])
    return done[0]


async def test_a_change_of_a_workspace_reaches_its_watcher_elsewhere_once(
    sides: tuple[Side, Side], clock: float
) -> None:
    here, there = sides
    _, person = await signed_in(here)
    _, stranger = await signed_in(here)
    mine, foreign = await workspace(person, clock - 3600), await workspace(stranger, clock - 3600)
    async with there.following():
        with there.broadcaster.watch(person) as queue:
            await change(here, foreign, state=WorkspaceState.RUNNING, changed_at=clock)
            running = await change(here, mine, state=WorkspaceState.RUNNING, sequence=2, changed_at=clock)
            async with asyncio.timeout(3.0):
                assert await queue.get() == running
            await change(here, running, seen_at=clock + 5)
            ended = await change(here, running, state=WorkspaceState.ENDED, sequence=3, changed_at=clock + 1)
            seen: list[WorkspaceView | None] = []

            def has_ended() -> bool:
                while not queue.empty():
                    seen.append(queue.get_nowait())
                return any(view is not None and view.state is WorkspaceState.ENDED for view in seen)

            await eventually(has_ended, 3.0)
            assert {view.id for view in seen if view} == {mine.id}
            assert [view for view in seen if view and view.state is WorkspaceState.ENDED] == [
                replace(ended, seen_at=seen[-1].seen_at if seen[-1] else None)
            ]
    assert not there.broadcaster._queues


async def test_a_session_that_ends_or_moves_elsewhere_is_told_once(sides: tuple[Side, Side]) -> None:
    here, there = sides
    ending, _ = await signed_in(here)
    moving, _ = await signed_in(here)
    staying, _ = await signed_in(here)
    told: list[str] = []
    async with there.following():
        for cookie in (ending, moving, staying):
            there.watch.on_end(hashed(cookie), lambda cookie=cookie: told.append(cookie))  # type: ignore[misc]
        caller = await here.identity.caller({"__Host-parasol": ending})
        assert caller is not None
        await here.identity.end(caller)
        assert await here.identity.renew(moving)
        await eventually(lambda: {ending, moving} <= set(told), 3.0)
    assert sorted(told) == sorted([ending, moving])


async def test_a_hint_that_lies_ends_nothing() -> None:
    wakes = MemoryWakes()
    side = Side(wakes)
    cookie, _ = await signed_in(side)
    told: list[str] = []
    async with side.following():
        side.watch.on_end(hashed(cookie), lambda: told.append(cookie))
        wakes.tell(Topic.SESSION, hashed(cookie))
        wakes.tell(Topic.SESSION, None)
        wakes.tell(Topic.WORKSPACE, "not-a-number/x")
        with suppress(TimeoutError):
            await eventually(lambda: bool(told), 0.3)
    assert told == []


async def test_who_unsubscribed_is_not_looked_up(sides: tuple[Side, Side]) -> None:
    here, there = sides
    cookie, _ = await signed_in(here)
    undo = there.watch.on_end(hashed(cookie), lambda: pytest.fail("nobody waits"))
    undo()
    caller = await here.identity.caller({"__Host-parasol": cookie})
    assert caller is not None
    await here.identity.end(caller)
    await there.watch.look()
    assert not there.watch._waiting


async def test_a_watcher_is_told_what_a_change_of_the_facility_changes(clock: float) -> None:
    side = Side(MemoryWakes())
    _, person = await signed_in(side)
    living = await workspace(person, clock)
    over = await workspace(person, clock)
    await change(side, over, state=WorkspaceState.ENDED)
    with side.broadcaster.watch(person) as queue:
        side.broadcaster.facility_changed("beta")
        side.broadcaster.facility_changed("alpha")
        async with asyncio.timeout(5):
            assert await queue.get() == living
        assert queue.empty()
    assert side.broadcaster._told is None, "a centre in one process remembers nothing of what it told"


@pytest.fixture
def clock() -> float:
    import time

    return float(int(time.time()))
