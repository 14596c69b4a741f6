"""A facility with a SciCat and a user office (stand-ins), seen by a person: from a link, over the archive, to a workspace."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from deploy.demo.check import free_base
from deploy.demo.people import PEOPLE
from deploy.demo.world import World
from facility_agent.testing.catalogue_world import Known
from shared.catalogue import DataFile
from tests.contracts.scicat_worlds import KEEPER, PASSWORD, pid_for, record
from tests.e2e.people import connect, serious, sign_in
from tests.standins import scicat, user_office
from tests.standins.scicat.world import lifecycle
from tests.standins.serving import serving

pytestmark = [pytest.mark.needs("chromium", "node", "web-client"), pytest.mark.timeout(240)]
TITLE = "Lysozyme, hour seven"
MINE = "BE-26-11"
BY_HAND, ELSEWHERE = "Insulin, brought back by hand", "BE-26-12"
LOGIN = PEOPLE[0].accounts["beta"][0]


class Systems:
    """Beta's own systems, served by a thread."""

    def __init__(self) -> None:
        self.scicat, self.office = scicat.SciCat(), user_office.Office()
        self.scicat.add_user(KEEPER, "admin", strategy="local", password=PASSWORD)
        record(self.scicat, Known(TITLE, MINE, "WISH", started=1_780_000_000.0, files=(DataFile("a.nxs", 5),)))
        self.row["datasetlifecycle"] = lifecycle(isOnCentralDisk=False, retrievable=True)
        record(
            self.scicat, Known(BY_HAND, ELSEWHERE, "WISH", started=1_780_000_000.0, files=(DataFile("b.nxs", 5),))
        )
        self._row(BY_HAND)["datasetlifecycle"] = lifecycle(isOnCentralDisk=False, retrievable=True)
        self.addresses: list[str] = []
        self._loop, self._up, self._end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    @property
    def row(self) -> dict[str, Any]:
        """The dataset's record."""
        return self._row(TITLE)

    def _row(self, title: str) -> dict[str, Any]:
        return next(row for row in self.scicat.datasets if row["pid"] == pid_for(title))

    def arrive(self) -> None:
        """The archive has brought it back."""
        self.row["datasetlifecycle"] = lifecycle(isOnCentralDisk=True, retrievable=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        thread.start()
        assert self._up.wait(10)
        yield
        self._loop.call_soon_threadsafe(self._end.set)
        thread.join(10)
        self._loop.close()

    async def _serve(self) -> None:
        async with serving(scicat.build(self.scicat)) as one, serving(user_office.build(self.office)) as other:
            self.addresses = [one, other]
            self._up.set()
            await self._end.wait()


class ArchiveWorld(World):
    """The demo's federation, Beta with these systems."""

    def __init__(self, systems: Systems) -> None:
        super().__init__(free_base(), say=print, query_deadline=5.0)
        self._systems = systems

    def _configure(self, modules: Path, environment: Path) -> None:
        super()._configure(modules, environment)
        site, data = self.folder / "b", self.folder / "beta-disks"
        (data / "wish" / "2026" / MINE).mkdir(parents=True)
        (data / "wish" / "2026" / MINE / "a.nxs").write_text("12345")
        self.restored = self.folder.resolve() / "beta-restored"
        (self.restored / "insulin").mkdir(parents=True)
        (self.restored / "insulin" / "b.nxs").write_text("12345")
        for each in (self.restored, self.restored / "insulin"):
            each.chmod(0o755)
        for name, secret in (("scicat", PASSWORD), ("office", self._systems.office.password)):
            path = site / f"{name}.password"
            path.write_text(secret)
            path.chmod(0o600)
        one, other = self._systems.addresses
        head, _, rest = (site / "agent.toml").read_text().partition("[catalogue]")
        _, _, tail = rest.partition("[compute]")
        (site / "agent.toml").write_text(f"""{head}[catalogue]
adapter = "scicat"
[catalogue.scicat]
url = "{one}"
username = "{KEEPER}"
password_file = "scicat.password"
retrieve_job = "retrieve"

[access]
adapter = "user_office"
[access.user_office]
url = "{other}"
username = "{self._systems.office.username}"
password_file = "office.password"

[[places]]
root = {json.dumps(str(data.resolve()))}
path = "{{instrument:lower}}/{{year}}/{{proposal}}"

[archive]
entered_below = [{json.dumps(str(self.restored))}]

[compute]{tail}""")


@pytest.fixture(scope="module")
def systems() -> Iterator[Systems]:
    if os.getuid() == 0:
        pytest.skip("the agent refuses to run as root; make test drops to an ordinary user")
    made = Systems()
    with made.running():
        yield made


@pytest.fixture(autouse=True)
def member(systems: Systems) -> None:
    """Of both proposals, whatever an earlier test took away."""
    systems.office.put(LOGIN, MINE, ELSEWHERE)


@pytest.fixture(scope="module")
def world(systems: Systems) -> Iterator[ArchiveWorld]:
    with ArchiveWorld(systems) as running:
        yield running


def test_what_was_brought_back_by_hand_is_started_from_where_a_person_says_it_lies(
    world: ArchiveWorld, context: BrowserContext, watched: Any, artefacts: Path
) -> None:
    page = watched(context.new_page())
    page.goto(f"{world.addresses.portal}/")
    sign_in(page, world)
    connect(page, world, "beta")
    page.goto(f"{world.addresses.portal}/open?pid={pid_for(BY_HAND)}")
    expect(page.get_by_role("heading", name=BY_HAND)).to_be_visible()
    expect(page.get_by_role("link", name="Analyse", exact=True)).to_have_count(0)
    assert serious(page) == []
    page.screenshot(path=artefacts / "archived-by-hand.png")
    with context.expect_page() as opened:
        page.get_by_role("link", name="Enter where the data lie").click()
    gateway = opened.value  # its refusal below is an error to the console
    expect(gateway.get_by_role("heading", name="Enter where the data lie")).to_be_visible()
    gateway.get_by_label("Folder").fill("/etc")
    gateway.get_by_role("button", name="Enter the folder").click()
    expect(gateway.get_by_role("alert")).to_be_visible()
    assert serious(gateway) == []
    gateway.screenshot(path=artefacts / "place-refused.png")
    gateway.get_by_label("Folder").fill(str(world.restored / "insulin"))
    gateway.get_by_role("button", name="Enter the folder").click()
    expect(gateway.get_by_text("The place that you entered on")).to_be_visible()
    assert serious(gateway) == []
    gateway.screenshot(path=artefacts / "place-entered.png")
    expect(page.get_by_role("link", name="Analyse", exact=True)).to_be_visible(timeout=40_000)
    page.screenshot(path=artefacts / "place-online.png")
    page.get_by_role("link", name="Analyse", exact=True).click()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/workspaces")
    expect(page.get_by_role("link", name="Open")).to_be_visible(timeout=60_000)
    (mounted,) = (world.folder / "b" / "w").glob(f"*/*/proposals/{ELSEWHERE}")
    assert mounted.resolve() == world.restored / "insulin"
    gateway.get_by_role("button", name="Take back the place").click()
    expect(gateway.get_by_text("The place that you entered on")).to_have_count(0)
    page.goto(f"{world.addresses.portal}/open?pid={pid_for(BY_HAND)}")
    expect(page.get_by_role("link", name="Enter where the data lie")).to_be_visible()
    expect(page.get_by_role("link", name="Analyse", exact=True)).to_have_count(0)


def test_from_a_link_over_the_archive_to_a_workspace(
    world: ArchiveWorld, systems: Systems, context: BrowserContext, watched: Any, artefacts: Path
) -> None:
    page = watched(context.new_page())
    link = f"{world.addresses.portal}/open?pid={pid_for(TITLE)}"
    page.goto(link)
    expect(page.get_by_text("No facility shows you a dataset with this identifier.")).to_be_visible()
    sign_in(page, world)
    connect(page, world, "beta")
    page.goto(link)
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    expect(page.get_by_role("link", name="Analyse")).to_have_count(0)
    assert serious(page) == []
    page.screenshot(path=artefacts / "archived.png")
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("This page shows it by itself.")).to_be_visible()
    assert [job["ownerGroup"] for job in systems.scicat.jobs] == [f"g-{MINE}"]
    page.screenshot(path=artefacts / "restoring.png")
    page.get_by_role("link", name="Facilities").click()
    systems.arrive()
    expect(page.get_by_text(f"{TITLE} is on disk at Beta Neutron Source now.")).to_be_visible(timeout=40_000)
    assert serious(page) == []
    page.screenshot(path=artefacts / "restored.png")
    page.get_by_role("link", name="Show the dataset").click()
    page.get_by_role("link", name="Analyse", exact=True).click()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/workspaces")
    expect(page.get_by_role("link", name="Open")).to_be_visible(timeout=60_000)
    mounted = list((world.folder / "b" / "w").glob(f"*/*/proposals/{MINE}"))
    assert len(mounted) == 1, "the site's rule said where the data lie"
    systems.office.put(LOGIN)
    page.goto(link)
    expect(page.get_by_text("No facility shows you a dataset with this identifier.")).to_be_visible()
