"""The compute suite over `isolation = "account"`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from facility_agent.ports.compute import ComputeBackend, StartSpec
from facility_agent.testing.compute_contract import ComputeContract, ComputeWorld
from tests.contracts.compute_worlds import SERVER, command_lines, results_of, server_spec, task_spec
from tests.privileged.site import PROGRAM, HelperSite, as_root

pytestmark = pytest.mark.needs("root")


class AccountWorld(ComputeWorld):
    """One helper, and agents that ask it."""

    def __init__(self, site: HelperSite) -> None:
        self.site, self.account = site, site.ada
        self.backend = self.reopened()

    def spec(self) -> StartSpec:
        return server_spec(command=(PROGRAM, "-S", "-c", SERVER, "{socket}"))

    def doomed(self) -> StartSpec:
        return server_spec(command=(PROGRAM, "-S", "-c", "raise SystemExit(3)"))

    def task(self, code: int | None) -> StartSpec:
        return task_spec(self.site.processed(), code, PROGRAM)

    def results(self, spec: StartSpec) -> dict[str, str]:
        with as_root():
            return results_of(spec)

    def reopened(self) -> ComputeBackend:
        return self.site.backend("mine")

    def stranger(self) -> ComputeBackend:
        return self.site.backend("theirs")

    def running(self, workspace_id: str) -> int:
        return sum(
            f"/{workspace_id}/run/s" in words or f"/{workspace_id}/work/" in words for words in command_lines()
        )

    @asynccontextmanager
    async def blinded(self, workspace_id: str) -> AsyncIterator[None]:
        self.site.kill()
        yield
        self.site.start()


class TestAccountCompute(ComputeContract):
    @pytest.fixture
    async def world(self, site: HelperSite) -> ComputeWorld:
        assert os.getuid() != 0, "the agent is not root"
        return AccountWorld(site)
