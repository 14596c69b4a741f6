"""What a workspace that runs as its account shows beside the proposals, and what it keeps for the next one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from facility_agent.ports.compute import Mount, RunState
from facility_agent.testing.patience import eventually
from shared.errors import BackendError
from tests.contracts.compute_worlds import server_spec
from tests.privileged.site import PROGRAM, HelperSite, as_root
from tests.waiting import held_by, until

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("landlock")]
TRY = """
import os, sys
for path, mode in {tries!r}:
    try:
        open(path.replace("PARENT", str(os.getppid())), mode).close(); print(mode, path, "yes")
    except OSError as error:
        print(mode, path, error.__class__.__name__)
"""


async def run(site: HelperSite, script: str, *mounts: Mount, command: tuple[str, ...] = (PROGRAM,)) -> list[str]:
    """The lines that a workspace's program wrote, once it has ended."""
    backend = site.backend("mine")
    handle = await backend.start(
        server_spec(command=(*command, "-c", script, "{socket}"), mounts=mounts), site.ada
    )

    async def ended() -> bool:
        return (await backend.inspect([handle]))[handle].state is RunState.GONE

    await eventually(ended, "the program has ended")
    return (await backend.logs(handle)).splitlines()


def folders(site: HelperSite) -> tuple[Path, Path, Path]:
    """A proposal that ada's group could write, its processed data, and software that everybody reads."""
    made = tuple(site.folder / name for name in ("P-1", "processed-P-1", "software"))
    with as_root():
        for folder, group, mode in zip(made, (61_301, 61_301, 0), (0o2770, 0o2770, 0o755), strict=True):
            folder.mkdir()
            os.chown(folder, 0, group)
            folder.chmod(mode)
            (folder / "file").write_text("measured")
            (folder / "file").chmod(0o644)
    return made[0], made[1], made[2]


async def test_processed_can_be_written_the_proposal_and_the_software_not(site: HelperSite) -> None:
    proposal, processed, software = folders(site)
    mounts = (
        Mount("P-1", proposal), Mount("P-1", processed, read_only=False, within="processed"),
        Mount("software", software, within=""),
    )  # fmt: skip
    tries = [
        ("proposals/P-1/file", "r"), ("proposals/P-1/new", "w"), ("processed/P-1/new", "w"), ("software/file", "r"),
        ("software/new", "w"), ("scratch/new", "w"),
    ]  # fmt: skip
    said = await run(site, TRY.format(tries=tries), *mounts)
    assert [line.split(" ", 1)[1] for line in said] == [
        "proposals/P-1/file yes", "proposals/P-1/new PermissionError", "processed/P-1/new yes", "software/file yes",
        "software/new PermissionError", "scratch/new yes",
    ]  # fmt: skip
    with as_root():
        made = (processed / "new").stat()
        assert (made.st_uid, made.st_gid) == (site.ada.uid, 61_301)
        assert not (proposal / "new").exists()


async def test_what_is_mounted_on_demand_stays_while_a_program_may_read_it(site: HelperSite) -> None:
    proposal, processed, software = folders(site)
    mounts = (Mount("P-1", proposal), Mount("P-1", processed, read_only=False, within="processed"))
    backend = site.backend("mine")
    command = (PROGRAM, "-c", "import signal; signal.pause()", "{socket}")
    handle = await backend.start(server_spec(command=command, mounts=mounts), site.ada)
    with as_root():
        keeper = json.loads((site.state / f"{handle}.run").read_text())["pid"]
        until(lambda: {proposal, processed} <= held_by(keeper), "its keeper holds them")
        assert software not in held_by(keeper)
    await backend.stop(handle)


async def test_a_proposal_below_what_may_be_written_is_refused_not_called_read_only(site: HelperSite) -> None:
    folder = site.ada.home / "data"
    with as_root():
        folder.mkdir()
        os.chown(folder, site.ada.uid, site.ada.gid)
    with pytest.raises(BackendError, match="read-only"):
        await run(site, "open('ran', 'w')", Mount("P-1", folder))
    assert not [name for name in site.traces() if name.endswith(".run")]


async def test_a_sites_scratch_takes_the_place_of_the_workspaces_own(site: HelperSite) -> None:
    scratch = site.folder / "scratch"
    with as_root():
        scratch.mkdir()
        os.chown(scratch, site.ada.uid, site.ada.gid)
    await run(site, "open('scratch/kept', 'w').close()", Mount("scratch", scratch, read_only=False, within=""))
    with as_root():
        assert (scratch / "kept").exists()


async def test_what_a_person_installs_is_there_in_the_next_workspace_and_in_nobody_elses(site: HelperSite) -> None:
    install = """
import os, site
folder = site.getusersitepackages()
os.makedirs(folder)
open(folder + "/mine_alone.py", "w").write("answer = 42")
"""
    assert await run(site, install) == []
    assert await run(site, "import mine_alone; print(mine_alone.answer)") == ["42"]
    own = site.ada.home / ".parasol" / "packages"
    with as_root():
        assert own.stat().st_mode & 0o777 == 0o700
        assert own.stat().st_uid == site.ada.uid
    site.ada = site.ben
    assert "ModuleNotFoundError: No module named 'mine_alone'" in await run(site, "import mine_alone")


async def test_a_folder_for_packages_that_cannot_be_made_is_said_and_nothing_runs(site: HelperSite) -> None:
    with as_root():
        (site.ada.home / ".parasol").touch()
    with pytest.raises(BackendError, match=r"own packages cannot be made at the facility \(Not a directory\)"):
        await run(site, "open('ran', 'w')")
    assert not [name for name in site.traces() if name.endswith(".run")]


async def test_a_site_without_packages_sets_none(site: HelperSite) -> None:
    site.kill()
    with as_root():
        site.configure(packages="")
    site.start()
    said = await run(
        site, "import os; print(sorted(name for name in os.environ if name[:3] in ('PYT', 'PIP', 'CON')))"
    )
    assert said == ["[]"]
    with as_root():
        assert not (site.ada.home / ".parasol").exists()
