"""The scientist's journey in Chromium: every page with a screenshot, no console errors, no serious accessibility fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from deploy.demo.world import World
from tests.e2e.people import connect, serious, settle, sign_in

pytestmark = [pytest.mark.needs("chromium", "node", "web-client"), pytest.mark.timeout(300)]


def test_the_journey_with_a_screenshot_of_every_page(
    world: World, context: BrowserContext, watched: Callable[[Page], Page], artefacts: Path
) -> None:
    page = watched(context.new_page())
    number = 0

    def shot(name: str) -> None:
        nonlocal number
        number += 1
        settle(page)
        page.screenshot(path=str(artefacts / f"{number:02d}-{name}.png"), full_page=True)

    portal = world.addresses.portal
    page.goto(f"{portal}/")
    expect(page.get_by_role("heading", name="Alpha Light Source")).to_be_visible()
    shot("facilities")
    page.get_by_role("link", name="Alpha Light Source", exact=True).click()
    expect(page.get_by_text("Electronic logbook")).to_be_visible()
    shot("facility")
    page.goto(f"{portal}/search")
    expect(page.get_by_text("Gold nanoparticles").first).to_be_visible()
    shot("search-as-a-stranger")
    sign_in(page, world, back="/search")
    shot("search-signed-in")
    connect(page, world, "alpha", shots=shot)
    expect(page.get_by_text("Lanthanum hexaboride standard").first).to_be_visible()
    shot("search-linked")
    connect(page, world, "beta", shots=shot)
    page.goto(f"{portal}/account")
    shot("account")
    page.goto(f"{portal}/search")
    page.get_by_role("button", name="Analyse Lanthanum").first.click()
    shot("launch-dialog")
    page.get_by_role("dialog").get_by_role("button", name="Start Notebook").click()
    page.wait_for_url(f"{portal}/workspaces**")
    shot("workspaces-starting")
    expect(page.get_by_text("Running").first).to_be_visible(timeout=60_000)
    shot("workspaces-running")
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open").first.click()
    lab = opened.value
    lab.wait_for_selector("#jp-main-dock-panel", timeout=60_000)
    expect(lab.get_by_text("analysis.ipynb").first).to_be_visible(timeout=30_000)
    lab.screenshot(path=str(artefacts / "20-jupyterlab.png"))
    lab.close()
    page.goto(f"{portal}/workspaces")
    page.get_by_role("button", name="Stop").first.click()
    page.get_by_role("alertdialog").or_(page.get_by_role("dialog")).get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Ended").first).to_be_visible(timeout=30_000)
    shot("workspaces-ended")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(world: World, browser: Browser, scheme: str, width: int) -> None:
    # bypass_csp lets axe into the page; everything else of the page is as it is
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        bypass_csp=True,  # type: ignore[arg-type]
    )
    page = context.new_page()
    found: list[str] = []
    portal = world.addresses.portal
    for path in ("/facilities", "/facilities/alpha", "/search"):
        page.goto(portal + path)
        settle(page)
        found += serious(page)
    sign_in(page, world)
    for path in (
        "/search",
        "/search?q=silver&technique=tomography&sample=x",
        "/proposals",
        "/workspaces",
        "/account",
    ):
        page.goto(portal + path)
        settle(page)
        found += serious(page)
        if width == 390:
            wide = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{path} scrolls {wide} px sideways"
    page.goto(f"{world.addresses.gateway('alpha')}/")
    found += serious(page)
    context.close()
    assert not found, "\n".join(found)
