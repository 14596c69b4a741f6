"""What a facility's inventory means for the centre's rows: unknown is not gone, a lost store loses no workspace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from central_portal import writer
from central_portal.database import in_database
from central_portal.link import orders
from central_portal.link.ports import OrderState
from central_portal.workspaces import store
from central_portal.workspaces.events import PortalEvents
from shared.workspaces import WorkspaceInventory, WorkspaceReport, WorkspaceState
from tests.integration.test_api import started
from tests.integration.test_orders import Scene

pytestmark = pytest.mark.usefixtures("database")


async def told(scene: Scene, *reports: WorkspaceReport, unowned: tuple[str, ...] = ()) -> None:
    inventory = WorkspaceInventory(reports, unowned, complete=True)
    await scene.portal.reports.inventory("alpha", scene.portal.epochs["alpha"], inventory)


async def running() -> Scene:
    """A workspace that alpha has reported as running, at sequence 5."""
    scene = await Scene().begin()
    await scene.portal.connect("alpha", started)
    await scene.launch()
    await told(scene, WorkspaceReport(scene.number, 5, WorkspaceState.RUNNING))
    assert (await scene.look())["state"] == "RUNNING"
    return scene


async def test_what_is_not_named_is_unknown_until_it_is_reported_again() -> None:
    scene = await running()
    await told(scene)
    assert (await scene.look())["state"] == "UNKNOWN"
    first = await in_database(store.get)(scene.number)
    await told(scene)
    assert await in_database(store.get)(scene.number) == first, "nothing has changed"
    await told(scene, WorkspaceReport(scene.number, 6, WorkspaceState.RUNNING))
    assert (await scene.look())["state"] == "RUNNING"


async def test_what_was_never_reported_is_left_to_its_order() -> None:
    scene = await Scene().begin()
    await scene.launch()
    await scene.portal.connect("alpha", started)
    await told(scene)
    assert (await scene.look())["state"] == "REQUESTED"


async def test_what_runs_without_a_row_loses_its_order_and_stays() -> None:
    scene = await Scene().begin()
    await scene.launch()
    await scene.portal.connect("alpha", started)
    await told(scene, unowned=(scene.number,))
    seen = await scene.look()
    assert (seen["state"], seen["problem"]) == ("UNKNOWN", {"code": "STORE_LOST"})
    standing = await in_database(orders.standing)(scene.number)
    assert standing is not None
    assert standing.state is OrderState.LOST
    first = await in_database(store.get)(scene.number)
    await told(scene, unowned=(scene.number, "no id", "../etc"))
    assert await in_database(store.get)(scene.number) == first, "nothing has changed"
    scene.portal.agents.deliver("alpha")
    await scene.portal.agents.idle()
    assert scene.asked == [], "it is not started a second time"


async def test_another_facility_can_lose_nothing_of_this_one() -> None:
    scene = await running()
    await scene.portal.connect("beta", started)
    inventory = WorkspaceInventory((), (scene.number,), complete=True)
    await scene.portal.reports.inventory("beta", scene.portal.epochs["beta"], inventory)
    assert (await scene.look())["state"] == "RUNNING"


async def test_what_cannot_be_kept_now_may_be_said_again_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "central_portal")
    scene = await running()
    events, epoch = (
        PortalEvents(scene.portal.facilities, scene.portal.reports, scene.portal.wakes),
        scene.portal.epochs["alpha"],
    )
    ended = WorkspaceReport(scene.number, 6, WorkspaceState.ENDED)
    with monkeypatch.context() as full:
        full.setattr(writer, "WAITING", 0)
        assert not await events.reported("alpha", epoch, ended)
        assert not await events.connected("alpha", epoch, WorkspaceInventory())
    assert await events.reported("alpha", epoch - 1, ended), "a newer session says what is true"
    assert await events.reported("alpha", epoch, replace(ended, sequence=2**70)), "it never can be"
    assert (await scene.look())["state"] == "RUNNING"
    assert await events.reported("alpha", epoch, ended)
    assert (await scene.look())["state"] == "ENDED"
