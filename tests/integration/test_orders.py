"""Orders at the centre: they wait, are taken back, expire, and are settled once, by the newest session alone."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from central_portal.link.orders import OrderRows
from central_portal.link.ports import OrderAnswer, Overtaken
from shared.commands import Answer, Problem, Verb
from shared.facilities import Outcome
from shared.limits import LIMITS
from shared.workspaces import WorkspaceReport, WorkspaceState
from tests.integration.test_api import LAUNCH, portal, started, wish

pytestmark = pytest.mark.usefixtures("database")
LOOK = "query($i: ID!){workspace(id:$i){state waitsUntil stopRequestedAt problem{code}}}"
STOP = "mutation($i: StopWorkspaceInput!){stopWorkspace(input:$i){workspace{state stopRequestedAt} problem{code}}}"
UNLINK = "mutation($i: UnlinkAccountInput!){unlinkAccount(input:$i){waiting problem{code}}}"


class Scene:
    """A person with a grant at alpha, which has connected once and is away."""

    def __init__(self) -> None:
        self.portal, self.number = portal(), str(uuid.uuid4())
        self.cookie = ""

    async def begin(self) -> Scene:
        await self.portal.connect("alpha", started)
        await self.portal.disconnect("alpha")
        self.cookie = await self.portal.person(f"ada-{self.number[:8]}", "alpha")
        return self

    async def launch(self) -> dict[str, Any]:
        answer = await self.portal.ask(LAUNCH, wish(self.number), self.cookie)
        assert answer["data"]["launchWorkspace"]["problem"] is None
        made: dict[str, Any] = answer["data"]["launchWorkspace"]["workspace"]
        return made

    async def look(self) -> dict[str, Any]:
        seen = await self.portal.ask(LOOK, {"i": f"Workspace:{self.number}"}, self.cookie)
        found: dict[str, Any] = seen["data"]["workspace"]
        return found

    async def stop(self) -> dict[str, Any]:
        answer = await self.portal.ask(STOP, {"i": {"id": f"Workspace:{self.number}"}}, self.cookie)
        stopped: dict[str, Any] = answer["data"]["stopWorkspace"]
        return stopped

    async def back(self) -> None:
        """Alpha connects again, and everything that waited has been delivered and answered."""
        await self.portal.connect("alpha", started)
        self.portal.agents.deliver("alpha")
        await self.portal.agents.idle()

    @property
    def asked(self) -> list[Verb]:
        mine = f"grant-ada-{self.number[:8]}-alpha"
        return [verb for _, verb, grant in self.portal.agents.asked if grant == mine]


@pytest.fixture
async def scene() -> Scene:
    return await Scene().begin()


async def test_a_launch_waits_for_a_facility_that_is_away(scene: Scene) -> None:
    assert (await scene.launch())["state"] == "REQUESTED"
    assert (await scene.look())["waitsUntil"] is not None
    assert scene.asked == []
    await scene.back()
    seen = await scene.look()
    assert (seen["state"], seen["waitsUntil"]) == ("STARTING", None)
    assert scene.asked == [Verb.LAUNCH]
    await scene.back()
    assert scene.asked == [Verb.LAUNCH], "a settled order is not delivered again"


async def test_what_was_never_sent_can_be_taken_back(scene: Scene) -> None:
    await scene.launch()
    stopped = await scene.stop()
    assert (stopped["workspace"]["state"], stopped["problem"]) == ("ENDED", None)
    assert (await scene.look())["problem"] == {"code": "CANCELLED"}
    await scene.back()
    assert scene.asked == []


async def test_stopping_waits_and_is_asked_once(scene: Scene) -> None:
    await scene.back()
    await scene.launch()
    await scene.portal.disconnect("alpha")
    for _ in range(2):
        stopped = await scene.stop()
        assert stopped["problem"] is None
        assert stopped["workspace"]["stopRequestedAt"] is not None
    await scene.portal.age_orders(30 * LIMITS.order_life)
    assert (await scene.look())["state"] == "UNKNOWN", "it is away, so nobody can tell"
    await scene.back()
    assert scene.asked == [Verb.LAUNCH, Verb.STOP]
    assert (await scene.look())["state"] == "ENDED"


async def test_a_launch_expires_when_it_was_never_sent(scene: Scene) -> None:
    await scene.launch()
    await scene.portal.age_orders(LIMITS.order_life - 5)
    await scene.portal.reports.sweep()
    assert (await scene.look())["state"] == "REQUESTED"
    await scene.portal.age_orders(6)
    await scene.portal.reports.sweep()
    seen = await scene.look()
    assert (seen["state"], seen["problem"]) == ("FAILED", {"code": "EXPIRED"})
    await scene.back()
    assert scene.asked == []


async def test_what_may_have_been_sent_never_expires_at_the_centre(scene: Scene) -> None:
    async def silent(*_: Any) -> Answer:
        await scene.portal.agents.never.wait()
        raise AssertionError

    await scene.portal.connect("alpha", silent)
    await scene.launch()
    await scene.portal.disconnect("alpha")
    await scene.portal.age_orders(2 * LIMITS.order_life)
    await scene.portal.reports.sweep()
    assert (await scene.look())["state"] == "REQUESTED"
    stopped = await scene.stop()
    assert stopped["workspace"]["state"] == "REQUESTED", "only the facility can say whether it had begun"


async def test_an_overtaken_session_settles_nothing(scene: Scene) -> None:
    await scene.launch()
    await scene.portal.connect("alpha", started)
    newest = scene.portal.epochs["alpha"]
    said = OrderAnswer(scene.number, lambda _: Answer(Outcome.FAILED, problem=Problem("BACKEND_FAILED", "No.")))
    for epoch in (newest - 1, newest + 1):
        with pytest.raises(Overtaken):
            await scene.portal.reports.settled("alpha", epoch, [said])
        report = WorkspaceReport(scene.number, 5, WorkspaceState.RUNNING)
        with pytest.raises(Overtaken):
            await scene.portal.reports.reported("alpha", epoch, report)
    assert (await scene.look())["state"] == "REQUESTED"
    assert list(await scene.portal.reports.settled("alpha", newest, [said])) == [scene.number]
    assert (await scene.look())["state"] == "FAILED"


async def test_a_result_counts_once_and_another_facilitys_never(scene: Scene) -> None:
    await scene.launch()
    await scene.portal.connect("beta", started)
    await scene.portal.connect("alpha", started)
    running = Answer(Outcome.OK, WorkspaceReport(scene.number, 4, WorkspaceState.RUNNING))
    gone = Answer(Outcome.FAILED, problem=Problem("BACKEND_FAILED", "No."))
    epochs = scene.portal.epochs
    foreign = await scene.portal.reports.settled(
        "beta", epochs["beta"], [OrderAnswer(scene.number, lambda _: gone)]
    )
    assert list(foreign) == [scene.number], "it may forget what means nothing here"
    assert (await scene.look())["state"] == "REQUESTED"
    for answer in (running, gone):
        said = OrderAnswer(scene.number, lambda _, said=answer: said)  # type: ignore[misc]
        assert list(await scene.portal.reports.settled("alpha", epochs["alpha"], [said])) == [scene.number]
    assert (await scene.look())["state"] == "RUNNING"


async def test_unlinking_waits_too_and_the_grants_go_at_once(scene: Scene) -> None:
    answer = await scene.portal.ask(UNLINK, {"i": {"facility": "Facility:alpha"}}, scene.cookie)
    assert answer["data"]["unlinkAccount"] == {"waiting": True, "problem": None}
    refused = await scene.portal.ask(LAUNCH, wish(scene.number), scene.cookie)
    assert refused["data"]["launchWorkspace"]["problem"]["code"] == "SIGN_IN_NEEDED"
    await scene.back()
    assert scene.asked == [Verb.UNLINK]


async def test_what_is_taken_back_while_it_goes_out_is_not_sent(scene: Scene) -> None:
    await scene.launch()
    queue = OrderRows()
    (order,) = (order for order in await queue.open_of({"alpha": ()}, 500) if order.id == scene.number)
    await scene.stop()
    assert await queue.sent([order.id]) == set()
    assert (await scene.look())["problem"] == {"code": "CANCELLED"}


async def test_what_goes_out_cannot_be_taken_back(scene: Scene) -> None:
    await scene.launch()
    assert await OrderRows().sent([scene.number, str(uuid.uuid4())]) == {scene.number}
    await scene.stop()
    assert (await scene.look())["problem"] is None, "only the facility can say whether it had begun"
