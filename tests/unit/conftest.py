"""A facility's core, for the unit tests of its rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.facility_scene import FacilityScene, open_facility


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[FacilityScene]:
    """One facility, with nobody linked."""
    async with open_facility(tmp_path) as scene:
        yield scene
