"""The adapter `process` beyond its contract: one supervisor, confinement, and ends that it did not see."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facility_agent.adapters.compute import supervisor
from facility_agent.ports.compute import Mount, Observation, RunState
from facility_agent.testing.patience import eventually
from shared.errors import IdentityRefused
from tests.contracts.compute_worlds import ACCOUNT, ProcessWorld, server_spec
from tests.waiting import alive, held_by, until

ordinary = pytest.mark.needs("ordinary-user")


@pytest.fixture
async def world() -> Iterator[ProcessWorld]:  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="pa-", dir="/tmp") as folder:
        world = ProcessWorld(Path(folder))
        yield world
        for handle in (await world.backend.list_owned()).values():
            await world.backend.stop(handle)


@contextmanager
def supervised(folder: Path, name: str, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor with an order, started by hand."""
    order = {
        "meta": str(folder / name), "command": [sys.executable, "-S", "-c", script], "variables": {}, "work": str(folder),
        "log": str(folder / "log"), "grace_s": 1, "cpus": 1, "memory": 2**30, "readable": [], "writable": [],
        "mounted": [], "umask": 0o077, "sandbox": False,
    }  # fmt: skip
    process = subprocess.Popen([sys.executable, supervisor.__file__], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode())
    process.stdin.close()
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def test_an_agent_that_only_looks_does_not_keep_a_workspace_from_starting(tmp_path: Path) -> None:
    lock = tmp_path / "w.lock"
    with lock.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_EX)
        with supervised(tmp_path, "w", "import signal; signal.pause()") as process:
            until(lambda: lock in held_by(process.pid), "the supervisor reaches for its lock")
            fcntl.flock(looking, fcntl.LOCK_UN)
            until(lambda: (tmp_path / "w.run").exists() or not alive(process), "it starts")
            assert (tmp_path / "w.run").exists()


def test_a_second_supervisor_starts_nothing(tmp_path: Path) -> None:
    script = f"open({str(tmp_path / 'ran')!r}, 'a').write('x'); import signal; signal.pause()"
    with supervised(tmp_path, "w", script) as first:
        until(lambda: (tmp_path / "ran").exists(), "the first runs")
        with supervised(tmp_path, "w", script) as second:
            until(lambda: not alive(second), "the second gives up")
        assert alive(first)
        assert (tmp_path / "ran").read_text() == "x"
    with supervised(tmp_path, "w", script) as third:
        until(lambda: not alive(third), "what has ended is not run again")
    assert (tmp_path / "ran").read_text() == "x"


