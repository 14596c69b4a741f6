"""These tests need root, and are the agent all the same: root's business is done in `as_root`."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from tests.privileged.kube_cluster import Cluster, running_cluster
from tests.privileged.kube_report import report
from tests.privileged.kube_site import KubeSite
from tests.privileged.site import HelperSite, as_agent, helper_site


@pytest.fixture(scope="session", autouse=True)
def _agent() -> Iterator[None]:
    if os.getuid() != 0:  # then everything here is skipped, and listed
        yield
        return
    groups = os.getgroups()
    as_agent()
    yield
    os.setresuid(0, 0, 0)
    os.setresgid(0, 0, 0)
    os.setgroups(groups)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first starts the cluster; and a kubelet may take a minute and a half to end a pod."""
    for item in items:
        needs = {name for mark in item.iter_markers("needs") for name in mark.args}
        if needs & {"kubernetes", "slurm"} and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test of workspaces on Kubernetes that fails says what was known of them."""
    told = yield
    if told.failed and call.when == "call":
        for each in getattr(item, "funcargs", {}).values():
            site = getattr(each, "site", each)
            if isinstance(site, KubeSite):
                told.sections.append(("what is known of the workspaces", report(site)))
    return told


@pytest.fixture
def site() -> Iterator[HelperSite]:
    """A helper that runs."""
    with helper_site() as site:
        site.start()
        yield site


@pytest.fixture(scope="session")
def cluster(_agent: None) -> Iterator[Cluster]:
    """A Kubernetes cluster that runs."""
    with running_cluster() as cluster:
        yield cluster
