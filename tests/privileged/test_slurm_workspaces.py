"""Slurm in earnest: whose a job is, what it may use, what it waits for, how it ended, and what nobody gets to see."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from facility_agent.adapters.compute.slurm_queue import CANNOT_MOUNT, HAS_RUN
from facility_agent.ports.compute import ComputeBackend, Mount, Observation, RunState, StartSpec
from facility_agent.testing.patience import eventually
from shared.errors import (
    BackendError,
    BackendUnavailable,
    FlavourTooLarge,
    IdentityRefused,
    InvalidRequest,
    QuotaExceeded,
)
from shared.facilities import Flavour
from tests.contracts.compute_worlds import SERVER
from tests.privileged.slurm_world import PYTHON, WAYS, SlurmWorld, slurm_world
from tests.privileged.test_helper_deploy import service, within
from tests.slurm_site import ADA, CPUS, QOS, rootly
from tests.waiting import until

pytestmark = pytest.mark.needs("root", "slurm")
CENTRE = Flavour("centre", "Half of it", CPUS // 2, 2**30, 0, 0, 3600)


@pytest.fixture(params=WAYS)
def world(request: pytest.FixtureRequest) -> Iterator[SlurmWorld]:
    assert os.getuid() != 0, "the agent is not root"
    with slurm_world(way=request.param) as world:
        yield world


@pytest.fixture
def commands() -> Iterator[SlurmWorld]:
    """By Slurm's commands."""
    with slurm_world() as world:
        yield world


async def look(backend: ComputeBackend, handle: str) -> Observation:
    """One observation."""
    return (await backend.inspect([handle]))[handle]


async def seen(backend: ComputeBackend, handle: str, state: RunState) -> Observation:
    """Its observation when it comes to be in this state."""

    async def there() -> bool:
        return (await look(backend, handle)).state is state

    try:
        await eventually(there, f"it is {state}")
    except AssertionError as error:
        raise AssertionError(f"{error}, but {await look(backend, handle)}") from None
    return await look(backend, handle)


async def running(world: SlurmWorld, spec: StartSpec | None = None) -> tuple[StartSpec, str]:
    """A workspace that runs."""
    spec = spec or world.spec()
    handle = await world.backend.start(spec, world.account)
    await seen(world.backend, handle, RunState.RUNNING)
    return spec, handle


async def test_its_process_is_the_person_with_every_group_and_nothing_of_ours(world: SlurmWorld) -> None:
    spec, _ = await running(world)
    (pid,) = world.processes(spec.workspace_id)
    with rootly():
        status = Path(f"/proc/{pid}/status").read_text()
        variables = Path(f"/proc/{pid}/environ").read_bytes()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert lines["Uid"].split() == lines["Gid"].split() == [str(ADA)] * 4
    assert sorted(lines["Groups"].split()) == ["61201", "61301", "61401"]
    assert b"of the helper" not in variables
    assert f"HOME={world.account.home}".encode() in variables


@pytest.mark.parametrize("way", WAYS)
async def test_the_units_capabilities_are_enough(way: str) -> None:
    with slurm_world(*within(service()["CapabilityBoundingSet"].split()), way=way) as world:
        spec, handle = await running(world)
        await world.backend.stop(handle)
        assert world.running(spec.workspace_id) == 0
        assert (await look(world.backend, handle)).exit_code is not None


async def test_nobody_else_sees_its_secret(world: SlurmWorld) -> None:
    spec, _ = await running(world)
    job = world.slurm.run("squeue", "-h", f"--name=parasol-{spec.workspace_id}", "--Format=jobid:").stdout.strip()
    commands = (
        ("scontrol", "--details", "show", "job", job), ("scontrol", "write", "batch_script", job, "-"),
        ("squeue", "--states=all", "--Format=ALL:200"), ("sacct", "-P", "-a", "--format=ALL"), ("ps", "-e", "-o", "args"),
    )  # fmt: skip
    shown = [world.slurm.run(*command).stdout for command in commands]
    if world.rest:
        for path in (f"slurm/v0.0.38/job/{job}", "slurmdb/v0.0.38/jobs"):
            until(
                lambda path=path: spec.workspace_id in world.slurm.ask_rest(path, "ben"), f"{path} tells of it", 30
            )  # type: ignore[misc]
            shown.append(world.slurm.ask_rest(path, "ben"))
    assert spec.workspace_id in shown[0]
    assert "Door" in shown[1], "that is the script"
    assert "SERVER" not in shown[1]
    for each in (*shown, world.site.said()):
        assert spec.secret not in each
        assert "eyJ" not in each, "nor a token"
    with rootly():
        folder = world.folder(spec.workspace_id)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (folder.parent, folder, *folder.iterdir())}
        assert all(mode & 0o077 == 0 for mode in modes.values()), modes
        assert spec.secret in (folder / "spec.json").read_text()


