"""What a person does, in Chromium."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import BrowserContext, Page

from deploy.demo.people import PEOPLE, Person
from deploy.demo.world import World
from tests.components import ROOT

AXE = ROOT / "central_portal/web/node_modules/axe-core/axe.min.js"


def settle(page: Page) -> None:
    """Until the page has stopped loading."""
    page.wait_for_load_state("networkidle")


def sign_in(page: Page, world: World, person: Person = PEOPLE[0], back: str = "/facilities") -> None:
    page.goto(f"{world.addresses.portal}/signin/umbrella?return={back}")
    if "/interaction/" in page.url:
        page.click(f"button[value={person.login}]")
    page.wait_for_url(f"{world.addresses.portal}/**")


def connect(page: Page, world: World, facility: str, person: Person = PEOPLE[0], shots: Any = None) -> None:
    """From the portal's page to the gateway and back, whatever steps it needs."""
    page.goto(f"{world.addresses.portal}/connect/{facility}?return=/search")
    username, password, _ = person.accounts[facility]
    gateway = world.addresses.gateway(facility)
    page.wait_for_url(lambda url: url.startswith(gateway) or "outcome=" in url)
    if page.url.startswith(f"{gateway}/sign-on"):
        if shots:
            shots("sign-on")
        if facility == "alpha":
            page.click("button[type=submit]")
            page.click(f"button[value={username}]")
        else:
            page.fill("#username", username)
            page.fill("#password", password)
            page.click("button[type=submit]")
        page.wait_for_url(f"{gateway}/confirm")
    if page.url.startswith(f"{gateway}/confirm"):
        if shots:
            shots("confirm")
        page.click("button[value=allow]")
    page.wait_for_url(lambda url: url.startswith(world.addresses.portal))


def graphql(page: Page, query: str, **variables: Any) -> dict[str, Any]:
    """As the portal's own page asks."""
    script = """async ([query, variables]) => {
      const answer = await fetch('/graphql', {method: 'POST', headers: {'content-type': 'application/json'},
        body: JSON.stringify({query, variables})});
      return answer.json(); }"""
    answer: dict[str, Any] = page.evaluate(script, [query, variables])
    return answer


def outcomes(page: Page) -> dict[str, str]:
    """Facility → outcome of a search as the page's person."""
    found = graphql(page, "{search(query:{}){outcomes{facility{slug} outcome}}}")
    return {o["facility"]["slug"]: o["outcome"] for o in found["data"]["search"]["outcomes"]}


def serious(page: Page) -> list[str]:
    """What axe-core finds serious or critical."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {v['id']} ({v['impact']}): {json.dumps([n['html'] for n in v['nodes']][:3])}"
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def new_page(context: BrowserContext) -> Page:
    return context.new_page()
