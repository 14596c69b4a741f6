"""The unit and the example configuration of deploy/agent are enough for the helper, and no more than it needs."""

from __future__ import annotations

import configparser
import subprocess
import tomllib
from collections.abc import Iterator

import pytest

from facility_agent.ports.compute import RunState
from facility_agent.testing.patience import eventually
from shared.errors import BackendError
from tests.components import ROOT
from tests.contracts.compute_worlds import SERVER, command_lines, server_spec
from tests.privileged.site import PROGRAM, HelperSite, as_root, helper_site

pytestmark = pytest.mark.needs("root")


def service() -> dict[str, str]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "deploy/agent/parasol-helper.service")
    return dict(parser["Service"])


def within(capabilities: list[str]) -> list[str]:
    """What starts a program with these capabilities at most, as systemd does."""
    few = ",".join(["-all", *(f"+{name.lower().removeprefix('cap_')}" for name in capabilities)])
    return ["setpriv", f"--bounding-set={few}", "--inh-caps=-all", "--no-new-privs"]


@pytest.fixture
def idle() -> Iterator[HelperSite]:
    with helper_site() as site:
        yield site


async def test_the_units_capabilities_are_enough(idle: HelperSite) -> None:
    site, capabilities = idle, service()["CapabilityBoundingSet"].split()
    site.start(*within(capabilities))
    backend = site.backend("mine")
    spec = server_spec(command=(PROGRAM, "-S", "-c", SERVER, "{socket}"))
    handle = await backend.start(spec, site.ada)

    async def runs() -> bool:
        return (await backend.inspect([handle]))[handle].state is RunState.RUNNING

    await eventually(runs, "it runs")
    await backend.stop(handle)
    assert not any(handle in line for line in command_lines())
    assert (await backend.inspect([handle]))[handle].exit_code is not None


@pytest.mark.parametrize("left_out", ["CAP_SETUID", "CAP_SETGID"])
async def test_with_fewer_nothing_starts(idle: HelperSite, left_out: str) -> None:
    capabilities = service()["CapabilityBoundingSet"].split()
    capabilities.remove(left_out)
    idle.start(*within(capabilities))
    with pytest.raises(BackendError, match="could not start"):
        await idle.backend("mine").start(server_spec(command=(PROGRAM, "-S", "-c", "pass")), idle.ada)
    assert await idle.backend("mine").list_owned() == {}


def test_the_example_is_a_configuration(idle: HelperSite) -> None:
    text = (ROOT / "deploy/agent/parasol-helper.toml").read_text()
    assert service()["ExecStart"].split()[-2:] == ["-c", "/etc/parasol-helper.toml"]
    for old, new in {
        "/opt/parasol/jupyter/bin/jupyter-lab": PROGRAM, '"parasol"': '"nobody"',
        "/run/parasol-helper/helper.sock": str(idle.socket), "/var/lib/parasol-helper": str(idle.state),
        "/var/lib/parasol-workspaces": str(idle.workspaces),
    }.items():  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    with as_root():
        idle.configuration.write_text(text)
        done = subprocess.run([*idle.command(), "--check"], capture_output=True, text=True, cwd=ROOT, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_example_of_the_agent_names_the_same_socket() -> None:
    from facility_agent.adapters.compute.process_settings import ProcessSettings

    said = tomllib.loads((ROOT / "deploy/agent/parasol-helper.toml").read_text())
    assert str(ProcessSettings.model_fields["helper"].default) == said["socket"]
