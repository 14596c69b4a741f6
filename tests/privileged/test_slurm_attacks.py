"""What a person's own job, or an agent that was taken over, could try: each is refused, and nothing happens."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from facility_agent.adapters.compute.slurm_orders import order_of
from facility_agent.adapters.compute.slurm_settings import SlurmSettings
from facility_agent.ports.compute import RunState
from facility_agent.testing.patience import eventually
from tests.privileged.slurm_world import SlurmWorld, fresh, slurm_world
from tests.privileged.test_slurm_workspaces import look, running, seen
from tests.slurm_site import ADA, BEN, rootly

pytestmark = pytest.mark.needs("root", "slurm")


@pytest.fixture
def world() -> Iterator[SlurmWorld]:
    with slurm_world() as world:
        yield world


@contextmanager
def trap(port: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers everybody; what it heard."""
    heard: list[bytes] = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        listener.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    visitor, _ = listener.accept()
                except TimeoutError:
                    continue
                with visitor:
                    heard.append(visitor.recv(65536))
                    visitor.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            ended.set()
            thread.join()


Change = Callable[[Path, dict[str, Any], int], None]


def _says(**changes: Any) -> Change:
    def change(folder: Path, said: dict[str, Any], port: int) -> None:
        said = {**said, "port": port, **changes}
        (folder / "endpoint.json").write_text(json.dumps({k: v for k, v in said.items() if v is not None}))

    return change


def _link(folder: Path, said: dict[str, Any], port: int) -> None:
    (folder / "elsewhere").write_text(json.dumps({**said, "port": port}))
    (folder / "endpoint.json").unlink()
    (folder / "endpoint.json").symlink_to(folder / "elsewhere")


def _two_names(folder: Path, said: dict[str, Any], port: int) -> None:
    _says()(folder, said, port)
    (folder / "second").hardlink_to(folder / "endpoint.json")


def _open_to_all(folder: Path, said: dict[str, Any], port: int) -> None:
    _says()(folder, said, port)
    (folder / "endpoint.json").chmod(0o666)


def _of_another(folder: Path, said: dict[str, Any], port: int) -> None:
    _says()(folder, said, port)
    os.chown(folder / "endpoint.json", BEN, BEN)


def _fifo(folder: Path, said: dict[str, Any], port: int) -> None:
    (folder / "endpoint.json").unlink()
    os.mkfifo(folder / "endpoint.json", 0o600)
    os.chown(folder / "endpoint.json", ADA, ADA)


def _folder_link(folder: Path, said: dict[str, Any], port: int) -> None:
    _says()(folder, said, port)
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(folder.with_name("moved"))


def _no_json(folder: Path, said: dict[str, Any], port: int) -> None:
    (folder / "endpoint.json").write_text("[" * 5000)


@pytest.mark.parametrize(
    "change",
    [
        _says(host="elsewhere"), _says(host="127.0.0.1"), _says(host=None), _says(job="1"), _says(port=22), _says(port=1023),
        _says(port=-1), _says(port="20000"), _says(port=True), _says(port=99999), _says(port=None), _link, _two_names, _open_to_all,
        _of_another, _fifo, _folder_link, _no_json,
    ],
)  # fmt: skip
async def test_a_false_endpoint_leads_nowhere(world: SlurmWorld, change: Change) -> None:
    with trap() as (port, heard):
        settings = {"ports": (1024, 65535)}
        spec, handle = await running(world)
        folder = world.folder(spec.workspace_id)
        with rootly():
            said = json.loads((folder / "endpoint.json").read_text())
            change(folder, said, port)
        backend = world.adapter(**settings)
        found = await look(backend, handle)
        assert (found.state, found.reason) == (RunState.STARTING, "ENDPOINT_REFUSED")
        assert "/" not in found.message
        assert await backend.endpoint(handle) is None
        assert heard == [], "nobody was asked there"
    assert world.jobs(handle) == ["RUNNING|"], "it was not ended for that"


async def test_a_port_outside_the_sites_range_is_not_asked(world: SlurmWorld) -> None:
    with trap() as (port, heard):
        spec, handle = await running(world)
        with rootly():
            file = world.folder(spec.workspace_id) / "endpoint.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), "port": port}))
        backend = world.adapter(ports=(port + 1, 65535))
        assert (await look(backend, handle)).reason == "ENDPOINT_REFUSED"
        assert heard == []


async def test_the_door_opens_to_the_key_alone(world: SlurmWorld) -> None:
    _, handle = await running(world)
    endpoint = await world.backend.endpoint(handle)
    assert endpoint is not None
    assert endpoint.address is not None
    key = dict(endpoint.headers)["Parasol-Door"]
    for head, status in (
        (f"Parasol-Door: {key}", b"403"),  # past the door, and refused by the program that misses its own secret
        (f"Parasol-Door: {key[:-1]}", b""), ("Parasol-Door:", b""), (f"Parasol-Door: {key}\r\nParasol-Door: {key}", b""),
        ("X: y", b""),
    ):  # fmt: skip
        with socket.create_connection(endpoint.address, 10) as visitor:
            visitor.sendall(f"GET / HTTP/1.1\r\n{head}\r\n\r\n".encode())
            answer = b""
            while part := visitor.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 403")
        assert (b"Forbidden" in answer) is (status == b""), head


