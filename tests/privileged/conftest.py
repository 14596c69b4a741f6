"""These tests need root, and are the agent all the same: root's business is done in `as_root`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.privileged.kube_site import Cluster, running_cluster
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
