"""A job without an image reads what its workspace shows and nothing else of its person's data."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.adapters.compute.slurm_settings import SlurmSettings
from facility_agent.ports.compute import Mount, RunState
from tests.privileged.slurm_world import PYTHON, SlurmWorld, slurm_world
from tests.privileged.test_helper_mounts import TRY
from tests.privileged.test_slurm_workspaces import running, seen
from tests.slurm_site import rootly
from tests.waiting import held_by

pytestmark = pytest.mark.needs("root", "slurm", "landlock")


def _own(world: SlurmWorld, *names: str) -> list[Path]:
    """Folders that the account itself could read and write."""
    made = [world.site.folder / name for name in names]
    with rootly():
        for folder in made:
            folder.mkdir(mode=0o700)
            (folder / "file").write_text("measured")
            for each in (folder, folder / "file"):
                os.chown(each, world.account.uid, world.account.gid)
    return made


async def _tried(world: SlurmWorld, tries: list[tuple[str, str]], *mounts: Mount, **changes: object) -> list[str]:
    """What became of each `open(path, mode)` in a workspace, in their order."""
    spec = replace(world.spec(), command=(PYTHON, "-S", "-c", TRY.format(tries=tries)), mounts=mounts)
    backend = world.adapter(**changes)
    handle = await backend.start(spec, world.account)
    gone = await seen(backend, handle, RunState.GONE)
    said = await backend.logs(handle)
    assert gone.exit_code == 0, said
    return [line.split()[-1] for line in said.splitlines()]


async def test_the_chosen_proposal_and_nothing_else_of_its_persons() -> None:
    with slurm_world() as world:
        chosen, other, processed = _own(world, "chosen", "other", "processed-chosen")
        outside = f"/proc/PARENT/root{other}/file"  # of the job's own script, which is not confined
        with rootly():
            (chosen / "way").symlink_to(other)
        yes = [
            ("proposals/p1/file", "r"), ("processed/p1/new", "w"), ("scratch/new", "w"), (f"{world.account.home}/new", "w"),
            ("/etc/passwd", "r"), ("/dev/null", "w"),
        ]  # fmt: skip
        no = [
            (f"{other}/file", "r"), ("proposals/p1/way/file", "r"), (outside, "r"), (f"{other}/new", "w"), ("proposals/p1/new", "w"),
            ("proposals/p1/file", "a"), ("/tmp/new", "w"),
        ]  # fmt: skip
        shown = (Mount("p1", chosen), Mount("p1", processed, read_only=False, within="processed"))
        said = await _tried(world, [*yes, *no], *shown)
        assert said == ["yes"] * len(yes) + ["PermissionError"] * len(no)
        with rootly():
            assert (chosen / "file").read_text() == (other / "file").read_text() == "measured"
            assert not [each for each in (chosen, other, Path("/tmp")) if (each / "new").exists()]


async def test_what_is_mounted_on_demand_stays_while_a_program_may_read_it() -> None:
    with slurm_world() as world:
        chosen, other = _own(world, "chosen", "other")
        spec, _ = await running(world, replace(world.spec(), mounts=(Mount("p1", chosen),)))
        (pid,) = world.processes(spec.workspace_id)
        with rootly():
            job = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            held = held_by(job)
        assert chosen in held
        assert other not in held


async def test_software_elsewhere_is_read_where_the_site_says_so() -> None:
    with slurm_world() as world:
        (software,) = _own(world, "software")
        tries = [(f"{software}/file", "r"), (f"{software}/file", "a")]
        assert await _tried(world, tries) == ["PermissionError", "PermissionError"]
        assert await _tried(world, tries, readable=(software,)) == ["yes", "PermissionError"]


async def test_a_node_has_a_place_for_what_knows_no_other() -> None:
    assert SlurmSettings().writable == (Path("/tmp"), Path("/var/tmp"))
    with slurm_world() as world:
        (scratch,) = _own(world, "scratch")
        tries = [(f"{scratch}/new", "w"), (f"{scratch}/file", "r")]
        assert await _tried(world, tries) == ["PermissionError", "PermissionError"]
        assert await _tried(world, tries, writable=(scratch,)) == ["yes", "yes"]


async def test_a_link_that_took_a_proposals_place_leads_nowhere() -> None:
    with slurm_world() as world:
        chosen, other = _own(world, "chosen", "other")
        with rootly():
            chosen.rename(chosen.with_name("moved"))
            chosen.symlink_to(other)
        assert await _tried(world, [("proposals/p1/file", "r")], Mount("p1", chosen)) == ["PermissionError"]