async def test_its_limits_are_slurms(world: SlurmWorld) -> None:
    backend = world.adapter(flavours={"centre": {"partition": "short", "qos": QOS, "constraint": "fast"}})
    spec = replace(world.spec(), flavour=CENTRE, lifetime_s=601)
    handle = await backend.start(spec, world.account)
    await seen(backend, handle, RunState.RUNNING)
    job = world.slurm.run("squeue", "-h", f"--name=parasol-{handle}", "--Format=jobid:").stdout.strip()
    shown = world.slurm.run("scontrol", "show", "job", job).stdout
    for word in (
        f"NumCPUs={CPUS // 2}", "MinMemoryNode=1G", "TimeLimit=00:11:00", "Partition=short", f"QOS={QOS}", "Features=fast",
        "Requeue=0", "UserId=ada(61201)", "NumNodes=1",
    ):  # fmt: skip
        assert word in shown.replace("NumNodes=1-1", "NumNodes=1"), (word, shown)


async def test_one_question_for_all_of_them(commands: SlurmWorld) -> None:
    world = commands
    programs = world.site.agent / "programs"
    programs.mkdir()
    for name in ("squeue", "sacct", "sinfo"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} >> {programs}/asked\nexec /usr/bin/{name} "$@"\n')
        (programs / name).chmod(0o755)
    backend = world.adapter(programs=programs, poll_s=0)
    tiny = Flavour("tiny", "Tiny", 1, 2**26, 0, 0, 3600)
    handles = [await backend.start(replace(world.spec(), flavour=tiny), world.account) for _ in range(8)]
    for handle in handles:
        await seen(backend, handle, RunState.RUNNING)
    (programs / "asked").unlink()
    found = await backend.inspect(handles)
    assert {each.state for each in found.values()} == {RunState.RUNNING}
    assert (programs / "asked").read_text().split() == ["squeue"]


async def test_an_empty_answer_is_no_end_and_accounting_knows_one(commands: SlurmWorld) -> None:
    world = commands
    _, lives = await running(world)
    _, ends = await running(world)
    world.slurm.run("scancel", f"--name=parasol-{ends}")
    programs = world.site.agent / "programs"
    programs.mkdir()
    (programs / "squeue").write_text("#!/bin/sh\nexit 0\n")
    (programs / "squeue").chmod(0o755)
    (programs / "sacct").symlink_to("/usr/bin/sacct")
    backend = world.adapter(programs=programs)
    gone = await seen(backend, ends, RunState.GONE)
    assert (gone.reason, gone.message) == ("CANCELLED", "It was cancelled at the facility's scheduler.")
    assert (await look(backend, lives)).state is RunState.UNKNOWN
    (programs / "sacct").unlink()
    assert (await look(backend, lives)).state is RunState.UNKNOWN
    assert lives in await backend.list_owned()
    assert (await look(world.backend, lives)).state is RunState.RUNNING


async def test_one_more_than_the_qos_allows_waits_and_says_why(world: SlurmWorld) -> None:
    backend = world.adapter(default={"qos": "one"})
    first = await backend.start(world.spec(), world.account)
    await seen(backend, first, RunState.RUNNING)
    second = await backend.start(world.spec(), world.account)

    async def says_why() -> bool:
        return "number 1 in the queue" in (await look(backend, second)).message

    await eventually(says_why, "it says what it waits for")
    waits = await look(backend, second)
    assert waits.state is RunState.QUEUED
    assert waits.message.startswith("You run as much as the scheduler allows you at once; it starts when")
    assert waits.reason == "SCHEDULER_OWN_LIMIT"
    with pytest.raises(QuotaExceeded, match="stop something first"):
        await backend.start(world.spec(), world.account)
    await backend.stop(first)
    await seen(backend, second, RunState.RUNNING)
    assert len(await backend.list_owned()) == 1


async def test_the_next_one_is_told_when(world: SlurmWorld) -> None:
    whole = Flavour("whole", "All of it", CPUS, 2**30, 0, 0, 3600)
    first = await world.backend.start(replace(world.spec(), flavour=whole), world.account)
    await seen(world.backend, first, RunState.RUNNING)
    second = await world.backend.start(replace(world.spec(), flavour=whole), world.account)

    async def says_when() -> bool:
        seen = await look(world.backend, second)
        return "UTC" in seen.message and seen.reason == "SCHEDULER_RESOURCES"

    await eventually(says_when, "it says when it starts")
    waits = await look(world.backend, second)
    assert "expected to start at" in waits.message


