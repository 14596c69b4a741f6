"""One federation for all browser tests, one browser, and a context per test in which any console error fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from deploy.demo.check import free_base
from deploy.demo.world import World
from tests.components import ROOT, missing, path_of

DEADLINE_S = 4.0
"""Of a query to a facility: what a busy machine needs, and what is waited for one that is frozen."""
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    if os.getuid() == 0:
        pytest.skip("the agent refuses to run as root; make test drops to an ordinary user")
    with World(free_base(), say=print, query_deadline=DEADLINE_S) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    what = missing("chromium")
    if what:
        pytest.skip(f"needs chromium: {what}")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path_of("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    fresh = browser.new_context(viewport={"width": 1280, "height": 900})
    fresh.set_default_timeout(15_000)
    yield fresh
    fresh.close()


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """Where screenshots stay: the checkout's `artefacts/`, or below home when the checkout is not ours."""
    folder = ROOT / "artefacts"
    if not os.access(folder if folder.exists() else ROOT, os.W_OK):
        folder = Path.home() / "parasol-artefacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def watched(world: World) -> Iterator[Callable[[Page], Page]]:
    """Marks a page whose console must stay free of errors on the portal's and the gateways' own origins."""
    errors: list[str] = []
    ours = (world.addresses.portal, world.addresses.gateway("alpha"), world.addresses.gateway("beta"))

    def note(message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type in ("error", "warning") and where.startswith(ours):
            errors.append(f"{message.type} at {where}: {message.text}")

    def watch(page: Page) -> Page:
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(f"uncaught on {page.url}: {error}"))
        return page

    yield watch
    assert not errors, "\n".join(errors)
