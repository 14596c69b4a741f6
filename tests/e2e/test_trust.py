"""What a hostile page, a second person and a stolen code can do in Chromium: nothing."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from deploy.demo.journey import LAUNCH
from deploy.demo.people import PEOPLE
from deploy.demo.world import World
from tests.e2e.people import connect, graphql, outcomes, settle, sign_in
from tests.waiting import http_status, until

pytestmark = [pytest.mark.needs("chromium", "node", "web-client"), pytest.mark.timeout(240)]

WORKSPACES = "{workspaces{nodes{uuid state openUrl}}}"


def launch(page: Page) -> str:
    """A running workspace of the page's person at Alpha; its address."""
    name, number = "AL-2026-001", str(uuid.uuid4())
    made = graphql(
        page, LAUNCH,
        i={"id": number, "environment": "Environment:alpha:jupyter", "flavour": "Flavour:alpha:small",
           "proposals": [name], "title": "Trust", "lifetimeSeconds": 3600},
    )  # fmt: skip
    assert made["data"]["launchWorkspace"]["problem"] is None, made

    def running() -> str:
        nodes = graphql(page, WORKSPACES)["data"]["workspaces"]["nodes"]
        return next((n["openUrl"] for n in nodes if n["uuid"] == number and n["state"] == "RUNNING"), "")

    return until(running, "the workspace runs", 60)


def stop_all(page: Page) -> None:
    stop = "mutation($i: StopWorkspaceInput!){stopWorkspace(input:$i){problem{code}}}"
    for node in graphql(page, WORKSPACES)["data"]["workspaces"]["nodes"]:
        if node["state"] == "RUNNING":
            graphql(page, stop, i={"id": f"Workspace:{node['uuid']}"})


