"""What a facility's operator does beside a federation that runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo.people import PEOPLE
from deploy.demo.world import World

pytestmark = [pytest.mark.needs("node", "web-client"), pytest.mark.timeout(300)]
BIN = Path(sys.executable).parent


def told(world: World, facility: str, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    config = world.folder / facility[0] / "agent.toml"
    asked = [BIN / "facility-agent", command, "-c", config, *words]
    return subprocess.run(asked, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("facility", ["alpha", "beta"])
def test_systems_are_probed_while_the_agent_runs_and_it_goes_on(world: World, facility: str) -> None:
    username = PEOPLE[0].accounts[facility][0]
    state = world.folder / facility[0] / "state"
    before = {path.name for path in state.iterdir()}
    done = told(world, facility, "check", "--probe", "--as", username)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("ok catalogue.nexus_folder search: ") for line in lines)
    assert any(line.startswith(f"ok catalogue.nexus_folder as {username} own data: ") for line in lines)
    assert any(line.startswith("ok egress writing: ") for line in lines)
    assert {path.name for path in state.iterdir()} == before, "what was needed meanwhile is taken away"
    assert told(world, facility, "egress", "verify").returncode == 0
    assert "onnected" in told(world, facility, "status").stdout
