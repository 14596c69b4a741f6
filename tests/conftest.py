"""Skips what a machine cannot run, loudly: the run ends with a list, and PARASOL_REQUIRE turns a skip into a failure."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from tests.components import COMPONENTS, missing

REQUIRED = frozenset(os.environ.get("PARASOL_REQUIRE", "").split())
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # how long an example takes is the machine's affair
UMASK = os.umask(0o022)
os.umask(UMASK)
_skipped: dict[str, list[str]] = {}


def pytest_configure(config: pytest.Config) -> None:
    unknown = REQUIRED - COMPONENTS.keys()
    if unknown:
        raise pytest.UsageError(f"PARASOL_REQUIRE names unknown components: {', '.join(sorted(unknown))}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for component in marker.args:
            what = missing(component)
            if what is None:
                continue
            if component in REQUIRED:
                pytest.fail(f"{component} is required but missing: {what}", pytrace=False)
            _skipped.setdefault(f"{component}: {what}", []).append(item.nodeid)
            pytest.skip(f"needs {component}: {what}")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """The umask is the whole process's: what a test leaves behind decides what a later one's files are open to."""
    left = os.umask(UMASK)
    if left != UMASK:
        pytest.fail(f"{item.nodeid} has left the umask at {left:04o}, which was {UMASK:04o}", pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("what this machine could not run")
    if not _skipped:
        terminalreporter.line("nothing: every component was there")
    for what, tests in sorted(_skipped.items()):
        terminalreporter.line(f"{what}: {len(tests)} tests")
        for nodeid in tests:
            terminalreporter.line(f"    {nodeid}")