@pytest.fixture
def ada(world: World, context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    sign_in(page, world)
    connect(page, world, "alpha")
    yield page
    if page.url.startswith(world.addresses.portal) and graphql(page, "{me{name}}")["data"]["me"]:
        stop_all(page)


def links(world: World) -> list[tuple[Any, ...]]:
    """Everything that an account link or a consent is, in both agents' stores."""
    rows: list[tuple[Any, ...]] = []
    for facility in ("a", "b"):
        with sqlite3.connect(world.folder / facility / "state" / "agent.sqlite3") as db:
            rows += db.execute("select sub, username, generation, active from link order by 1").fetchall()
            rows += db.execute("select sub, scopes from consent order by 1").fetchall()
    return rows


TRY = """async ([kind, url]) => {
  if (kind === 'socket') return new Promise((done) => { const s = new WebSocket(url);
    s.onopen = () => done('OPEN'); s.onclose = (e) => done('closed ' + e.code); });
  if (kind === 'frame') return new Promise((done) => { const f = document.createElement('iframe'); f.src = url;
    f.onload = () => { let seen = 'opaque'; try { seen = f.contentDocument ? 'READ ' + f.contentDocument.body.innerText.slice(0, 40) : 'opaque'; }
      catch (e) { seen = e.name; } done(seen); }; document.body.append(f); });
  const options = {credentials: 'include', method: kind === 'post' ? 'POST' : 'GET'};
  if (kind === 'post') { options.mode = 'no-cors'; options.body = '{}'; }
  try { const r = await fetch(url, options); return r.type + ' ' + r.status; } catch (e) { return 'ERR'; } }"""


def test_a_page_in_a_workspace_reaches_nothing_else(world: World, context: BrowserContext, ada: Page) -> None:
    mine, sibling = launch(ada), launch(ada)
    at = world.addresses
    other = context.new_page()
    other.goto(sibling)
    evil = context.new_page()
    evil.goto(mine)
    evil.wait_for_load_state()
    before = links(world)
    gateway, portal = at.gateway("alpha"), at.portal
    for kind, url in (
        ("post", f"{gateway}/confirm"), ("post", f"{gateway}/sign-on"), ("post", f"{portal}/graphql"),
        ("post", f"{portal}/signout"), ("post", f"{portal}/session/renew"),
        ("get", f"{portal}/graphql"), ("get", f"{sibling}api/kernels"), ("get", f"{gateway}/confirm"),
        ("socket", f"{sibling}api/events/subscribe".replace("http", "ws", 1)),
        ("socket", f"{portal}/graphql".replace("http", "ws", 1)), ("socket", f"{gateway}/x".replace("http", "ws", 1)),
        ("frame", f"{gateway}/confirm"), ("frame", sibling), ("frame", f"{portal}/account"),
    ):  # fmt: skip
        seen = evil.evaluate(TRY, [kind, url])
        assert seen != "OPEN", f"{kind} {url}: {seen}"
        assert not seen.startswith(("READ", "basic", "cors")), f"{kind} {url}: {seen}"
    evil.evaluate(
        """(hosts) => { for (const host of hosts) document.cookie = '__Host-parasol-gateway=evil; path=/; secure; domain=' + host;
        for (const host of hosts) document.cookie = 'planted=1; path=/; domain=' + host; }""",
        ["alpha.localhost", "portal.localhost", "localhost"],
    )
    planted = [
        c
        for url in (gateway, portal)
        for c in context.cookies(url)
        if c["name"] == "planted" or c["value"] == "evil"
    ]
    assert planted == []
    form = context.new_page()
    form.goto(f"{mine}api")  # a page of the workspace without JupyterLab's own question on leaving
    form.evaluate(
        """(url) => { const f = document.createElement('form'); f.method = 'POST'; f.action = url;
        document.body.append(f); f.submit(); }""",
        f"{gateway}/confirm",
    )
    expect(form.locator("body")).to_contain_text("FOREIGN_ORIGIN")
    ada.goto(f"{portal}/account")
    assert graphql(ada, "{me{name}}")["data"]["me"] is not None, "a hostile page signed the person out"
    assert links(world) == before


def test_another_person_and_a_stranger_cannot_open_a_workspace(world: World, browser: Browser, ada: Page) -> None:
    address = launch(ada)
    second = browser.new_context()
    page = second.new_page()
    page.goto(address)
    assert page.url.startswith(world.addresses.umbrella), "a stranger is asked who they are"
    page.click("button[value=ben]")
    expect(page.get_by_role("heading", name="This workspace is not yours")).to_be_visible()
    second.close()


def test_two_tabs_ask_for_grants_at_once(world: World, context: BrowserContext, ada: Page) -> None:
    one, two = context.new_page(), context.new_page()
    passed: dict[Page, list[str]] = {one: [], two: []}
    for tab, addresses in passed.items():
        tab.goto(f"{world.addresses.portal}/facilities")
        tab.on("framenavigated", lambda frame, addresses=addresses: addresses.append(frame.url))
    for tab in passed:
        tab.evaluate("location.assign('/connect/alpha/start?return=/search')")
    for tab, addresses in passed.items():
        tab.wait_for_url(lambda url: urlsplit(url).path == "/search")
        assert any("outcome=OK" in address for address in addresses), addresses  # the page takes it away at once
    assert outcomes(ada)["alpha"] == "OK"


def test_a_second_person_on_the_same_browser_inherits_nothing(
    world: World, context: BrowserContext, ada: Page
) -> None:
    assert outcomes(ada)["alpha"] == "OK"
    page = context.new_page()
    page.goto(f"{world.addresses.umbrella}/session/end")
    page.click("button[name=logout]")
    settle(page)
    sign_in(page, world, PEOPLE[1])
    assert graphql(page, "{me{name}}")["data"]["me"]["name"] == PEOPLE[1].name
    assert outcomes(page)["alpha"] == "SIGN_IN_NEEDED"
    assert graphql(page, WORKSPACES)["data"]["workspaces"]["nodes"] == []


def test_sign_out_at_the_provider_ends_everything_within_five_seconds(
    world: World, context: BrowserContext, ada: Page
) -> None:
    address = launch(ada)
    lab = context.new_page()
    lab.goto(address)
    lab.evaluate(
        """(url) => new Promise((done, fail) => { window.codes = []; const s = new WebSocket(url);
        s.onopen = done; s.onerror = fail; s.onclose = (e) => window.codes.push(e.code); })""",
        address.replace("http", "ws", 1) + "api/events/subscribe",
    )
    page = context.new_page()
    page.goto(f"{world.addresses.umbrella}/session/end")
    page.click("button[name=logout]")
    settle(page)
    lab.wait_for_function("window.codes.length > 0", timeout=5000)
    until(lambda: graphql(ada, "{me{name}}")["data"]["me"] is None, "the portal's session has ended", 5)
    with sqlite3.connect(world.folder / "a" / "state" / "agent.sqlite3") as db:
        until(
            lambda: db.execute("select count(*) from grant_ where sid in (select sid from ended_sid)").fetchone()[0] == 0,
            "the grants are gone", 5,
        )  # fmt: skip
    lab.goto(address)
    assert lab.url.startswith(world.addresses.umbrella), "the workspace's door is shut"


def test_a_code_redeemed_after_sign_out_is_refused(world: World, context: BrowserContext, ada: Page) -> None:
    page = context.new_page()
    page.goto(f"{world.addresses.portal}/facilities")
    held: list[dict[str, Any]] = []
    tools = context.new_cdp_session(page)
    tools.send("Fetch.enable", {"patterns": [{"urlPattern": "*/connect/callback*"}]})
    tools.on("Fetch.requestPaused", lambda event: held.append(event))
    page.evaluate("location.assign('/connect/alpha/start?return=/search')")
    until(lambda: page.wait_for_timeout(50) or held, "the code is on its way", 10)
    out = context.new_page()
    out.goto(f"{world.addresses.umbrella}/session/end")
    out.click("button[name=logout]")
    settle(out)
    tools.send("Fetch.continueRequest", {"requestId": held[0]["requestId"]})
    page.wait_for_url(lambda url: "/connect/callback" not in url)
    sign_in(page, world)
    assert outcomes(page)["alpha"] == "SIGN_IN_NEEDED", "a code outlived the sign-out"


def test_a_dead_gateway_leaves_the_person_on_a_portal_page(
    world: World, context: BrowserContext, ada: Page
) -> None:
    gateway = world.processes["beta-gateway"]
    gateway.held = True
    try:
        world.kill("beta-gateway")
        ada.goto(f"{world.addresses.portal}/connect/beta?return=/search")
        ada.wait_for_timeout(3000)
        assert ada.url.startswith(world.addresses.portal)
        expect(ada.locator("main")).to_contain_text("Beta")
    finally:
        gateway.held = False
        at = urlsplit(world.addresses.gateway("beta"))
        assert at.port
        until(lambda: http_status(at.port, "/healthz", at.netloc) == 200, "the next test finds it", 30)


def test_a_copy_of_the_centres_database_opens_no_grant(world: World, ada: Page) -> None:
    from central_portal.identity.sealing import grant_label, sealing_key, unseal

    with sqlite3.connect(world.folder / "centre" / "data" / "centre.sqlite3") as db:
        boxes = db.execute("select facility, grant_id, box from identity_sealedgrant").fetchall()
        tables = [row[0] for row in db.execute("select name from sqlite_master where type='table'")]
        words = {str(v) for t in tables for row in db.execute(f"select * from {t}") for v in row if v is not None}
    secrets_on_disk = {path.read_text() for path in (world.folder / "centre").glob("*.secret")}
    assert boxes, "there is a grant to steal"
    for facility, grant_id, box in boxes:
        opened = [
            w for w in words | secrets_on_disk if unseal(sealing_key(w), grant_label(facility, grant_id), box)
        ]
        assert opened == [], json.dumps(opened)
