"""The gateway while the agent does not answer: people land on a page that says so, never on a bare error."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from facility_agent.config import load
from facility_agent.gateway.app import Gateway
from facility_agent.gateway.sessions import COOKIE
from facility_agent.gateway.settings import GatewaySettings, gateway_settings
from facility_agent.socket.client import DoorkeeperClient

EXAMPLES = Path(__file__).resolve().parents[2] / "deploy" / "agent"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


Get = Callable[[str], Awaitable[Answer]]


@pytest.fixture
def settings(tmp_path: Path) -> GatewaySettings:
    shutil.copy(EXAMPLES / "agent.toml", tmp_path)
    (tmp_path / "umbrella.secret").write_text("a secret\n")
    (tmp_path / "umbrella.secret").chmod(0o600)
    return gateway_settings(load(tmp_path / "agent.toml"))


@pytest.fixture
async def get(settings: GatewaySettings, tmp_path: Path) -> AsyncIterator[Get]:
    """Navigates there with the cookie of yesterday."""
    (tmp_path / "token").write_text("token")
    client = DoorkeeperClient(tmp_path / "no-agent", tmp_path / "token")
    app = Gateway(settings, client).app
    headers = {
        "host": urlsplit(settings.origin).netloc, "cookie": f"{COOKIE}=yesterday", "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate", "sec-fetch-dest": "document",
    }  # fmt: skip

    async def get(address: str) -> Answer:
        path, _, query = address.partition("?")
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "https",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2), "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], told, b"".join(m.get("body", b"") for m in sent[1:]).decode())

    yield get
    await client.close()


async def test_the_portal_hears_that_it_is_away(get: Get, settings: GatewaySettings) -> None:
    asked = {
        "response_type": "code", "client_id": settings.portal, "redirect_uri": settings.redirect_uri, "scope": "read",
        "state": "s" * 20, "code_challenge": "c" * 43, "code_challenge_method": "S256",
    }  # fmt: skip
    answer = await get(f"/authorize?{urlencode(asked)}")
    assert answer.status == 302
    assert answer.headers["location"].startswith(settings.redirect_uri + "?")
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (told["error"], told["state"]) == (["temporarily_unavailable"], ["s" * 20])


@pytest.mark.parametrize("path", ["/sign-on", "/confirm"])
async def test_every_other_page_says_so_and_leads_back(get: Get, settings: GatewaySettings, path: str) -> None:
    answer = await get(path)
    assert answer.status == 503
    assert "The facility&#39;s agent does not answer at the moment." in answer.text
    assert settings.portal in answer.text
    assert "BACKEND_UNAVAILABLE" in answer.text
    assert "no-agent" not in answer.text
