"""What `facility-agent check` says of an agent's certificate, each with its mend."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from facility_agent.check import Finding, _certificate
from facility_agent.config import AgentTable, CentreTable, Config, FacilityTable, Located
from facility_agent.link.identity import CURRENT, write_identity
from facility_agent.link.keys import load_or_create_key
from tests.unit.test_enrolment_parts import DAY, an_identity


def located(folder: Path, **centre: Any) -> Located:
    """A configuration as far as these findings read it."""
    config = Config.model_construct(
        facility=FacilityTable(id="alpha", name="Alpha"),
        centre=CentreTable(portal="https://portal.example.eu", **centre),
        agent=AgentTable(state=Path("state"), socket=Path("socket")),
    )
    return Located(config, folder)


def findings(tmp_path: Path, *, facility: str = "alpha", **how: float) -> list[Finding]:
    here = located(tmp_path)
    load_or_create_key(here.agent_key())
    write_identity(tmp_path / "state" / CURRENT, an_identity(tmp_path / "centre", facility=facility, **how))  # type: ignore[arg-type]
    return list(_certificate(here, time.time()))


def test_nothing_is_wrong_with_a_fresh_certificate(tmp_path: Path) -> None:
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    ("began", "fatal", "says"),
    [
        (-3600.0, True, "not valid yet. Mend this machine's clock"),
        (1.7 * DAY, False, "ends in 7 hours and was not renewed. Look at the agent's log"),
        (3 * DAY, False, "expired 24 hours ago. Compare this machine's clock"),
    ],
)
def test_a_certificate_out_of_its_time_is_named(tmp_path: Path, began: float, fatal: bool, says: str) -> None:
    (found,) = findings(tmp_path, began=began)
    assert found.fatal is fatal
    assert says in str(found)


def test_a_facility_that_is_not_enrolled_is_told_how(tmp_path: Path) -> None:
    (found,) = _certificate(located(tmp_path), 0.0)
    assert str(found).startswith("ERROR centre: This facility is not enrolled. Ask the federation's operator")


def test_an_identity_of_another_facility_or_open_to_others_is_named(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, facility="beta")
    assert "is of facility beta. Enrol alpha." in str(found)
    (tmp_path / "state" / CURRENT).chmod(0o644)
    (found,) = _certificate(located(tmp_path), 0.0)
    assert "may be read by others. Run: chmod 600" in str(found)


def test_an_agent_that_was_set_up_by_hand_needs_none(tmp_path: Path) -> None:
    by_hand = located(tmp_path, hub="hub.example.eu:7443", ca_file=Path("ca.pem"))
    assert list(_certificate(by_hand, 0.0)) == []


@pytest.mark.parametrize(
    "centre",
    [
        {"hub": "h:1"},
        {"hub": "h:1", "ca_file": Path("x"), "plaintext": True},
        {"plaintext": True},
        {"ca_file": Path("x")},
    ],
)
def test_half_a_set_up_by_hand_is_refused(centre: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ca_file"):
        CentreTable(portal="https://portal.example.eu", **centre)
