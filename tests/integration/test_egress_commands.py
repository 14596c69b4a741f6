"""`facility-agent egress`, as the operator of a running facility uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.gateway_browser import Visitor
from tests.integration.whole_facility import WholeFacility

pytestmark = pytest.mark.needs("ordinary-user")


def command(gate: WholeFacility, *words: str) -> tuple[int, str]:
    program = [Path(sys.executable).parent / "facility-agent", "egress", "-c", gate.folder / "agent.toml", *words]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_links_and_openings_are_read_verified_and_erased(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ada = Visitor(gate)
    assert ada.get(ada.code(workspace))[0] == 303
    status, told = command(gate, "--json", "--since", "1h")
    assert status == 0
    said = [json.loads(line) for line in told.splitlines()]
    assert [each["sequence"] for each in said] == list(range(1, len(said) + 1))
    opened = [each for each in said if each["verb"] == "workspaces.open" and each["about"] == workspace]
    assert len(opened) == 1
    assert command(gate, "--since", "2100-01-01")[1] == ""
    assert command(gate, "--since", "soon") == (
        2,
        "--since is a date, a date and time, or a span such as 30min, 2h or 7d\n",
    )
    status, verdict = command(gate, "verify")
    assert (status, "is whole" in verdict) == (0, True), verdict

    last = said[-1]
    assert command(gate, "verify", "--head", f"{last['sequence']}:{last['hash']}")[0] == 0
    status, verdict = command(gate, "verify", "--head", f"{last['sequence']}:{'0' * 64}")
    assert (status, "NOT whole" in verdict) == (1, True), verdict
    assert command(gate, "verify", "--head", "no head")[0] == 2
    assert command(gate, "erase", "https://nobody", "x")[0] == 1


def test_a_changed_record_is_found(gate: WholeFacility, tmp_path: Path) -> None:
    """On a copy: the facility is shared with other tests."""
    workspace = gate.launch()
    ada = Visitor(gate)
    assert ada.get(ada.code(workspace))[0] == 303
    state = gate.folder / "state"
    (tmp_path / "state" / "egress").mkdir(parents=True)
    for file in (state / "egress").iterdir():
        (tmp_path / "state" / "egress" / file.name).write_bytes(file.read_bytes().replace(b'"done"', b'"gone"', 1))
    (tmp_path / "state" / "egress.head").write_bytes((state / "egress.head").read_bytes())
    text = (gate.folder / "agent.toml").read_text().replace(str(state), str(tmp_path / "state"))
    changed = tmp_path / "agent.toml"
    changed.write_text(text.replace('state = "state"', f'state = "{tmp_path / "state"}"'))
    program = [Path(sys.executable).parent / "facility-agent", "egress", "-c", changed, "verify"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done.stderr
    assert "record 1: its content was changed" in done.stdout


def test_bytes_through_the_gateway_are_told_when_it_stops_and_a_person_is_erased(gate: WholeFacility) -> None:
    workspace = gate.launch()
    ada = Visitor(gate)
    status, there, _ = ada.get(ada.code(workspace, "/echo?x=1"))
    assert status == 303
    assert ada.get(f"http://{gate.host_of(workspace)}{there}")[0] == 200
    gate.stop_gateway()
    try:
        said = [json.loads(line) for line in command(gate, "--json")[1].splitlines()]
    finally:
        gate.start_gateway()
    passed = [each for each in said if each["verb"] == "gateway.bytes" and each["about"] == workspace]
    assert len(passed) == 1
    assert passed[0]["fields"]["received"] > 0
    assert passed[0]["bytes"] == sum(passed[0]["fields"].values())
    (opened,) = (each for each in said if each["verb"] == "workspaces.open" and each["about"] == workspace)
    assert opened["person"] == passed[0]["person"]

    subject = gate.subject("ada")
    assert command(gate, "erase", subject.issuer, subject.sub) == (0, "The key is destroyed.\n")
    assert command(gate, "erase", subject.issuer, subject.sub)[0] == 1
    assert command(gate, "verify")[0] == 0
    again = gate.launch()
    assert ada.get(ada.code(again))[0] == 303
    said = [json.loads(line) for line in command(gate, "--json")[1].splitlines()]
    last = next(each for each in reversed(said) if each["verb"] == "workspaces.open" and each["about"] == again)
    assert last["person"] != opened["person"], "nobody can tell any more that it is the same person"