@pytest.mark.parametrize(
    ("flavour", "lifetime_s", "reason"),
    [
        (Flavour("x", "", CPUS + 1, 2**30, 0, 0, 3600), 3600, "SCHEDULER_TOO_LARGE"),
        (Flavour("x", "", 1, 2**30, 0, 0, 3600), 9 * 3600, "SCHEDULER_TOO_LONG"),
    ],
)
async def test_what_would_wait_for_ever_is_taken_back(
    world: SlurmWorld, flavour: Flavour, lifetime_s: int, reason: str
) -> None:
    handle = await world.backend.start(
        replace(world.spec(), flavour=flavour, lifetime_s=lifetime_s), world.account
    )
    gone = await seen(world.backend, handle, RunState.GONE)
    assert gone.reason == reason
    assert gone.message.endswith(".")
    assert world.jobs(handle) == ["CANCELLED|"]


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"flavour": Flavour("x", "", 1, 2**46, 0, 0, 3600)}, FlavourTooLarge, "large enough"),
        ({"flavour": Flavour("x", "", 1, 2**30, 4, 0, 3600)}, FlavourTooLarge, "graphics"),
        ({"flavour": Flavour("x", "", 0, 2**30, 0, 0, 3600)}, InvalidRequest, "one CPU"),
        ({"flavour": Flavour("x", "", -1, 2**30, 0, 0, 3600)}, InvalidRequest, "one CPU"),
        ({"flavour": Flavour("x", "", 5000, 2**30, 0, 0, 3600)}, BackendError, "helper"),
        ({"command": ("/usr/bin/id", "{socket}")}, BackendError, "helper"),
        ({"variables": (("LD_PRELOAD", "/tmp/x.so"),)}, BackendError, "helper"),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(
    world: SlurmWorld, changes: dict[str, object], error: type[Exception], sentence: str
) -> None:
    spec = replace(world.spec(), **changes)  # type: ignore[arg-type]
    with pytest.raises(error, match=sentence):
        await world.backend.start(spec, world.account)
    assert set(world.jobs(spec.workspace_id)) <= {"FAILED|"}, "Slurm notes what it refuses"
    assert world.running(spec.workspace_id) == 0
    assert await world.backend.list_owned() == {}


@pytest.mark.parametrize(
    "changes", [{"uid": 0}, {"gid": 0}, {"uid": 1}, {"groups": (0,)}, {"username": "ada; id"}]
)
async def test_nothing_is_submitted_as_somebody_else(world: SlurmWorld, changes: dict[str, object]) -> None:
    spec = world.spec()
    with pytest.raises((IdentityRefused, BackendError)):
        await world.backend.start(spec, replace(world.account, **changes))  # type: ignore[arg-type]
    assert world.jobs(spec.workspace_id) == []
    assert await world.backend.list_owned() == {}


async def test_who_has_no_association_is_told_so(world: SlurmWorld) -> None:
    with pytest.raises(IdentityRefused, match="may not use the facility's scheduler"):
        await world.backend.start(world.spec(), world.site.ben)
    assert await world.backend.list_owned() == {}


async def test_a_node_that_fails_a_cancel_and_urgent_work_are_told_apart(world: SlurmWorld) -> None:
    _, handle = await running(world)
    world.slurm.run("scancel", f"--name=parasol-{handle}")
    assert (await seen(world.backend, handle, RunState.GONE)).reason == "CANCELLED"
    _, handle = await running(world)
    whole = [
        f"--cpus-per-task={CPUS}",
        "--partition=urgent",
        "--chdir=/tmp",
        "--output=/dev/null",
        "--wrap",
        "sleep 30",
    ]
    assert world.slurm.run("sbatch", *whole, uid=ADA).returncode == 0
    assert (await seen(world.backend, handle, RunState.GONE)).reason == "PREEMPTED"
    world.slurm.clear()
    _, handle = await running(world)
    world.slurm.run("scontrol", "update", f"nodename={world.slurm.host}", "state=down", "reason=test")
    try:
        assert (await seen(world.backend, handle, RunState.GONE)).reason == "NODE_LOST"
    finally:
        world.slurm.run("scontrol", "update", f"nodename={world.slurm.host}", "state=resume")


@pytest.mark.needs("memory-cgroups")
async def test_more_memory_than_its_size_is_told(world: SlurmWorld) -> None:
    hungry = "a = []\nimport time\nwhile True:\n    a.append(bytearray(2**24)); time.sleep(0.05)"
    spec = replace(
        world.spec(), command=(PYTHON, "-S", "-c", hungry), flavour=Flavour("x", "", 1, 2**26, 0, 0, 3600)
    )
    handle = await world.backend.start(spec, world.account)
    assert (await seen(world.backend, handle, RunState.GONE)).reason == "OUT_OF_MEMORY"


