"""A PaNOSC API's stand-in that tests break, and the adapter over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from facility_agent.adapters.catalogue.panosc import Panosc
from facility_agent.ports.catalogue import STRANGER
from facility_agent.testing.catalogue_world import Known
from shared.catalogue import SearchQuery
from tests.contracts.panosc_worlds import OPEN, adapter, record
from tests.standins.panosc.api import PanoscApi
from tests.standins.serving import serving

SLOW = 3600.0


@dataclass
class Site:
    """A stand-in with six public datasets and one that is not."""

    api: PanoscApi
    folder: Path
    base: str

    @asynccontextmanager
    async def adapter(self, **more: Any) -> AsyncIterator[Panosc]:
        """The adapter, not entered: it looks when a test says so."""
        backend = adapter(self.base, self.folder, **{"reread_s": SLOW} | more)
        try:
            yield backend
        finally:
            await backend._client.close()


@pytest.fixture
async def panosc(tmp_path: Path) -> AsyncIterator[Site]:
    api = PanoscApi()
    (tmp_path / "data").mkdir()
    for n in range(3):
        record(api, Known(f"open {n}", OPEN, "I22", "silver", started=1000.0 * n))
        record(api, Known(f"mine {n}", "P-mine", "ID11", techniques=("PaNET01188",), started=1000.0 * n + 1))
    record(api, Known("theirs", "P-theirs", "I99"))
    async with serving(api) as base:
        yield Site(api, tmp_path, base)


async def titles(backend: Panosc, **query: Any) -> list[str]:
    """What a stranger finds."""
    return [d.title for d in (await backend.search(SearchQuery(**query), STRANGER)).datasets]
