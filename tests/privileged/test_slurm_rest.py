"""slurmrestd between the agent and Slurm: whose tokens go where, what a broken answer does, and what is spoken."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from facility_agent.adapters.compute import slurm_api
from facility_agent.adapters.compute import slurm_rest as agents
from facility_agent.adapters.compute.slurm_rest import RestQueue, Token
from facility_agent.adapters.http import Bounds
from facility_agent.ports.compute import RunState
from facility_agent.testing.patience import eventually
from shared.errors import BackendUnavailable
from tests.certificates import self_signed
from tests.components import ROOT
from tests.privileged.site import as_root, helper_site
from tests.privileged.slurm_world import PYTHON, SlurmWorld, slurm_world
from tests.privileged.test_slurm_workspaces import look, running, seen
from tests.rest_proxy import HTML, Proxy, Request, answer, proxy
from tests.slurm_site import ADA, shared_slurm
from tests.waiting import until

pytestmark = pytest.mark.needs("root", "slurm", "slurmrestd")
OLD = slurm_api.OLD
AGENT = "nobody"


@pytest.fixture
def through() -> Iterator[tuple[SlurmWorld, Proxy]]:
    """A world whose helper and agent ask slurmrestd through a proxy."""
    assert os.getuid() != 0, "the agent is not root"
    with opened() as (world, between):
        yield world, between


@contextmanager
def opened(way: str = "rest") -> Iterator[tuple[SlurmWorld, Proxy]]:
    with proxy(shared_slurm().rest) as between, slurm_world(way=way, at=between.address) as world:
        yield world, between


def claims(token: str) -> dict[str, Any]:
    """What a token says of itself."""
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return said


@pytest.mark.parametrize("way", ["rest", "key"])
async def test_a_persons_token_is_the_helpers_alone_and_does_nothing_but_its_orders(way: str) -> None:
    with opened(way) as (world, between):
        _, handle = await running(world)
        await world.backend.stop(handle)
        assert world.running(handle) == 0
        assert world.site.ask("slurm_token")["ok"]["username"] == AGENT
        theirs = [each for each in between.requests if each.username == "ada"]
        kinds = {(each.method, each.path.rsplit("/", 1)[-1]) for each in theirs}
        assert ("POST", "submit") in kinds
        assert {method for method, end in kinds if end.isdigit()} == {"GET", "DELETE"}
        assert {end for method, end in kinds if not end.isdigit()} <= {"submit", "jobs"}
        for each in theirs:
            said = claims(each.token)
            assert (said["sun"], said["exp"] - said["iat"]) == ("ada", 60)
        mine = [each for each in between.requests if each.username != "ada"]
        assert {(each.method, each.username) for each in mine} == {("GET", AGENT)}
        assert {claims(each.token)["sun"] for each in mine} == {AGENT}
        for where in (world.site.said(), world.slurm.run("ps", "-e", "-o", "args").stdout):
            assert "eyJ" not in where


async def test_with_the_sites_key_no_command_of_slurm_is_needed() -> None:
    with slurm_world(way="key") as world:
        _, handle = await running(world)
        assert await asyncio.to_thread(lambda: list(world.adapter().faults())) == []
        await world.backend.stop(handle)
        assert (await look(world.backend, handle)).exit_code is not None


def test_the_agent_gets_no_token_but_its_own() -> None:
    with slurm_world(way="rest") as world:
        for fields in ({"username": "ada"}, {"uid": ADA}, {"seconds": 99999}, {"id": "x"}):
            assert world.site.ask("slurm_token", **fields)["reason"] == "INVALID_REQUEST"
        said = world.site.ask("slurm_token")["ok"]
        assert (claims(said["token"])["sun"], said["seconds"]) == (AGENT, 300)
        assert 0 < claims(said["token"])["exp"] - time.time() <= 300
        # Whoever has it is not ada.
        for name in ("ada", "root"):
            heard = world.slurm.ask_rest(f"slurm/{OLD}/jobs", name, said["token"])
            assert slurm_api.faults(json.loads(heard)["errors"]), "it is refused"
        heard = world.slurm.ask_rest(f"slurm/{OLD}/jobs", AGENT, said["token"])
        assert slurm_api.faults(json.loads(heard)["errors"]) == []
    with slurm_world() as world:
        refused = world.site.ask("slurm_token")
        assert refused["reason"] == "INVALID_REQUEST"
        assert "no slurmrestd" in refused["error"]


async def test_a_cancel_ends_nothing_else_of_the_person(through: tuple[SlurmWorld, Proxy]) -> None:
    world, _ = through
    _, handle = await running(world)
    base = ["--chdir=/tmp", "--output=/dev/null", "--partition=main", "--parsable", "--wrap", "sleep 60"]
    others = [
        world.slurm.run("sbatch", f"--job-name={name}", *base, uid=ADA).stdout.strip()
        for name in ("mine", f"parasol-{handle}x", f"parasol-{handle},mine")
    ]
    with as_root():  # as if the number that root wrote down were another's by now
        record = world.site.state / f"{handle}.slurm"
        record.write_text(json.dumps({**json.loads(record.read_text()), "job": int(others[0])}))
    await world.backend.stop(handle)
    assert world.running(handle) == 0
    states = world.slurm.run(
        "squeue", "--noheader", f"--jobs={','.join(others)}", "--Format=state:"
    ).stdout.split()
    assert len(states) == 3
    assert set(states) <= {"RUNNING", "PENDING"}


async def test_one_question_for_all_and_the_newest_version_that_both_know(
    through: tuple[SlurmWorld, Proxy],
) -> None:
    world, between = through
    handles = [(await running(world))[1] for _ in range(4)]
    backend = world.adapter(poll_s=0)
    between.requests.clear()
    assert {each.state for each in (await backend.inspect(handles)).values()} == {RunState.RUNNING}
    assert [each.path for each in between.requests] == [f"/slurm/{each}/jobs" for each in slurm_api.VERSIONS]
    between.requests.clear()
    assert {each.state for each in (await backend.inspect(handles)).values()} == {RunState.RUNNING}
    assert [each.path for each in between.requests] == [f"/slurm/{OLD}/jobs"]
    gone = answer("404 Not Found", "Unable find requested URL.", "text/plain")
    between.instead = lambda _: gone
    assert (await look(backend, handles[0])).state is RunState.UNKNOWN, "it speaks nothing that is known here"
    between.instead = lambda _: None
    assert (await look(backend, handles[0])).state is RunState.RUNNING, "it was found again"


def _jobs(**changes: Any) -> str:
    job = {"job_id": 1, "user_id": ADA, "job_state": "COMPLETED", "exit_code": 0, **changes}
    return json.dumps({"errors": [], "jobs": [job]})


AUTH = json.dumps({"errors": [{"error_number": 1007, "error": "Protocol authentication error"}], "jobs": []})
BROKEN: list[tuple[str, bytes]] = [
    ("429", answer("429 Too Many Requests", "{}")), ("500", answer("500 Internal Server Error")),
    ("502 HTML", answer("502 Bad Gateway", HTML, "text/html")), ("200 HTML", answer("200 OK", HTML, "text/html")),
    ("half", answer("200 OK", '{"errors": [], "jobs": [', size=5000)), ("nothing", b""), ("no HTTP", b"\0\1\2\r\n\r\n"),
    ("moved", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
    ("long", answer("200 OK", " " * 5_000_000 + _jobs())), ("says long", answer("200 OK", "{}", size=2**40)),
    ("[]", answer("200 OK", "[]")), ("{}", answer("200 OK", "{}")), ("null", answer("200 OK", "null")),
    ("deep", answer("200 OK", '{"errors": [], "jobs": ' + "[" * 5000 + "]" * 5000 + "}")),
    ("no list", answer("200 OK", '{"errors": [], "jobs": "x"}')), ("odd errors", answer("200 OK", '{"errors": {}, "jobs": []}')),
    ("empty", answer("200 OK", '{"errors": [], "jobs": []}')), ("an error and 200", answer("200 OK", AUTH)),
    ("no objects", answer("200 OK", '{"errors": [], "jobs": [1, null, "x", []]}')),
]  # fmt: skip


async def test_a_broken_answer_is_not_an_end(through: tuple[SlurmWorld, Proxy], monkeypatch: Any) -> None:
    world, between = through
    _, handle = await running(world)
    monkeypatch.setattr(agents, "BOUNDS", Bounds(seconds=5.0, size=4_000_000, depth=0))
    name = f"parasol-{handle}"
    lies = [
        ("another's", answer("200 OK", _jobs(name=name, user_id=ADA + 1))), ("text", answer("200 OK", _jobs(name=name, user_id=str(ADA)))),
        ("no state", answer("200 OK", _jobs(name=name, job_state=None))), ("odd state", answer("200 OK", _jobs(name=name, job_state="EH"))),
        ("ends and ends", answer("200 OK", _jobs(name=name, job_state=["COMPLETED", "COMPLETING"]))),
        ("no number", answer("200 OK", _jobs(name=name, job_id="1"))), ("nearly", answer("200 OK", _jobs(name=f"{name} "))),
    ]  # fmt: skip
    for what, said in [*BROKEN, *lies]:
        between.instead = lambda request, said=said: said  # type: ignore[misc]
        backend = world.adapter(poll_s=0)
        found = await look(backend, handle)
        assert found.state in (RunState.UNKNOWN, RunState.STARTING), what
        assert found.state is RunState.UNKNOWN or what == "ends and ends", what
        assert handle in await backend.list_owned(), what
        between.instead = lambda _: None
        await seen(backend, handle, RunState.RUNNING)
    assert world.running(handle) == 1


async def test_an_end_that_only_the_accounting_knows(through: tuple[SlurmWorld, Proxy]) -> None:
    world, between = through
    _, lives = await running(world)
    _, ends = await running(world)
    world.slurm.run("scancel", f"--name=parasol-{ends}")
    empty = answer("200 OK", '{"errors": [], "jobs": []}')
    between.instead = lambda request: empty if request.path.endswith("/jobs") else None
    backend = world.adapter(poll_s=0)
    gone = await seen(backend, ends, RunState.GONE)
    assert (gone.reason, gone.message) == ("CANCELLED", "It was cancelled at the facility's scheduler.")
    assert (await look(backend, lives)).state is RunState.UNKNOWN
    between.instead = lambda request: answer("200 OK", AUTH) if "slurmdb" in request.path else empty
    assert (await look(backend, lives)).state is RunState.UNKNOWN
    assert lives in await backend.list_owned()
    assert (await look(world.backend, lives)).state is RunState.UNKNOWN
    between.instead = lambda _: None
    assert (await look(world.adapter(poll_s=0), lives)).state is RunState.RUNNING


async def test_a_token_that_has_ended_is_renewed_once(through: tuple[SlurmWorld, Proxy]) -> None:
    world, between = through
    _, handle = await running(world)
    backend = world.adapter(poll_s=0)
    queue = backend._queue
    assert isinstance(queue, RestQueue)
    expired = world.slurm.run("scontrol", "token", "lifespan=1", f"username={AGENT}").stdout.strip()[
        len("SLURM_JWT=") :
    ]
    until(lambda: time.time() > claims(expired)["exp"] + 1, "it has ended")
    for bad in (expired, "x.y.z"):
        queue._token, queue._renewed = Token(AGENT, bad, time.monotonic() + 999), -agents.AGAIN_S
        between.requests.clear()
        assert (await look(backend, handle)).state is RunState.RUNNING
        spoken = [each for each in between.asked("/jobs") if f"/{OLD}/" in each.path]
        assert [each.token == bad for each in spoken] == [True, False]
    between.instead = lambda _: answer("401 Unauthorized", "Authentication failure", "text/plain")
    queue._renewed = -agents.AGAIN_S
    for times in (2, 1):
        between.requests.clear()
        assert (await look(backend, handle)).state is RunState.UNKNOWN
        assert len(between.requests) == times, "not a new token for each refusal"
    between.instead = lambda _: None
    queue._token = Token(AGENT, "x.y.z", 0.0)
    assert (await look(backend, handle)).state is RunState.RUNNING, "one that is old is not used"
    assert world.running(handle) == 1


SILENT: list[tuple[str, bytes]] = [
    *BROKEN[:8],
    ("no number", answer("200 OK", '{"errors": [], "job_id": "5"}')), ("0", answer("200 OK", '{"errors": [], "job_id": 0}')),
    ("no talk", answer("500 Internal Server Error", '{"errors": [{"error_code": 5005, "error": "Zero Bytes"}]}')),
    ("no number at all", answer("500 Internal Server Error", '{"errors": [{"error": "?"}]}')),
    ("deep", answer("200 OK", "[" * 100_000)),
]  # fmt: skip


async def test_an_order_whose_answer_says_nothing_is_not_known_and_is_given_again(
    through: tuple[SlurmWorld, Proxy],
) -> None:
    world, between = through
    spec = world.spec()
    for what, said in SILENT:
        between.instead = lambda request, said=said: said if request.path.endswith("submit") else None  # type: ignore[misc]
        with pytest.raises(BackendUnavailable):
            await world.backend.start(spec, world.account)
        assert spec.workspace_id in await world.backend.list_owned(), what
        assert world.jobs(spec.workspace_id) == [], what
    between.instead = lambda _: None
    await running(world, spec)
    assert world.running(spec.workspace_id) == 1


async def test_an_order_that_was_taken_and_whose_answer_was_lost_runs_once(
    through: tuple[SlurmWorld, Proxy],
) -> None:
    world, between = through
    spec = world.spec()
    between.swallow = lambda request: request.path == f"/slurm/{OLD}/job/submit"
    with pytest.raises(BackendUnavailable):
        await world.backend.start(spec, world.account)
    between.swallow = lambda _: False
    await seen(world.backend, spec.workspace_id, RunState.RUNNING)
    assert await world.backend.start(spec, world.account) == spec.workspace_id
    assert world.jobs(spec.workspace_id) == ["RUNNING|"]
    answered = world.site.ask("slurm_submit", **_order(world, spec))["ok"]
    assert answered["job"], "the helper, which does not know it, submits it again"

    async def one_has_ended() -> bool:
        return sorted(world.jobs(spec.workspace_id)) == ["FAILED|", "RUNNING|"]

    await eventually(one_has_ended, "and the second finds the mark of the first")
    assert world.running(spec.workspace_id) == 1
    await world.backend.stop(spec.workspace_id)
    assert world.running(spec.workspace_id) == 0


def _order(world: SlurmWorld, spec: Any) -> dict[str, Any]:
    from facility_agent.adapters.compute.slurm_orders import order_of

    return {"id": spec.workspace_id, **order_of(spec, world.account, world.backend._settings)}  # type: ignore[attr-defined]


async def test_a_stop_whose_answers_are_broken_says_so_and_ends_it_later(
    through: tuple[SlurmWorld, Proxy],
) -> None:
    world, between = through
    _, handle = await running(world)

    def broken(request: Request) -> bytes | None:
        return answer("502 Bad Gateway", HTML, "text/html") if request.username == "ada" else None

    between.instead = broken
    backend = world.adapter(stop_within_s=0.5)
    with pytest.raises(Exception, match="could not stop the workspace yet"):
        await backend.stop(handle)
    assert world.running(handle) == 1
    between.instead = lambda _: None
    await backend.stop(handle)
    assert world.running(handle) == 0


async def test_by_https_and_only_to_whom_the_site_trusts() -> None:
    slurm = shared_slurm()
    with as_root():
        good, key = self_signed(slurm.folder / "good")
        other, _ = self_signed(slurm.folder / "other")
        key.chmod(0o644)
    with proxy(slurm.rest, (good, key)) as between:
        with slurm_world(way="rest", at=between.address, rest_ca=str(good)) as world:
            backend = world.adapter(rest_ca_file=good)
            handle = await backend.start(world.spec(), world.account)
            await seen(backend, handle, RunState.RUNNING)
            assert (await look(world.adapter(rest_ca_file=other), handle)).state is RunState.UNKNOWN
            await backend.stop(handle)
        with slurm_world(way="rest", at=between.address, rest_ca=str(other)) as world:
            between.requests.clear()
            spec = world.spec()
            with pytest.raises(BackendUnavailable):
                await world.adapter(rest_ca_file=good).start(spec, world.account)
            assert [each for each in between.requests if each.username == "ada"] == [], "no token was sent"
            assert world.jobs(spec.workspace_id) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rest": "http://127.0.0.1:6820"}, "write unix:/path"), ({"rest": "https://x/y"}, "without a path"), ({"rest": ""}, "write unix:"),
        ({"rest": 5}, "slurm: rest"), ({"rest_ca": "ca.pem"}, "absolute path"), ({"jwt_key": "/nowhere"}, "No such file"),
        ({"jwt_key": "/etc/passwd"}, "can be read by others"), ({"scontrol": "/nowhere"}, "No such file"),
    ],
    ids=str,
)  # fmt: skip
def test_a_mistake_in_the_helpers_file_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    slurm = {"programs": [{"path": PYTHON}], "rest": "unix:/run/s", **changes}
    with helper_site(slurm=slurm) as site, as_root():
        done = subprocess.run([*site.command(), "--check"], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
