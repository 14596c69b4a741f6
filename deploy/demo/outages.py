"""Launches in whose midst the agent, the centre and the scheduler go away: each workspace is there afterwards, once."""

from __future__ import annotations

import threading
import time
from typing import Any

import requests

from deploy.demo.ground import Ground
from deploy.demo.journey import Journey, Step, must
from deploy.demo.world import World

WITHIN_S, AWAY_S = 150.0, 60.0


def outages(step: Step, journey: Journey, world: World, ground: Ground, dataset: dict[str, Any]) -> None:
    """With nothing running before and after."""

    def killed(name: str) -> None:
        started = _order(journey, dataset)
        world.kill(name)
        _becomes(journey, started, "RUNNING")
        _once(ground, started)
        journey.stop(started)

    step("a launch outlasts an agent that is killed", lambda: killed("alpha-agent"))
    step("a launch outlasts a centre that is killed", lambda: killed("centre"))
    step(
        "a workspace and a launch outlast a scheduler that is away for a minute",
        lambda: _away(journey, ground, dataset),
    )


def _away(journey: Journey, ground: Ground, dataset: dict[str, Any]) -> None:
    before = _order(journey, dataset)
    _becomes(journey, before, "RUNNING")
    back_at = time.monotonic() + AWAY_S
    ground.away()
    try:
        meanwhile = _order(journey, dataset)
        _becomes(journey, before, "UNKNOWN")
        while True:
            shown = [journey.state(each)["state"] for each in (before, meanwhile)]
            must(shown[0] == "UNKNOWN", f"what runs is shown as {shown[0]}")
            must(shown[1] in ("REQUESTED", "STARTING", "UNKNOWN"), f"what was asked for meanwhile is {shown[1]}")
            if time.monotonic() > back_at:
                break
            threading.Event().wait(1)
        must(ground.runs(before) == 1, "it does not run any more")
    finally:
        ground.back()
    for each in (before, meanwhile):
        _becomes(journey, each, "RUNNING")
        _once(ground, each)
    for each in (before, meanwhile):
        journey.stop(each)


def _order(journey: Journey, dataset: dict[str, Any]) -> str:
    problem = journey.order(dataset)
    must(not problem, problem)
    return journey.workspace


def _once(ground: Ground, workspace: str) -> None:
    must(ground.runs(workspace) == 1, f"it was started {ground.runs(workspace)} times")


def _becomes(journey: Journey, workspace: str, state: str) -> None:
    """It does in time, and is neither ended nor failed on the way."""
    end, shown = time.monotonic() + WITHIN_S, {"state": "not shown"}
    while shown["state"] != state:
        must(time.monotonic() < end, f"it is not {state} in time but {shown}")
        must(shown["state"] not in ("ENDED", "FAILED"), f"on the way to {state} it was {shown}")
        threading.Event().wait(0.1)
        try:
            shown = journey.state(workspace)
        except requests.RequestException:  # the centre is away
            continue
