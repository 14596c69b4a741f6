"""Processes are killed, frozen and slow: workspaces live on, and nobody waits for the missing."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from deploy.demo.journey import SEARCH, Journey
from deploy.demo.people import PEOPLE
from deploy.demo.world import World
from tests.e2e.conftest import DEADLINE_S
from tests.waiting import until

pytestmark = [pytest.mark.needs("node"), pytest.mark.timeout(180)]


def came_back(world: World, name: str, old: int) -> None:
    until(lambda: world.processes[name].pid != old, f"{name} is started again")


def online(journey: Journey) -> set[str]:
    try:
        nodes = journey.ask("{facilities{nodes{slug state}}}")["facilities"]["nodes"]
    except Exception:  # noqa: BLE001 (the centre may be starting)
        return set()
    return {node["slug"] for node in nodes if node["state"] == "ONLINE"}


def test_the_kernel_keeps_its_variables_while_agent_gateway_and_centre_are_killed(world: World) -> None:
    journey = Journey(world.addresses, PEOPLE[0])
    journey.sign_in()
    journey.connect("alpha")
    dataset = journey.find(facilities=["Facility:alpha"])
    journey.launch(dataset)
    journey.open_workspace()
    kernel = journey.kernel()
    kernel.run("kept = 41")
    for name in ("alpha-agent", "alpha-gateway", "centre"):
        old = world.processes[name].pid
        world.kill(name)
        came_back(world, name, old)
        until(lambda: {"alpha", "beta"} <= online(journey), "both facilities online", 60)
        until(lambda: _reconnects(kernel), "the kernel's socket opens again", 30)
        assert kernel.run("print(kept)").strip() == "41"
    listed = [
        w
        for w in journey.ask("{workspaces{nodes{uuid state}}}")["workspaces"]["nodes"]
        if w["uuid"] == journey.workspace
    ]
    assert listed == [{"uuid": journey.workspace, "state": "RUNNING"}]
    journey.stop()


def _reconnects(kernel: object) -> bool:
    try:
        kernel.reconnect()  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 (refused while the gateway or its agent is away)
        return False
    return True


def outcomes(journey: Journey) -> tuple[dict[str, str], float, int]:
    started = time.monotonic()
    found = journey.ask(SEARCH, q={})["search"]
    taken = time.monotonic() - started
    return {o["facility"]["slug"]: o["outcome"] for o in found["outcomes"]}, taken, len(found["nodes"])


def granted(world: World) -> Journey:
    """Somebody for whom both facilities are asked; a stranger is answered from the mirror."""
    ben = Journey(world.addresses, PEOPLE[1])
    ben.sign_in()
    for facility in ("alpha", "beta"):
        ben.connect(facility)
    return ben


def strangers_read_on(world: World) -> bool:
    """Whether open data of both facilities are found without an agent."""
    found = Journey(world.addresses).ask(SEARCH, q={})["search"]["nodes"]
    return {node["facility"]["slug"] for node in found} == {"alpha", "beta"}


def test_a_frozen_facility_is_named_and_the_others_rows_come_in_time(world: World) -> None:
    ben = granted(world)
    until(lambda: strangers_read_on(world), "the portal has read what is open", 30)
    agent = world.processes["beta-agent"]
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        said, taken, rows = outcomes(ben)
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    assert said == {"alpha": "OK", "beta": "TIMED_OUT"}
    assert rows > 0
    assert taken < DEADLINE_S + 3, "nobody waits longer for it than the deadline"
    assert strangers_read_on(world)
    until(lambda: outcomes(ben)[0] == {"alpha": "OK", "beta": "OK"}, "beta answers again", 30)


def test_a_killed_facility_is_offline_at_once(world: World) -> None:
    ben = granted(world)
    agent = world.processes["beta-agent"]
    agent.held = True
    try:
        world.kill("beta-agent")
        until(lambda: outcomes(ben)[0]["beta"] == "OFFLINE", "beta is seen to be away", 10)
        said, taken, rows = outcomes(ben)
        assert said == {"alpha": "OK", "beta": "OFFLINE"}
        assert rows > 0
        assert taken < DEADLINE_S, "nobody waits for it"
        nodes = ben.ask("{facilities{nodes{slug state capabilities{stale ageSeconds}}}}")["facilities"]["nodes"]
        beta = next(node for node in nodes if node["slug"] == "beta")
        assert beta["state"] == "OFFLINE", json.dumps(beta)
        assert strangers_read_on(world)
    finally:
        agent.held = False
    until(lambda: outcomes(ben)[0]["beta"] == "OK", "beta is back", 60)
