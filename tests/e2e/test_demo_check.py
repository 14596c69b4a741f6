"""`make demo-check`: the whole journey without a screen, on the real file where it is present."""

from __future__ import annotations

import pytest

from deploy.demo.check import check
from tests.components import ROOT

NEXUS = ROOT.parent / "shared" / "data" / "nexus"


@pytest.mark.needs("node")
@pytest.mark.timeout(300)
def test_the_journey_holds() -> None:
    said: list[str] = []
    assert check(None, NEXUS if NEXUS.is_dir() else None, said.append) == 0, "\n".join(said)
