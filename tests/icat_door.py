"""The stand-in of ICAT over HTTP, as its tests ask it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.icat_dump import dumped
from tests.icat_tokens import trusting
from tests.standins.icat import Icat, build, serving


@dataclass
class Door:
    world: Icat
    base: str
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, form: Any = None, **query: str) -> tuple[int, Any]:
        async with self.http.request(method, self.base + path, params=query, data=form) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def login(self, plugin: str, **credentials: str) -> tuple[int, Any]:
        listed = [{name: value} for name, value in credentials.items()]
        return await self.ask(
            "POST", "/icat/session", {"json": json.dumps({"plugin": plugin, "credentials": listed})}
        )

    async def enter(self, user: str) -> str:
        plugin, _, name = user.partition("/")
        status, body = await self.login(plugin, username=name, password=name)
        assert status == 200, body
        return str(body["sessionId"])

    async def find(self, query: str, user: str = "db/nbour") -> Any:
        status, body = await self.ask("GET", "/icat/entityManager", sessionId=await self.enter(user), query=query)
        assert status == 200, body
        return body

    async def refused(self, query: str, user: str = "db/nbour") -> tuple[int, str]:
        status, body = await self.ask("GET", "/icat/entityManager", sessionId=await self.enter(user), query=query)
        assert status != 200, body
        assert set(body) == {"code", "message"}
        return status, body["code"]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    world = trusting(dumped())
    async with serving(build(world)) as base, aiohttp.ClientSession() as http:
        yield Door(world, base, http)
