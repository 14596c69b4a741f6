"""The sharpest of `make chaos`, once each: killed at the worst moments, cut off, both sides at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import agent_faults, centre_faults, network_faults
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.trials import Trial, all_of, counts, table
from tests.chaos.world import World, running_world

pytestmark = [pytest.mark.needs("ordinary-user", "postgresql", "redis"), pytest.mark.timeout(240)]
PARTS = (agent_faults, network_faults, centre_faults)
SHARPEST = (
    "agent killed after-store", "agent killed during-effect", "agent killed before-result", "network loses both ways",
    "orders come again and again, and late", "hub killed before-settled", "PostgreSQL restarted (immediate)",
    "agent and hub killed at once",
)  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world(3, rate=9.0) as made:
        yield made


def _named(name: str) -> Fault:
    return next(fault for fault in FAULTS if fault.name == name)


def test_nothing_is_lost_and_nothing_happens_twice(world: World) -> None:
    said: list[str] = []
    trials: list[Trial] = all_of(world, map(_named, SHARPEST), 1, said.append)
    shown = "\n".join([*said, table(trials)])
    assert len(trials) == len(SHARPEST)
    assert all(trial.good for trial in trials), shown
    assert sum(trial.verdict.orders for trial in trials) > 40, shown
    assert counts(trials).keys() == {"F02", "F04", "F06", "F09", "F11", "F13", "F16", "F29"}
