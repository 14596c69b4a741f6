"""The whole journey where workspaces are their people's: `make demo-check COMPUTE=…`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.components import ROOT
from tests.privileged.site import as_root

pytestmark = [pytest.mark.needs("root"), pytest.mark.needs("node"), pytest.mark.timeout(600)]


@pytest.mark.parametrize(
    "ground",
    [
        pytest.param("slurm", marks=pytest.mark.needs("slurm")),
        pytest.param("kubernetes", marks=pytest.mark.needs("kubernetes")),
    ],
)
def test_the_journey_holds_on(ground: str) -> None:
    words = [sys.executable, "-m", "tests.ground", ground, sys.executable, "-m", "deploy.demo", "check"]
    with as_root():
        done = subprocess.run(
            words, cwd=ROOT, capture_output=True, text=True, timeout=580, stdin=subprocess.DEVNULL
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok the program is the account and nobody else" in done.stdout
