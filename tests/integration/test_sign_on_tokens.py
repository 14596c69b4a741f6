"""From the facility's sign-on through gateway, socket and agent to a person's own session at ICAT, and what may not get there."""

from __future__ import annotations

import ast
import logging
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.core.doorkeeper import CoreDoorkeeper
from facility_agent.core.sign_on_tokens import HeldTokens, TokenKeeper
from facility_agent.gateway.app import Gateway
from facility_agent.gateway.settings import GatewaySettings
from facility_agent.ports.catalogue import Reader
from facility_agent.socket.client import DoorkeeperClient
from facility_agent.socket.server import CALLS, SocketServer
from facility_agent.store.vault import KeyFileVault
from shared.catalogue import SearchQuery
from shared.commands import Redeem
from shared.errors import AccessDenied, SignInNeeded
from shared.identity import Subject
from shared.oidc import OidcProvider
from shared.wire import proof
from tests.contracts.icat_worlds import adapter, empty
from tests.facility_scene import FacilityScene, open_facility
from tests.integration.openid import Op, by_client_secret, by_public_key, serving, unsigned
from tests.standins.icat import Icat, Ids, build
from tests.standins.icat import serving as icat_serving
from tests.standins.icat.oidc import oidc

ORIGIN, PORTAL, AUDIENCE = "http://gw.localhost:1", "http://portal.localhost:9", "https://icat.example.org"
KEEPER = "simple/parasol"


@pytest.fixture(scope="module")
def providers() -> Iterator[tuple[Op, Op]]:
    """UmbrellaID, and the facility's own sign-on."""
    with serving(Op()) as umbrella, serving(Op(client_id="gateway")) as sso:
        yield umbrella, sso


def provider(op: Op, path: str, scope: str = "openid profile") -> OidcProvider:
    return OidcProvider(
        issuer=op.issuer, discovery_url=f"{op.issuer}/.well-known/openid-configuration", client_id=op.client_id,
        client_secret=op.client_secret, redirect_uri=ORIGIN + path, algorithms=("RS256",), scope=scope,
    )  # fmt: skip


