"""An ICAT's stand-in with its data service, whose answers tests replace, and the adapter over both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from facility_agent.adapters.catalogue.icat_restoring import RestorableIcat
from facility_agent.ports.catalogue import Reader
from facility_agent.testing.catalogue_world import ADA
from tests.contracts.icat_worlds import adapter
from tests.icat_dump import served
from tests.standins.icat import Ids, build, serving


def reader(name: str, *proposals: str) -> Reader:
    return Reader(replace(ADA, username=name), frozenset(proposals))


@dataclass
class Place:
    """An ICAT with its IDS; `instead` answers for the IDS when it is set."""

    ids: Ids
    folder: Path
    base: str = ""
    instead: Response | None = None
    halts: bool = False

    def __post_init__(self) -> None:
        self._app = build(self.ids.icat, self.ids)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/ids") and self.halts:
            await asyncio.Event().wait()
        mine = scope["path"].startswith("/ids") and self.instead
        await (self.instead if mine and self.instead else self._app)(scope, receive, send)

    def adapter(self, **more: Any) -> RestorableIcat:
        made = adapter(self.base, self.folder, **more)
        assert isinstance(made, RestorableIcat)
        return made


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    world = served()
    for row in world.rows["Datafile"].values():
        row["location"] = f"files/{row['id']}"
    (tmp_path / "data").mkdir()
    made = Place(Ids(world), tmp_path)
    async with serving(made) as made.base:
        yield made


@pytest.fixture
async def port(place: Place) -> AsyncIterator[RestorableIcat]:
    async with place.adapter() as made:
        yield made
