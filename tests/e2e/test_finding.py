"""Finding one's data in Chromium, by keyboard: proposals of all facilities, one of them with its data, filters and order."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from deploy.demo.people import PEOPLE
from deploy.demo.world import World
from tests.e2e.people import connect, settle, sign_in

pytestmark = [pytest.mark.needs("chromium", "node", "web-client"), pytest.mark.timeout(300)]


def test_ones_own_proposals_of_all_facilities_and_one_with_its_data(
    world: World, context: BrowserContext, watched: Callable[[Page], Page], artefacts: Path
) -> None:
    page, portal = watched(context.new_page()), world.addresses.portal
    page.goto(f"{portal}/proposals")
    expect(page.get_by_text("Sign in to see your proposals.")).to_be_visible()
    sign_in(page, world, back="/proposals")
    for facility in ("alpha", "beta"):
        connect(page, world, facility)
    page.goto(f"{portal}/search")
    page.get_by_role("link", name="Your proposals").press("Enter")
    expect(page.get_by_role("heading", name="Your proposals")).to_be_visible()
    mine = {pid for pids in PEOPLE[0].proposals.values() for pid in pids}
    expect(page.get_by_role("article")).to_have_count(len(mine))
    assert {heading.inner_text() for heading in page.locator("article h2").all()} == mine
    expect(page.get_by_text("Every facility answered in full")).to_be_visible()
    page.screenshot(path=str(artefacts / "30-proposals.png"), full_page=True)
    page.get_by_role("searchbox").fill("be-26")
    expect(page.get_by_role("article")).to_have_count(1)
    assert page.url.endswith("/proposals?q=be-26")
    page.goto(f"{portal}/proposals")
    page.get_by_role("link", name="AL-2026-001", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1, name="AL-2026-001")).to_be_visible()
    expect(page.get_by_role("link", name="Lanthanum hexaboride standard")).to_be_visible()
    expect(page.get_by_text("P02 Powder").first).to_be_visible()
    assert page.get_by_role("article").count() == 3
    settle(page)
    page.screenshot(path=str(artefacts / "31-proposal.png"), full_page=True)


def test_filters_are_set_by_keyboard_and_kept_in_the_address(
    world: World, context: BrowserContext, watched: Callable[[Page], Page], artefacts: Path
) -> None:
    page, portal = watched(context.new_page()), world.addresses.portal
    page.goto(f"{portal}/search")
    expect(page.get_by_text("Gold nanoparticles").first).to_be_visible()
    everything = page.get_by_role("article").count()
    technique = page.get_by_role("combobox", name="Add a technique")
    technique.press_sequentially("small angle x-ray scatt")
    technique.press("Enter")
    expect(page.get_by_text("Several techniques fit")).to_be_visible()
    technique.fill("x-ray scattering")
    technique.press("Enter")
    page.wait_for_url(re.compile("technique="))
    expect(page.get_by_role("article")).not_to_have_count(everything)
    expect(page.get_by_role("checkbox", name=re.compile("x-ray scattering", re.IGNORECASE)).first).to_be_checked()
    address = page.url
    page.reload()
    expect(page.get_by_role("checkbox", name=re.compile("x-ray scattering", re.IGNORECASE)).first).to_be_checked()
    assert page.url == address
    sample = page.get_by_role("searchbox", name="Sample")
    sample.fill("nothing like it")
    sample.press("Enter")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.get_by_role("link", name=re.compile("Remove 2 filters")).press("Enter")
    expect(page.get_by_role("article")).to_have_count(everything)
    page.get_by_role("searchbox", name=re.compile("Search data")).fill("gold")
    order = page.get_by_role("combobox", name="Sort by")
    order.select_option("Best match first")
    page.wait_for_url(re.compile("sort=relevance"))
    expect(page.get_by_text("Gold nanoparticles").first).to_be_visible()
    page.get_by_role("button", name="Every facility answered in full").press("Enter")
    expect(page.get_by_text("The portal’s copy was read").first).to_be_visible()
    settle(page)
    page.screenshot(path=str(artefacts / "32-search-filtered.png"), full_page=True)
