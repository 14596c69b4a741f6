"""The hook that ends the process on purpose: only when it is asked for, and exactly where."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from facility_agent.crash import VARIABLE, crashes
from facility_agent.ports.moments import Moment, nothing

PROGRAM = """
import os
from facility_agent.crash import crashes
from facility_agent.ports.moments import Moment
at = crashes(os.environ)
for moment in list(Moment) * 2:
    print(moment.value, flush=True)
    at(moment)
"""


def run(wish: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**os.environ, VARIABLE: wish}, stdout=subprocess.PIPE, check=False
    )
    return done.returncode, done.stdout.decode().split()


@pytest.mark.parametrize("moment", list(Moment))
def test_it_ends_at_the_moment_that_was_named(moment: Moment) -> None:
    code, reached = run(moment.value)
    assert code == -signal.SIGKILL
    assert reached == [m.value for m in Moment][: list(Moment).index(moment) + 1]


def test_it_may_be_a_later_time() -> None:
    code, reached = run("after-store:2")
    assert code == -signal.SIGKILL
    assert reached.count("after-store") == 2


def test_without_a_wish_nothing_happens() -> None:
    assert crashes({}) is nothing
    code, reached = run("")
    assert (code, len(reached)) == (0, 2 * len(Moment))


@pytest.mark.parametrize("wish", ["somewhere", "after-store:often"])
def test_an_unknown_moment_is_a_mistake(wish: str) -> None:
    with pytest.raises(ValueError, match=r"somewhere|often"):
        crashes({VARIABLE: wish})