async def test_a_job_cannot_speak_for_anothers(world: SlurmWorld) -> None:
    _, handle = await running(world)
    other = fresh()
    name = f"x\n1|{ADA}|parasol-{handle}|COMPLETED|0|n/a|N/A|main|None|"
    base = ["--chdir=/tmp", "--output=/dev/null", "--partition=main"]
    for words in ([f"--job-name={name}"], [f"--job-name=parasol-{handle},parasol-{other}"]):
        world.slurm.run("sbatch", *base, *words, "--wrap", "exit 0", uid=ADA)
    assert (await look(world.backend, handle)).state is RunState.RUNNING
    await world.backend.stop(handle)


VALID = {
    "partition": "main",
    "cpus": 1,
    "minutes": 5,
    "ports": [20000, 20100],
    "modules": [],
    "image": "",
    "gres": "",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partition", "main; touch /tmp/x"), ("partition", "$(id)"), ("partition", "-wnode"), ("partition", "a b"),
        ("partition", "main\n"), ("partition", "`id`"), ("account", "--uid=0"), ("qos", "a'b"), ("qos", 5), ("gres", "gpu:1 --uid=0"),
        ("reservation", "r\0"), ("constraint", "x" * 300), ("constraint", 'f"'), ("cpus", 0), ("cpus", -1), ("cpus", True),
        ("cpus", 1.5), ("memory", 0), ("memory", -1), ("minutes", 0), ("minutes", -1), ("minutes", "5"), ("ports", [80, 90]),
        ("ports", [2000, 1999]), ("ports", [2000]), ("ports", [1024, 70000]), ("modules", ["a b"]), ("modules", ["-x"]),
        ("modules", [""]), ("image", "x.sif"), ("image", "/etc/../x.sif"), ("image", "/tmp/evil.sif"), ("listen", "x"), ("door", "short"),
        ("home", "home"), ("home", "/tmp/%j"), ("uid", 0), ("uid", 100), ("gid", 0), ("groups", [0]), ("username", "ben"),
        ("username", "ada;id"), ("command", []), ("command", ["id"]), ("command", ["/bin/sh", "-c", "id"]), ("variables", {"PATH": "/tmp"}),
        ("id", "../x"), ("extra", 1),
    ],
)  # fmt: skip
def test_what_is_not_valid_is_not_submitted(world: SlurmWorld, field: str, value: Any) -> None:
    spec = world.spec()
    order = order_of(spec, world.account, SlurmSettings(default={"partition": "main"}))  # type: ignore[arg-type]
    said = {"id": spec.workspace_id, **order, field: value}
    answer = world.site.ask("slurm_submit", **said)
    assert answer.get("reason") in ("INVALID_REQUEST", "IDENTITY_REFUSED", "BACKEND_FAILED"), answer
    assert answer["error"].endswith(".")
    assert world.jobs(spec.workspace_id) == []
    with rootly():
        assert not (world.account.home / ".parasol").exists()
    assert not any(trace.endswith(".slurm") for trace in world.site.traces())


async def test_another_account_gets_neither_the_job_nor_its_files(world: SlurmWorld) -> None:
    spec, handle = await running(world)
    order = order_of(spec, world.site.ben, SlurmSettings())
    assert world.site.ask("slurm_submit", id=handle, **order)["reason"] == "CONFLICT"
    assert world.jobs(handle) == ["RUNNING|"]
    for what in ("spec.json", "../../x", 5):
        assert world.site.ask("slurm_read", id=handle, what=what)["reason"] == "INVALID_REQUEST"
    assert world.site.ask("slurm_read", id=fresh(), what="log")["ok"] == {"state": "none"}
    assert world.site.ask("slurm_cancel", id=fresh())["ok"] == {"asked": True}
    assert (await seen(world.backend, handle, RunState.RUNNING)).reason == ""


async def test_a_log_that_is_a_link_is_not_read(world: SlurmWorld) -> None:
    spec, handle = await running(world)
    with rootly():
        log = world.folder(spec.workspace_id) / "log"
        log.unlink(missing_ok=True)
        log.symlink_to("/etc/shadow")
    assert await world.backend.logs(handle) == ""


async def test_a_scheduler_that_hangs_or_lies_at_length_is_not_known(world: SlurmWorld, monkeypatch: Any) -> None:
    _, handle = await running(world)
    monkeypatch.setattr("facility_agent.adapters.compute.slurm_queue.WITHIN_S", 1.0)
    programs = world.site.agent / "programs"
    programs.mkdir()
    backend = world.adapter(programs=programs, poll_s=0)
    for script in (
        "exec sleep 600", "exec yes parasol", "echo '<html>'", "exit 1", "printf '\\377\\0|||||'", "kill -9 $$",
        f"echo '1|{ADA}|parasol-{handle}|COMPLETED'", f"echo '1|{BEN}|parasol-{handle}|COMPLETED|0|n|n|main|None|'",
    ):  # fmt: skip
        (programs / "squeue").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "squeue").chmod(0o755)
        assert (await look(backend, handle)).state is RunState.UNKNOWN, script
        assert handle in await backend.list_owned()
    await eventually(lambda: _runs(world, handle), "it runs")


async def _runs(world: SlurmWorld, handle: str) -> bool:
    return (await look(world.backend, handle)).state is RunState.RUNNING