@dataclass
class Site:
    """A facility with a browser of Ada's in front of it; `sso` gives access tokens as `access` changes them."""

    umbrella: Op
    sso: Op
    scene: FacilityScene
    icat: Icat
    catalogue: IcatCatalogue
    app: Any
    access: dict[str, Any] = field(default_factory=dict)
    raw: str = ""
    as_user: str = "ada"
    given: list[str] = field(default_factory=list)
    jar: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    silent: bool = True
    stops: bool = False

    @property
    def subject(self) -> Subject:
        return Subject(self.umbrella.issuer, "ada")

    def honest(self) -> None:
        """Both providers sign Ada in, and the sign-on's tokens are good for ICAT."""
        self.umbrella.calm()
        self.sso.calm()

        def change(claims: dict[str, Any]) -> None:
            claims |= {"preferred_username": self.as_user, "auth_time": claims["iat"]}

        def give(answer: dict[str, Any]) -> None:
            now = int(time.time())
            claims = {"iss": self.sso.issuer, "aud": [AUDIENCE, "x"], "sub": "ada", "icatUser": f"db/{self.as_user}",
                      "iat": now, "exp": now + 300, "scope": "openid icat"} | self.access  # fmt: skip
            answer["access_token"] = self.raw or self.sso.signed(
                {k: v for k, v in claims.items() if v is not None}
            )
            self.given.append(answer["access_token"])

        self.sso.change, self.sso.token = change, give

    # --- the browser

    async def send(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """(status, location, body)."""
        path, _, query = url.removeprefix(ORIGIN).partition("?")
        body = urlencode(form or {}).encode()
        headers = {
            "host": urlsplit(ORIGIN).netloc, "cookie": "; ".join(f"{k}={v}" for k, v in self.jar.items()),
            "sec-fetch-mode": "navigate", "sec-fetch-dest": "document",
            "sec-fetch-site": "cross-site" if method == "GET" else "same-origin",
            **({"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))}
               if method == "POST" else {}),
        }  # fmt: skip
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2), "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        for name, value in sent[0]["headers"]:
            if name.lower() == b"set-cookie":
                key, _, rest = value.decode().partition("=")
                self.jar[key] = rest.partition(";")[0]
        told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        text = b"".join(m.get("body", b"") for m in sent[1:]).decode()
        return sent[0]["status"], told.get("location", ""), text

    async def follow(self, there: tuple[int, str, str]) -> tuple[str, str]:
        """Follow redirects, through both providers, to a page or the portal: its path or address, and its text."""
        at = ""
        for _ in range(20):
            status, location, body = there
            if status not in (302, 303):
                return at, body
            if location.startswith(PORTAL):
                return location, ""
            for op in (self.umbrella, self.sso):
                if location.startswith(op.issuer):
                    if self.stops and op is self.sso:
                        return location, ""
                    asked = {k: v[0] for k, v in parse_qs(urlsplit(location).query).items()}
                    self.seen.append(
                        f"{'sso' if op is self.sso else 'umbrella'} {asked.get('prompt', '')}".strip()
                    )
                    self.asked = asked
                    refuses = op is self.sso and asked.get("prompt") == "none" and not self.silent
                    location = op.answer(location, **({"code": "", "error": "login_required"} if refuses else {}))
            at = urlsplit(location).path
            there = await self.send("GET", location)
        raise AssertionError("too many redirects")

    async def visit(self, prompt: str = "") -> tuple[str, str]:
        """The portal asks for a grant; where that ends."""
        self.verifier, mine = proof.token(), X25519PrivateKey.generate()
        query = {
            "response_type": "code", "client_id": PORTAL, "redirect_uri": f"{PORTAL}/connect/callback", "scope": "read run",
            "state": proof.token(), "code_challenge": proof.challenge(self.verifier), "code_challenge_method": "S256",
            "key": proof.public_half(mine),
        } | ({"prompt": prompt} if prompt else {})  # fmt: skip
        self.seen.clear()
        return await self.follow(await self.send("GET", f"{ORIGIN}/authorize?{urlencode(query)}"))

    async def granted(self, end: str) -> None:
        """The portal redeems the code with which the visit ended."""
        told = parse_qs(urlsplit(end).query)
        assert "code" in told, end
        await self.scene.grants.redeem(Redeem(proof.hashed(told["code"][0]), self.verifier))

    async def sign_on(self) -> tuple[str, str]:
        """Press the button on the page of the facility's own sign-on."""
        return await self.follow(await self.send("POST", f"{ORIGIN}/sign-on/start", {}))

    async def confirm(self, page: str) -> str:
        found = re.search(r'name="token" value="([^"]+)"', page)
        assert found, page
        form = {"token": found[1], "decision": "allow"}
        return (await self.follow(await self.send("POST", f"{ORIGIN}/confirm", form)))[0]

    async def linked(self) -> None:
        """Ada's first visit, to its end."""
        assert (await self.visit())[0] == "/sign-on"
        at, page = await self.sign_on()
        assert at == "/confirm", page
        await self.granted(await self.confirm(page))

    # --- what came of it

    async def search(self) -> set[str]:
        """Who asked ICAT when Ada searched."""
        self.icat.asked.clear()
        await self.catalogue.search(SearchQuery(), Reader(await self.scene.people.account("ada")))
        return {user for user, _ in self.icat.asked}

    def lose(self) -> None:
        """The sessions are gone, and tokens over."""
        self.icat.sessions.clear()
        self.scene.now += 3600

    def held(self) -> list[str]:
        """The marks of the tokens that are held."""
        return [ast.literal_eval(row)[4] for row in self.scene.rows()["sign_on_token"]]


async def opened(stack: AsyncExitStack, ops: tuple[Op, Op], folder: Path, **settings: Any) -> Site:
    scene = await stack.enter_async_context(open_facility(folder))
    icat = empty()
    icat.add("User", name="db/ada")
    icat.authenticators["sso"] = oidc(ops[1].issuer, {"k1": ops[1].key}, time.time, scope="icat")
    (folder / "data").mkdir()
    base = await stack.enter_async_context(icat_serving(build(icat, Ids(icat))))
    catalogue = await stack.enter_async_context(adapter(base, folder, **settings))
    held = HeldTokens(scene.store, KeyFileVault(folder / "vault.key"), scene.clock)
    catalogue.use(held)
    door = CoreDoorkeeper(
        scene.store, scene.accounts, scene.grants, scene.workspaces, scene.revoked, scene.clock,
        tokens=TokenKeeper(held, scene.store, scene.accounts, catalogue),
    )  # fmt: skip
    short = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pt-")))
    server = SocketServer(short / "s", short / "token", door)
    await server.start()
    stack.push_async_callback(server.stop)
    client = DoorkeeperClient(short / "s", short / "token")
    stack.push_async_callback(client.close)
    site = GatewaySettings(
        "Alpha", ORIGIN, PORTAL, "work.localhost:1", "127.0.0.1", 1, short / "s", short / "token",
        provider(ops[0], "/umbrella/callback"), provider(ops[1], "/sign-on/callback", "openid profile icat"), "the SSO",
        "preferred_username", token_audience=AUDIENCE,
    )  # fmt: skip
    made = Site(*ops, scene, icat, catalogue, Gateway(site, client).app)
    made.honest()
    return made


@pytest.fixture(params=[True, False], ids=["required", "welcome"])
async def site(providers: tuple[Op, Op], tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield await opened(stack, providers, tmp_path, person_session="sso", person_session_required=request.param)


def required(site: Site) -> bool:
    return site.catalogue.person_session == "required"


async def test_whoever_links_an_account_is_asked_for_in_their_own_session(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert (await site.visit())[0] == "/sign-on"
    _, page = await site.sign_on()
    assert site.seen[-1] == "sso login"
    assert (site.asked["scope"], site.asked["resource"]) == ("openid profile icat", AUDIENCE)
    await site.granted(await site.confirm(page))
    assert site.seen.count("sso none") == 0
    assert "db/ada" in await site.search()
    (token,) = site.given
    disk = b"".join(path.read_bytes() for path in site.scene.folder.iterdir() if path.is_file())
    assert token not in caplog.text + page + repr(site.jar) + repr(site.icat.asked)
    assert token.encode() not in disk
    end, _ = await site.visit("none")
    await site.granted(end)
    assert "sso none" not in site.seen, "nobody is sent there while the session lives"


async def test_a_session_that_is_lost_comes_back_with_the_next_visit_unasked(site: Site) -> None:
    await site.linked()
    assert "db/ada" in await site.search()
    site.lose()
    if required(site):
        with pytest.raises(SignInNeeded):
            await site.search()
    else:
        assert await site.search() == {KEEPER}
    end, _ = await site.visit("none")
    await site.granted(end)
    assert site.seen.count("sso none") == 1
    assert "db/ada" in await site.search()


async def test_who_is_not_signed_in_there_is_asked_only_where_that_is_required(site: Site) -> None:
    await site.linked()
    site.lose()
    site.silent = False
    end, _ = await site.visit("none")
    assert site.seen.count("sso none") == 1
    if not required(site):
        await site.granted(end)
        assert await site.search() == {KEEPER}
        return
    assert parse_qs(urlsplit(end).query)["error"] == ["login_required"]
    where, page = await site.visit()
    assert (where, "in a session of your own alone" in page) == ("/sign-on", True)
    at, page = await site.sign_on()
    assert (at, site.seen[-1]) == ("/confirm", "sso login")
    await site.granted(await site.confirm(page))
    assert "db/ada" in await site.search()


async def test_another_account_than_the_linked_one_leaves_no_token(site: Site) -> None:
    await site.linked()
    site.lose()
    before, site.as_user = site.held(), "ben"
    await site.visit("none")
    assert site.seen.count("sso none") == 1
    assert site.held() == before
    site.silent = False
    if required(site):
        assert (await site.visit())[0] == "/sign-on"
        _, page = await site.sign_on()
        assert "That is another account" in page
        assert site.held() == before
    assert "db/ben" not in {user for user, _ in site.icat.sessions.values()}


@pytest.mark.parametrize(
    "access",
    [{"aud": "another-application"}, {"aud": None}, {"sub": "eve"}, {"sub": None}, {"iss": "https://evil.example.org"},
     {"exp": 1}, {"exp": None}],
    ids=str,
)  # fmt: skip
async def test_a_token_that_is_not_the_persons_for_icat_never_reaches_the_agent(
    site: Site, access: dict[str, Any]
) -> None:
    site.access = access
    assert (await site.visit())[0] == "/sign-on"
    _, page = await site.sign_on()
    end = await site.confirm(page)
    if required(site):
        assert end == "/sign-on", "asked once more, since nobody is answered without"
        _, page = await site.sign_on()
        end = await site.confirm(page)
    await site.granted(end)
    assert site.given
    assert site.held() == []
    assert {user for user, _ in site.icat.sessions.values()} <= {KEEPER}


@pytest.mark.parametrize("forge", [unsigned, by_client_secret, by_public_key])
async def test_a_token_that_the_sign_on_did_not_sign_never_reaches_the_agent(site: Site, forge: Any) -> None:
    now = int(time.time())
    claims = {"iss": site.sso.issuer, "aud": AUDIENCE, "sub": "ada", "exp": now + 300, "icatUser": "simple/root"}
    for raw in (forge(site.sso, claims), "an-opaque-token", "x" * 20_000):
        site.raw = raw
        await site.visit()
        await site.sign_on()
        assert site.held() == []
    assert site.icat.sessions == {}


@pytest.mark.parametrize("user", ["db/ben", "simple/parasol", "ada"])
async def test_a_token_that_names_another_user_of_icat_opens_nothing(site: Site, user: str) -> None:
    site.icat.add("User", name="db/ben")
    site.access = {"icatUser": user}
    assert (await site.visit())[0] == "/sign-on"
    _, page = await site.sign_on()
    end = await site.confirm(page)
    if required(site):
        _, page = await site.sign_on()
        end = await site.confirm(page)
    await site.granted(end)
    site.icat.asked.clear()
    with pytest.raises(AccessDenied):
        await site.search()
    assert {asker for asker, _ in site.icat.asked} <= {KEEPER}
    assert user == KEEPER or user not in {each for each, _ in site.icat.sessions.values()}


async def test_a_state_of_another_browser_brings_no_token(site: Site) -> None:
    await site.linked()
    site.lose()
    before = site.held()
    site.stops = True
    address, _ = await site.visit("none")
    assert address.startswith(site.sso.issuer)
    site.umbrella.person = ("eve", "sid-eve")
    thief = replace(site, jar={}, seen=[], stops=False)
    assert (await thief.visit())[0] == "/sign-on", "who has a session of her own there"
    status, _, _ = await thief.send("GET", site.sso.answer(address))
    assert status == 403
    assert site.held() == before
    assert len(before) == 1


async def test_where_the_catalogue_takes_no_tokens_nobody_is_sent_for_one(
    providers: tuple[Op, Op], tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        site = await opened(stack, providers, tmp_path)
        await site.linked()
        assert site.held() == []
        end, _ = await site.visit("none")
        await site.granted(end)
        assert "sso none" not in site.seen
        assert await site.search() == {KEEPER}


async def test_an_agent_of_before_is_asked_for_grants_as_before(
    providers: tuple[Op, Op], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway is restarted first."""
    for name in ("token_wish", "keep_token"):
        monkeypatch.delitem(CALLS, name)
    async with AsyncExitStack() as stack:
        site = await opened(stack, providers, tmp_path, person_session="sso")
        await site.linked()
        assert site.held() == []
