"""The adapter over the real Slurm: a helper among its accounts, and agents that ask it."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from facility_agent.adapters.compute.process_helper import Helper
from facility_agent.adapters.compute.slurm import SlurmCompute
from facility_agent.adapters.compute.slurm_settings import SlurmSettings
from facility_agent.ports.compute import ComputeBackend, StartSpec
from facility_agent.testing.compute_contract import ComputeWorld
from tests.contracts.compute_worlds import SERVER, results_of, server_spec, task_spec
from tests.privileged.site import HelperSite, helper_site
from tests.slurm_site import ACCOUNT, SlurmSite, rootly, shared_slurm

PYTHON = "/usr/bin/python3"
WAYS = ("commands", pytest.param("rest", marks=pytest.mark.needs("slurmrestd")))
"""What is tested both ways."""


class SlurmWorld(ComputeWorld):
    """A cluster, a helper, and the folders of agents. `rest` is where slurmrestd is; empty: by Slurm's commands."""

    def __init__(self, slurm: SlurmSite, site: HelperSite, rest: str = "") -> None:
        self.slurm, self.site, self.account, self.rest = slurm, site, site.ada, rest
        self.backend = self.reopened()

    def adapter(self, name: str = "mine", **changes: Any) -> SlurmCompute:
        """An agent's adapter with this state."""
        state = self.site.agent / name
        state.mkdir(exist_ok=True, mode=0o700)
        way = {"rest": self.rest, "programs": "/nowhere"} if self.rest else {"conf": self.slurm.conf}
        said = {
            "helper": self.site.socket, **way, "listen": "127.0.0.1", "address": "127.0.0.1",
            "default": {"partition": "main", "account": ACCOUNT},
            "writable": (),  # what is tested lies in /tmp
            **changes,
        }  # fmt: skip
        return SlurmCompute(SlurmSettings.model_validate(said), state, Helper(self.site.socket))

    def spec(self) -> StartSpec:
        return server_spec(command=(PYTHON, "-S", "-c", SERVER, "{socket}"))

    def doomed(self) -> StartSpec:
        return server_spec(command=(PYTHON, "-S", "-c", "raise SystemExit(3)"))

    def task(self, code: int | None) -> StartSpec:
        folder = self.site.processed()
        with rootly():
            os.chown(folder, self.account.uid, self.account.gid)
        return task_spec(folder, code, PYTHON)

    def results(self, spec: StartSpec) -> dict[str, str]:
        with rootly():
            return results_of(spec)

    def reopened(self) -> ComputeBackend:
        return self.adapter()

    def stranger(self) -> ComputeBackend:
        return self.adapter("theirs")

    def running(self, workspace_id: str) -> int:
        return len(self.processes(workspace_id))

    def processes(self, workspace_id: str) -> list[int]:
        """Those of its program, by their working folder."""
        found = []
        with rootly():
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    try:
                        there = str((process / "cwd").readlink())
                    except OSError:
                        continue
                    found += [int(process.name)] if there.endswith(f"/{workspace_id}/work") else []
        return found

    def jobs(self, workspace_id: str) -> list[str]:
        """The states of all its jobs, asked without the adapter."""
        name = f"--name=parasol-{workspace_id}"
        return self.slurm.run("squeue", "--noheader", "--states=all", name, "--Format=state:|").stdout.split()

    def folder(self, workspace_id: str) -> Path:
        """The account's folder for it."""
        return self.account.home / ".parasol" / workspace_id

    @asynccontextmanager
    async def blinded(self, workspace_id: str) -> AsyncIterator[None]:
        self.slurm.stop("slurmctld")
        try:
            yield
        finally:
            self.slurm.start_controller()


@contextmanager
def slurm_world(*around: str, way: str = "commands", at: str = "", **changes: str) -> Iterator[SlurmWorld]:
    """One over the shared cluster; its jobs and its folders are gone at the end.

    `way`: "commands", "rest" (tokens by `scontrol`) or "key" (slurmrestd with tokens by the site's key, and no command of
    Slurm's). `at` is another address of slurmrestd.
    """
    slurm = shared_slurm()
    table: dict[str, Any] = {"conf": str(slurm.conf), "programs": [{"path": PYTHON, "variables": ["SECRET"]}]}
    rest = (at or f"unix:{slurm.rest}") if way in ("rest", "key") else ""
    if rest:
        table |= {"rest": rest, **dict.fromkeys(("sbatch", "scancel"), "/nowhere/of/slurm")}
    if way == "key":
        table |= {"jwt_key": str(slurm.jwt_key), "scontrol": "/nowhere/of/slurm", "conf": None}
    table = {key: value for key, value in (table | changes).items() if value is not None}
    with helper_site(nss=True, slurm=table) as site:
        site.start(*slurm.around, *around)
        try:
            yield SlurmWorld(slurm, site, rest)
        finally:
            slurm.clear()


@asynccontextmanager
async def slurm(folder: Path) -> AsyncIterator[ComputeWorld]:
    """For the suite."""
    with slurm_world() as world:
        yield world


@asynccontextmanager
async def slurm_rest(folder: Path) -> AsyncIterator[ComputeWorld]:
    """For the suite, by slurmrestd."""
    with slurm_world(way="rest") as world:
        yield world


def fresh() -> str:
    """A workspace's id."""
    return str(uuid.uuid4())
