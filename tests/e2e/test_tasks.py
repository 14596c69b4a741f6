"""A reduction in Chromium: started from the dataset's page, left alone, and told of at the next visit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from deploy.demo.world import World
from tests.e2e.people import connect, serious, settle, sign_in
from tests.waiting import until

pytestmark = [pytest.mark.needs("chromium", "node", "web-client"), pytest.mark.timeout(240)]


def test_a_reduction_runs_with_nobody_watching_and_is_told_of_at_the_next_visit(
    world: World, context: BrowserContext, watched: Callable[[Page], Page], artefacts: Path
) -> None:
    page, portal = watched(context.new_page()), world.addresses.portal
    sign_in(page, world, back="/search")
    connect(page, world, "alpha")
    page.goto(f"{portal}/search?text=Lanthanum")
    page.get_by_role("link", name="Lanthanum hexaboride standard").first.click()
    page.get_by_role("link", name="Azimuthal integration").first.click()
    start = page.get_by_role("button", name="Start task")
    expect(start).to_be_enabled()
    settle(page)
    page.screenshot(path=str(artefacts / "task-form.png"), full_page=True)
    assert serious(page) == []
    start.click()
    page.wait_for_url(f"{portal}/workspaces**")
    page.goto("about:blank")
    processed = world.folder / "processed" / "alpha"
    until(lambda: bool(list(processed.glob("*/reduction-*/*.curves.h5"))), "the reduction has left its curves", 90)
    page.goto(f"{portal}/facilities")
    expect(page.get_by_text(re.compile("Azimuthal integration .*has finished at Alpha"))).to_be_visible(
        timeout=30_000
    )
    page.screenshot(path=str(artefacts / "task-news.png"))
    page.get_by_role("link", name="Show the task").click()
    expect(page.get_by_text(re.compile(r"processed/AL-2026-00\d/reduction-"))).to_be_visible()
    expect(page.get_by_role("link", name="Open")).to_have_count(0)
    settle(page)
    page.screenshot(path=str(artefacts / "task-finished.png"), full_page=True)
    assert serious(page) == []