async def test_root_starts_nothing(world: ProcessWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    with pytest.raises(IdentityRefused):
        await world.backend.start(server_spec(), ACCOUNT)
    assert await world.backend.list_owned() == {}
    assert not (world.folder / "w").exists()


async def run(world: ProcessWorld, script: str, *mounts: Mount) -> str:
    """What a workspace's program wrote, once it has ended."""
    command = (sys.executable, "-S", "-c", script)
    handle = await world.backend.start(server_spec(command=command, mounts=mounts), ACCOUNT)

    async def ended() -> bool:
        return (await look(world, handle)).state is RunState.GONE

    await eventually(ended, "the program has ended")
    return await world.backend.logs(handle)


async def look(world: ProcessWorld, handle: str) -> Observation:
    return (await world.backend.inspect([handle]))[handle]


@ordinary
@pytest.mark.needs("landlock")
async def test_proposals_are_read_only_and_nothing_else_is_in_reach(world: ProcessWorld) -> None:
    data, private = world.folder / "data", world.folder / "private"
    data.mkdir()
    private.mkdir()
    (data / "file").write_text("measured")
    (private / "file").write_text("somebody else's")
    said = await run(
        world,
        f"""
import os
def tried(what):
    try: return str(what())
    except OSError as error: return type(error).__name__
print(tried(lambda: open('proposals/P1/file').read()))
print(tried(lambda: open('proposals/P1/file', 'a')))
print(tried(lambda: open('proposals/P1/new', 'w')))
print(tried(lambda: os.unlink('proposals/P1/file')))
print(tried(lambda: open({str(private / "file")!r}).read()))
print(tried(lambda: os.listdir({str(world.folder / "w-state")!r})))
print(tried(lambda: open('scratch/mine', 'w').write('x')))
print(tried(lambda: os.kill(os.getppid(), 9)))
""",
        Mount("P1", data),
    )
    refused = "PermissionError"
    kill = said.splitlines()[-1]
    assert said.splitlines()[:-1] == ["measured", refused, refused, refused, refused, refused, "1"]
    assert kill in (refused, "None"), "signals stay within the sandbox where the kernel can do that (Landlock 6)"
    assert (data / "file").read_text() == "measured"
    assert [path.name for path in data.iterdir()] == ["file"]


@ordinary
@pytest.mark.needs("landlock")
async def test_what_is_mounted_on_demand_stays_while_a_program_may_read_it(world: ProcessWorld) -> None:
    data = world.folder / "data"
    data.mkdir()
    handle = await world.backend.start(server_spec(mounts=(Mount("P1", data),)), ACCOUNT)

    async def runs() -> bool:
        return (await look(world, handle)).state is RunState.RUNNING

    await eventually(runs, "it runs")
    keeper = supervisor.read_record(world.folder / "w-state" / f"{handle}.run")
    assert keeper
    assert data in held_by(keeper["pid"])


@ordinary
@pytest.mark.needs("landlock")
@pytest.mark.parametrize("swapped", ["itself", "above"])
async def test_a_link_in_the_place_of_a_folder_that_was_looked_at_opens_nothing(
    world: ProcessWorld, swapped: str
) -> None:
    data, private = world.folder / "data" / "run", world.folder / "private" / "run"
    for folder in (data, private):
        folder.mkdir(parents=True)
        (folder / "file").write_text(folder.parent.name)
    script = """
try: print(open('proposals/P1/file').read())
except OSError as error: print(type(error).__name__)
"""
    assert await run(world, script, Mount("P1", data)) == "data\n"
    moved, target = (data, private) if swapped == "itself" else (data.parent, private.parent)
    moved.rename(world.folder / "aside")
    moved.symlink_to(target)
    assert data.resolve() == private
    assert await run(world, script, Mount("P1", data)) == "PermissionError\n"


@ordinary
async def test_children_are_ended_with_their_workspace(world: ProcessWorld) -> None:
    marker = f"parasol-stray-{os.getpid()}"
    script = f"""
import os, signal, subprocess, sys
subprocess.Popen([sys.executable, '-S', '-c', 'import signal; signal.signal(15, signal.SIG_IGN); signal.pause()', {marker!r}],
                 start_new_session=True)
signal.pause()
"""
    spec = server_spec(command=(sys.executable, "-S", "-c", script))
    handle = await world.backend.start(spec, ACCOUNT)

    def strays() -> list[int]:
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    words = (process / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if marker.encode() in words:
                    found.append(int(process.name))
        return found

    async def there() -> bool:
        return len(strays()) == 1

    await eventually(there, "the workspace has a child in a session of its own")
    await world.backend.stop(handle)
    assert strays() == []


@ordinary
async def test_a_supervisor_that_was_killed_is_a_lost_node(world: ProcessWorld) -> None:
    spec = server_spec()
    handle = await world.backend.start(spec, ACCOUNT)

    async def runs() -> bool:
        return (await look(world, handle)).state is RunState.RUNNING

    await eventually(runs, "it runs")
    record = json.loads((world.folder / "w-state" / f"{handle}.run").read_text())
    os.kill(record["pid"], signal.SIGKILL)

    async def gone() -> bool:
        return (await look(world, handle)).state is RunState.GONE

    await eventually(gone, "it is gone")
    assert (await look(world, handle)).reason == "NODE_LOST"

    async def dead() -> bool:
        return world.running(handle) == 0

    await eventually(dead, "the workspace dies with its supervisor: what is gone does not run", 5)


@ordinary
async def test_records_of_another_boot_are_not_believed(world: ProcessWorld) -> None:
    spec = server_spec()
    handle = await world.backend.start(spec, ACCOUNT)

    async def recorded() -> bool:
        return (world.folder / "w-state" / f"{handle}.run").exists()

    await eventually(recorded, "it is recorded")
    path = world.folder / "w-state" / f"{handle}.run"
    kept = path.read_text()
    path.write_text(json.dumps(json.loads(kept) | {"boot_id": "another"}))
    assert (await look(world, handle)).reason == "NODE_LOST"
    await world.backend.stop(handle)  # must signal nobody: the pid is another process's now
    assert world.running(handle) == 1
    path.write_text(kept)
    await asyncio.gather(world.backend.stop(handle))
    assert world.running(handle) == 0