async def test_when_every_trace_of_a_submission_is_lost_the_second_job_does_nothing(world: SlurmWorld) -> None:
    spec, handle = await running(world)
    with rootly():
        (world.site.state / f"{handle}.slurm").unlink()
        (world.site.agent / "mine" / f"{handle}.json").unlink()
    answer = await world.backend.start(spec, world.account)
    assert answer == handle

    async def one_has_ended() -> bool:
        return sorted(world.jobs(handle)) == ["FAILED|", "RUNNING|"]

    await eventually(one_has_ended, "the second has ended")
    assert world.running(handle) == 1
    assert (await seen(world.backend, handle, RunState.RUNNING)).reason == ""
    await world.backend.stop(handle)
    assert world.running(handle) == 0


async def test_an_answer_that_was_lost_is_found_by_the_name(world: SlurmWorld) -> None:
    spec, handle = await running(world)
    with rootly():
        record = world.site.agent / "mine" / f"{handle}.json"
        text = record.read_text()
        assert '"job"' in text
        record.write_text(text[: text.index(', "job"')] + "}")
        (world.site.state / f"{handle}.slurm").rename(world.site.state / f"{handle}.kept")
    assert await world.reopened().start(spec, world.account) == handle
    assert world.jobs(handle) == ["RUNNING|"]
    with rootly():
        (world.site.state / f"{handle}.kept").rename(world.site.state / f"{handle}.slurm")


async def test_proposals_are_there(world: SlurmWorld) -> None:
    data = world.site.folder / "data"
    with rootly():
        data.mkdir(mode=0o755)
        (data / "x").write_text("counts")
    code = f"import os; assert open('proposals/p1/x').read() == 'counts'; os.listdir('scratch')\n{SERVER}"
    spec = replace(world.spec(), command=(PYTHON, "-S", "-c", code, "{socket}"), mounts=(Mount("p1", data),))
    await running(world, spec)


async def test_processed_and_own_packages_are_there_in_the_next_job_too(world: SlurmWorld) -> None:
    processed = world.site.folder / "processed"
    with rootly():
        processed.mkdir()
        os.chown(processed, world.account.uid, world.account.gid)
    mounts = (Mount("p1", processed, read_only=False, within="processed"),)
    install = """
import os, site
folder = site.getusersitepackages()
os.makedirs(folder)
open(folder + "/mine_alone.py", "w").write("answer = 42")
open("processed/p1/curve", "w").write("1 2 3")
"""
    use = "import mine_alone, os; print(mine_alone.answer, open('processed/p1/curve').read(), os.environ['PIP_USER'])"
    for code, output in ((install, ""), (use, "42 1 2 3 1")):
        spec = replace(world.spec(), command=(PYTHON, "-c", code), mounts=mounts)
        handle = await world.backend.start(spec, world.account)
        gone = await seen(world.backend, handle, RunState.GONE)
        assert (gone.exit_code, (await world.backend.logs(handle)).strip()) == (0, output)


@pytest.mark.parametrize(
    ("code", "told"),
    [(4, 4), (HAS_RUN, 1), (CANNOT_MOUNT, 1)],
    ids=["its own", "as of a second job", "as of a mount"],
)
async def test_its_output_is_for_the_operator(world: SlurmWorld, code: int, told: int) -> None:
    text = f"print('x' * 200000 + 'the end'); raise SystemExit({code})"
    spec = replace(world.spec(), command=(PYTHON, "-S", "-c", text))
    handle = await world.backend.start(spec, world.account)
    gone = await seen(world.backend, handle, RunState.GONE)
    assert (gone.reason, gone.exit_code) == ("EXITED", told)
    said = await world.backend.logs(handle)
    assert said.rstrip().endswith("the end")
    assert len(said) <= 64 * 1024


async def test_the_check_finds_nothing_wrong_and_says_what_is(world: SlurmWorld) -> None:
    import asyncio

    assert await asyncio.to_thread(lambda: list(world.adapter().faults())) == []
    changes = {"rest": "unix:/nowhere"} if world.rest else {"programs": "/nowhere"}
    found = await asyncio.to_thread(lambda: list(world.adapter(**changes).faults()))
    assert [fault.setting for fault in found] == list(changes) * 3
    free = await world.backend.capacity()
    assert (free.cpus_total, free.cpus_free) == (CPUS, CPUS)


async def test_what_slurm_says_that_it_does_not_have_is_forgotten_and_a_silence_is_not(world: SlurmWorld) -> None:
    assert await world.backend._queue.forgotten(999_999)  # type: ignore[attr-defined]
    with pytest.raises(BackendUnavailable):
        await world.adapter(programs="/nowhere", rest=world.rest and "unix:/nowhere")._queue.forgotten(999_999)
