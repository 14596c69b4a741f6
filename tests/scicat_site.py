"""A SciCat's stand-in that tests break, and the adapter over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from facility_agent.adapters.catalogue.scicat import Scicat
from facility_agent.ports.catalogue import Reader
from facility_agent.testing.catalogue_world import ADA, Known
from shared.catalogue import SearchQuery
from tests.contracts.scicat_worlds import KEEPER, OPEN, PASSWORD, adapter, pid_for, record
from tests.standins.scicat import SciCat, build, serving

ME = Reader(ADA, frozenset({"P-mine"}))
BAD = "The facility's catalogue gave an answer that cannot be used."
GONE = "The facility's catalogue does not answer at the moment."


@dataclass
class Site:
    """A SciCat, and what stands before it: for a path that ends so, this answer instead of SciCat's own."""

    world: SciCat
    folder: Path
    base: str = ""
    instead: dict[str, Callable[[bytes], Response | None]] = field(default_factory=dict)
    halts: bool = False

    def __post_init__(self) -> None:
        self._app = build(self.world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.halts:
            await asyncio.Event().wait()
        for end, answer in self.instead.items():
            if scope["path"].endswith(end) and (given := answer(scope["query_string"])):
                await given(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def adapter(self, **more: Any) -> Scicat:
        return adapter(self.base, self.folder, **more)

    def asked(self, path: str) -> list[tuple[str, str]]:
        """(line, whose) of requests to a path."""
        found = []
        for _, line, authorization in self.world.asked:
            holder = self.world.holder(authorization)
            if line.partition("?")[0] == path:
                found.append((line, holder.username if holder else ""))
        return found


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    world = SciCat()
    world.add_user(KEEPER, "admin", strategy="local", password=PASSWORD)
    (folder / "data").mkdir()
    made = Site(world, folder)
    async with serving(made) as made.base:
        yield made


@pytest.fixture
async def scicat(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        for n in range(3):
            record(made.world, Known(f"open {n}", OPEN, started=1000.0 * n))
            record(made.world, Known(f"mine {n}", "P-mine", started=1000.0 * n + 1))
            record(made.world, Known(f"theirs {n}", "P-theirs", started=1000.0 * n + 2))
        yield made


async def titles(backend: Scicat, reader: Reader, **query: Any) -> list[str]:
    page = await backend.search(SearchQuery(**query), reader)
    return [d.title for d in page.datasets]


def of(scicat: Site, title: str) -> dict[str, Any]:
    return next(row for row in scicat.world.datasets if row["pid"] == pid_for(title))


def shown(title: str) -> str:
    return pid_for(title).replace("/", "%2F")
