"""What Slurm says and what is said to it, without a Slurm: the tables, the parsing, the job's script, the settings."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from facility_agent.adapters.compute import landlock, slurm_commands, slurm_queue, slurm_reasons
from facility_agent.adapters.compute.slurm_commands import CommandQueue
from facility_agent.adapters.compute.slurm_looks import pause_of
from facility_agent.adapters.compute.slurm_orders import address_of, begun
from facility_agent.adapters.compute.slurm_places import Places
from facility_agent.adapters.compute.slurm_queue import Job, Wanted
from facility_agent.adapters.compute.slurm_settings import SlurmSettings
from facility_agent.gateway.upstreams import Upstreams
from facility_agent.helper import slurm_job
from facility_agent.ports.compute import Endpoint
from facility_agent.ports.doorkeeper import WorkspaceDoor
from facility_agent.socket import codec
from shared.errors import BackendError, BackendUnavailable, FlavourTooLarge, IdentityRefused, QuotaExceeded

A, B = "6f1c4e9e-0000-4000-8000-00000000000a", "6f1c4e9e-0000-4000-8000-00000000000b"
WANTED = {A: Wanted(4001, "ada", 0.0), B: Wanted(4002, "ben", 0.0)}


@pytest.mark.parametrize(
    ("word", "code", "never"),
    [
        ("QOSMaxJobsPerUserLimit", "SCHEDULER_OWN_LIMIT", False), ("QOSMaxCpuPerUserLimit", "SCHEDULER_OWN_LIMIT", False),
        ("AssocMaxJobsLimit", "SCHEDULER_OWN_LIMIT", False), ("AssociationJobLimit", "SCHEDULER_OWN_LIMIT", False),
        ("MaxGRESPerAccount", "SCHEDULER_GROUP_LIMIT", False), ("AssocGrpCpuLimit", "SCHEDULER_GROUP_LIMIT", False),
        ("AssocGrpGRES", "SCHEDULER_GROUP_LIMIT", False), ("QOSGrpNodeLimit", "SCHEDULER_GROUP_LIMIT", False),
        ("AssocGrpCPUMinutesLimit", "SCHEDULER_BUDGET_SPENT", False), ("AssocGrpBillingMinutes", "SCHEDULER_BUDGET_SPENT", False),
        ("AssocGrpCPURunMinutesLimit", "SCHEDULER_BUDGET_SPENT", False), ("QOSGrpWallLimit", "SCHEDULER_BUDGET_SPENT", False),
        ("QOSMaxCpuPerJobLimit", "SCHEDULER_OVER_LIMIT", True), ("QOSMinMemory", "SCHEDULER_OVER_LIMIT", True),
        ("QOSMaxCpuMinutesPerJobLimit", "SCHEDULER_OVER_LIMIT", True),
        ("QOSMaxWallDurationPerJobLimit", "SCHEDULER_TOO_LONG", True), ("AssocMaxWallDurationPerJobLimit", "SCHEDULER_TOO_LONG", True),
        ("PartitionTimeLimit", "SCHEDULER_TOO_LONG", True), ("PartitionConfig", "SCHEDULER_TOO_LARGE", True),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", "SCHEDULER_NODES_AWAY", False), ("(Resources)", "SCHEDULER_RESOURCES", False),
        ("Priority", "SCHEDULER_PRIORITY", False), ("Licenses", "SCHEDULER_LICENCES", False), ("JobHeldAdmin", "SCHEDULER_HELD", False),
        ("Reservation", "SCHEDULER_RESERVATION", False), ("PartitionDown", "SCHEDULER_CLOSED", False),
        ("InvalidQOS", "SCHEDULER_NOT_ALLOWED", True), ("SomethingOfNextYear", "SCHEDULER_WAITS", False), ("", "SCHEDULER_WAITS", False),
    ],
)  # fmt: skip
def test_a_reason_is_a_code_and_a_sentence(word: str, code: str, never: bool) -> None:
    said = slurm_reasons.waiting(word)
    assert (said.code, said.never) == (code, never)
    assert said.sentence.endswith(".")


@pytest.mark.parametrize(
    ("state", "exit_code", "code"),
    [
        ("OUT_OF_MEMORY", 137, "OUT_OF_MEMORY"), ("TIMEOUT", 0, "TIME_IS_UP"), ("NODE_FAIL", 0, "NODE_LOST"),
        ("PREEMPTED", 0, "PREEMPTED"), ("CANCELLED", 143, "CANCELLED"), ("DEADLINE", None, "DEADLINE_PASSED"),
        ("FAILED", 3, "EXITED"), ("FAILED", 137, "KILLED"), ("FAILED", 75, "CONFLICT"), ("COMPLETED", 0, ""),
        ("BOOT_FAIL", None, "NODE_LOST"), ("FAILED", None, "EXITED"),
    ],
)  # fmt: skip
def test_ends_are_told_apart(state: str, exit_code: int | None, code: str) -> None:
    said = slurm_reasons.ended(state, exit_code)
    assert said.code == code
    assert said.sentence.endswith(".")


@pytest.mark.parametrize(
    ("printed", "error"),
    [
        ("QOSMaxSubmitJobPerUserLimit\nJob violates accounting/QOS policy", QuotaExceeded),
        ("Requested node configuration is not available", FlavourTooLarge),
        ("Invalid generic resource (gres) specification", FlavourTooLarge),
        ("Requested time limit is invalid (missing or exceeds some limit)", FlavourTooLarge),
        ("Invalid account or account/partition combination specified", IdentityRefused),
        ("Invalid partition name specified", BackendError), ("Invalid qos specification", BackendError),
        ("Invalid feature specification", BackendError), ("Requested reservation is invalid", BackendError),
        ("Unable to contact slurm controller (connect failure)", BackendUnavailable), ("/etc/secret: no", BackendError), ("", BackendError),
    ],
)  # fmt: skip
def test_a_refusal_is_one_of_our_errors_in_our_words(printed: str, error: type[Exception]) -> None:
    said = slurm_reasons.refused(f"sbatch: error: Batch job submission failed: {printed}\n")
    assert type(said) is error
    assert "/" not in said.message
    assert said.message.endswith(".")


def lines(*jobs: tuple[Any, ...]) -> dict[str, Job]:
    text = ("|".join(map(str, job)) for job in jobs)
    return slurm_queue.chosen(slurm_commands._of_squeue(line, WANTED) for line in text)


def test_of_several_jobs_for_one_workspace_it_is_the_one_that_lives_or_ran() -> None:
    rest = ("n1", "N/A", "main", "None|")
    second = (8, 4001, f"parasol-{A}", "FAILED", 75 << 8, *rest)
    assert lines(second, (7, 4001, f"parasol-{A}", "RUNNING", 0, *rest))[A].number == 7
    assert lines(second, (7, 4001, f"parasol-{A}", "TIMEOUT", 15, *rest))[A] == Job(
        7, "TIMEOUT", 143, "n1", "N/A", "main", "None"
    )
    assert (
        lines((9, 4001, f"parasol-{A}", "COMPLETED", 0, *rest), (10, 4001, f"parasol-{A}", "PENDING", 0, *rest))[
            A
        ].number
        == 10
    )


@pytest.mark.parametrize(
    "job",
    [
        (1, 4002, f"parasol-{A}", "COMPLETED", 0, "n", "", "p", ""), (1, 4001, A, "COMPLETED", 0, "n", "", "p", ""),
        (1, 4001, f"parasol-{A} ", "COMPLETED", 0, "n", "", "p", ""), ("x", 4001, f"parasol-{A}", "COMPLETED", 0, "n", "", "p", ""),
        (1, 4001, f"parasol-{A}", "COMPLETED"), ("<html>",),
    ],
)  # fmt: skip
def test_a_line_that_is_not_exactly_one_of_ours_counts_for_nothing(job: tuple[Any, ...]) -> None:
    assert lines(job) == {}


@given(st.text(max_size=200))
def test_whatever_is_printed_is_a_job_of_ours_or_nothing(line: str) -> None:
    for parse in (slurm_commands._of_squeue, slurm_commands._of_sacct):
        assert parse(line, WANTED) is None
    found = slurm_commands._of_squeue(f"1|4001|parasol-{A}|RUNNING|0|{line}", WANTED)
    assert found is None or found[0] == A


def test_accounting_names_who_cancelled_and_is_understood() -> None:
    found = slurm_commands._of_sacct(f"5|ada|parasol-{A}|CANCELLED by 0|0:15", WANTED)
    assert found == (A, Job(5, "CANCELLED", 143))
    assert slurm_commands._of_sacct(f"5.batch|ada|parasol-{A}|FAILED|1:0", WANTED) is None
    assert slurm_commands._of_sacct(f"5|ben|parasol-{A}|FAILED|1:0", WANTED) is None


THERE = '{"host": "n1", "port": 20001, "job": "7"}'


def test_only_slurms_own_machine_is_believed() -> None:
    settings, job = SlurmSettings(address="{node}.cluster.example"), Job(7, "RUNNING", 0, "n1")
    assert address_of({"state": "there", "text": THERE}, job, settings) == ("n1.cluster.example", 20001)
    assert address_of({"state": "none"}, job, settings) is None
    assert address_of({"state": "there", "text": THERE}, Job(7, "RUNNING"), settings) is None
    for bad in (
        THERE.replace("n1", "n2"),
        THERE.replace("20001", "22"),
        THERE.replace('"7"', "7"),
        "[]",
        "",
        "[" * 9999,
    ):
        with pytest.raises(ValueError, match=r"."):
            address_of({"state": "there", "text": bad}, job, settings)
    with pytest.raises(ValueError, match="a link"):
        address_of({"state": "refused", "why": "a link"}, job, settings)


def test_a_task_has_begun_when_its_own_job_says_so() -> None:
    job, said = Job(7, "RUNNING", 0, "n1"), THERE.replace("20001", "0")
    assert begun({"state": "there", "text": said}, job) is not None
    assert begun({"state": "none"}, job) is None
    with pytest.raises(ValueError, match="another host or job"):
        begun({"state": "there", "text": said}, Job(8, "RUNNING", 0, "n1"))
    with pytest.raises(ValueError, match="outside the site's range"):
        address_of({"state": "there", "text": said}, job, SlurmSettings())


@pytest.mark.parametrize(
    "said",
    [
        {"ports": (80, 90)}, {"ports": (3000, 2000)}, {"ports": (2000, 70000)}, {"default": {"partition": "a; id"}},
        {"default": {"qos": "-x"}}, {"flavours": {"big": {"gres": "gpu 1"}}}, {"address": "http://x"}, {"address": ""}, {"listen": "host"},
        {"environments": {"e": {"modules": ["a"], "image": "/x.sif"}}}, {"environments": {"e": {"image": "x.sif"}}}, {"programs": "bin"},
        {"environments": {"e": {"modules": ["a b"]}}}, {"unknown": 1},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SlurmSettings.model_validate(said)


def test_a_flavours_own_choice_stands_before_the_sites() -> None:
    settings = SlurmSettings.model_validate(
        {
            "default": {"partition": "main", "qos": "q"},
            "flavours": {"gpu": {"partition": "gpus", "gres": "gpu:a100:2"}},
        }
    )
    assert settings.asked("gpu", 2) == {
        "partition": "gpus", "account": "", "qos": "q", "reservation": "", "constraint": "", "gres": "gpu:a100:2",
    }  # fmt: skip
    assert settings.asked("other", 3)["gres"] == "gpu:3"
    assert settings.asked("other", 0)["gres"] == ""


async def test_a_place_and_a_time_are_told_when_they_are_known() -> None:
    places = Places(CommandQueue("/nowhere", ""))
    places._order["main"] = {7: 3}
    job = Job(7, "PENDING", partition="main", start="2026-11-25T15:11:19")
    assert (
        places.told(job, "It waits.")
        == "It waits. It is number 3 in the queue. It is expected to start at 15:11 UTC on 2026-11-25."
    )
    assert places.told(Job(8, "PENDING", partition="main", start="N/A"), "It waits.") == "It waits."


@pytest.mark.parametrize(
    ("poll_s", "young", "took", "pause"),
    [
        (5.0, False, 0.01, 5.0), (5.0, True, 0.01, 0.2), (0.1, True, 0.01, 0.1), (5.0, True, 0.5, 1.5), (5.0, False, 3.0, 9.0),
        (5.0, True, 60.0, 30.0), (0.0, False, 9.0, 0.0), (60.0, False, 60.0, 60.0),
    ],
)  # fmt: skip
def test_a_scheduler_that_is_slow_is_asked_less_often(
    poll_s: float, young: bool, took: float, pause: float
) -> None:
    assert pause_of(poll_s, young=young, took=took) == pytest.approx(pause)


SPEC: dict[str, Any] = {
    "image": "", "home": "/home/ada", "username": "ada", "modules": [], "variables": {"TOKEN": "{secret}", "AT": "{socket}"}, "gpus": False,
    "apptainer": "/usr/bin/apptainer", "mounts": [["p1", "/data/p1", True], ["p2", "/data/p2", False]], "modules_from": "", "own": {}, "readable": ["/sw", "/data/p1"], "writable": ["/tmp"],
}  # fmt: skip
FILL = {"socket": "/tmp/x/s", "work": "/w", "secret": "of-nobody"}


def test_an_image_gets_its_folders_and_never_the_secret_as_an_argument() -> None:
    own = {"PYTHONUSERBASE": "/own", "PIP_USER": "1"}
    spec = {**SPEC, "image": "/images/a.sif", "gpus": True, "own": own}
    words = slurm_job.contained(spec, ["/opt/server", "/tmp/x/s"], "/w", "/tmp/x")
    assert words == [
        "/usr/bin/apptainer", "exec", "--containall", "--no-eval", "--home", "/home/ada", "--pwd", "/w", "--nv",
        "--bind", "/w:/w:rw", "--bind", "/tmp/x:/tmp/x:rw", "--bind", "/own:/own:rw", "--bind", "/data/p1:/data/p1:ro", "--bind", "/data/p2:/data/p2:rw",
        "/images/a.sif", "/opt/server", "/tmp/x/s",
    ]  # fmt: skip
    made = slurm_job.environment(spec, "/tmp/x", FILL)
    assert made["APPTAINERENV_TOKEN"] == "of-nobody"
    assert "TOKEN" not in made
    assert (made["APPTAINERENV_PYTHONUSERBASE"], made["APPTAINERENV_APPEND_PATH"]) == ("/own", "/own/bin")
    with pytest.raises(SystemExit, match="colon or a comma"):
        slurm_job.contained({**spec, "mounts": [["p", "/data,rw:/etc", True]]}, ["/x"], "/w", "/tmp/x")
    assert slurm_job.contained(SPEC, ["/x"], "/w", "/t") == ["/x"]


def test_a_program_without_an_image_may_what_its_workspace_shows() -> None:
    may = slurm_job.confinement({**SPEC, "own": {"PYTHONUSERBASE": "/own"}}, "/w", "/tmp/x", 3, landlock)
    assert may["exact"] == [Path("/data/p1")]
    assert may["readable"] == [Path("/sw")], (
        "what is shown is opened without following a link, and not a second time"
    )
    assert {*map(str, may["writable"])} == {"/w", "/tmp", "/tmp/x", "/home/ada", "/own", "/data/p2"}
    assert slurm_job.confinement({**SPEC, "image": "/images/a.sif"}, "/w", "/tmp/x", 3, landlock) == {}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_node_without_enough_landlock_runs_nothing_that_could_write_a_proposal(
    tmp_path: Path, version: int
) -> None:
    may = slurm_job.confinement({**SPEC, "mounts": [["p", "/nowhere", True]]}, "/w", "/tmp/x", version, landlock)
    assert bool(may) == (version > 0), "what it could not write anyhow is read, confined as far as the kernel can"
    spec = {**SPEC, "writable": [], "mounts": [["p", str(tmp_path), True]]}
    with pytest.raises(SystemExit) as ended:
        slurm_job.confinement(spec, "/w", "/t", version, landlock)
    assert ended.value.code == slurm_queue.CANNOT_MOUNT == slurm_job.CANNOT_MOUNT
    assert slurm_reasons.ended("FAILED", slurm_queue.CANNOT_MOUNT).code == "MOUNT_FAILED"


@pytest.mark.parametrize("where", ["home", "home/data", "linked"])
def test_a_proposal_below_what_may_be_written_is_not_called_read_only(tmp_path: Path, where: str) -> None:
    proposal = tmp_path / "home" / "data" / "p"
    proposal.mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "home")
    spec = {**SPEC, "writable": [], "mounts": [["p", str(proposal), True]]}
    assert slurm_job.confinement(spec, "/w", "/t", 3, landlock)["exact"] == [proposal]
    with pytest.raises(SystemExit) as ended:
        slurm_job.confinement({**spec, "home": str(tmp_path / where)}, "/w", "/t", 3, landlock)
    assert ended.value.code == slurm_queue.CANNOT_MOUNT


@pytest.mark.parametrize(
    ("program", "folder"),
    [
        ("env/bin/python", "env"),
        ("env/sbin/serve", "env"),
        ("software/start", "software"),
        ("data/env/start", "data/env"),
    ],
)
def test_a_program_brings_its_environment_and_never_what_lies_beside_it(
    tmp_path: Path, program: str, folder: str
) -> None:
    assert [*landlock.program_folders(tmp_path / program)] == [tmp_path / folder]


def test_modules_are_loaded_by_the_sites_own_shell_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "modules.sh"
    file.write_text('module() { echo chatter; [ "$2" != none ] && export LOADED="$*" MARK="$ODD"; }\n')
    monkeypatch.setenv("ODD", "of the helper")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    made = slurm_job.environment({**SPEC, "modules_from": str(file), "modules": ["py/3", "a;b"]}, "/tmp/x", FILL)
    assert made["LOADED"] == "load py/3 a;b"
    assert made["MARK"] == ""
    assert (made["TOKEN"], made["AT"], made["SLURM_JOB_ID"]) == ("of-nobody", "/tmp/x/s", "7")
    with pytest.raises(SystemExit, match="could not be loaded"):
        slurm_job.environment({**SPEC, "modules_from": str(file), "modules": ["none"]}, "/tmp/x", FILL)


@pytest.mark.parametrize(
    ("head", "is_let_in"),
    [
        (b"GET / HTTP/1.1\r\nParasol-Door: k\r\n\r\n", True), (b"GET / HTTP/1.1\r\nPARASOL-DOOR:k\r\nX: y\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nX: k\r\n\r\n", False), (b"Parasol-Door: k\r\n\r\n", False), (b"GET / HTTP/1.1\r\nParasol-Door: kk\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nParasol-Door: k\r\nparasol-door: k\r\n\r\n", False), (b"GET / HTTP/1.1\r\nParasol-Door : k\r\n\r\n", False),
    ],
)  # fmt: skip
def test_the_door_wants_the_key_once(head: bytes, is_let_in: bool) -> None:
    assert slurm_job.bears(head, b"k") is is_let_in


def test_a_second_job_finds_the_mark_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert slurm_job.claim()
    assert not slurm_job.claim()
    second = subprocess.run([sys.executable, "-I", slurm_job.__file__], cwd=tmp_path, timeout=30)
    assert second.returncode == slurm_queue.HAS_RUN
    slurm_job.hand_back(20001)
    assert stat.S_IMODE(os.stat("endpoint.json").st_mode) == 0o600  # noqa: PTH116


async def test_a_port_that_somebody_has_is_passed_over() -> None:
    class Nobody(slurm_job.Door):
        """Of no program."""

    door = Nobody("k", "/nowhere")
    first, port = await slurm_job.listen({"ports": [20000, 29999], "listen": "127.0.0.1"}, door)
    try:
        with pytest.raises(SystemExit, match="no port"):
            await slurm_job.listen({"ports": [port, port], "listen": "127.0.0.1"}, door)
    finally:
        first.close()


async def test_the_gateway_reaches_a_port_and_keeps_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    to = Endpoint(None, (("Parasol-Door", "k"),), address=("127.0.0.1", server.sockets[0].getsockname()[1]))
    pool = Upstreams()
    upstream = await pool.connect(to)
    pool.give(upstream)
    assert pool.take(Endpoint(None, (("Parasol-Door", "other"),), address=to.address)) is None
    assert pool.take(to) is upstream
    upstream.transport.abort()
    server.close()
    await server.wait_closed()
    with pytest.raises(OSError, match=r"."):
        await pool.connect(to)


@pytest.mark.parametrize(
    "to", [Endpoint(Path("/s"), (("A", "b"),), 5), Endpoint(None, (), None, ("n1", 20001)), None]
)
def test_an_endpoint_survives_the_agents_socket(to: Endpoint | None) -> None:
    import json

    door = WorkspaceDoor(A, "Title", "RUNNING", True, to)
    assert codec.to_door(json.loads(json.dumps(codec.door(door)))) == door


@pytest.mark.parametrize("both", [(None, None), (Path("/s"), ("n", 1))])
def test_an_endpoint_is_one_of_the_two(both: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="a socket or an address"):
        Endpoint(both[0], address=both[1])
