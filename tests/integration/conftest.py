"""Django for the centre's tests: one database per run, migrated once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest

_folder = tempfile.TemporaryDirectory(prefix="parasol-test-")
os.environ.setdefault("PARASOL_DATA", _folder.name)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central_portal.settings")
django.setup()  # tests may import the centre's tables at their top


@pytest.fixture(scope="session")
def database() -> Path:
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    return Path(os.environ["PARASOL_DATA"])


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Any]]:
    """A provider, a centre as its own process, and a facility on the link."""
    from tests.integration.openid import Op, serving
    from tests.integration.whole_centre import running_centre
    from tests.waiting import until

    with serving(Op()) as op, running_centre(tmp_path_factory.mktemp("centre"), op) as (centre, facility):
        facility.linked()
        facility.connect()
        until(centre.tab().mirrored, "the portal has read what is open")
        yield op, centre, facility


@pytest.fixture(scope="session")
def gate() -> Iterator[Any]:
    """A facility with its agent, its gateway and workspaces; below a short folder, for the sake of Unix sockets."""
    from tests.integration.openid import Op, serving
    from tests.integration.whole_facility import whole_facility

    with (
        tempfile.TemporaryDirectory(prefix="pf-") as name,
        serving(Op()) as op,
        whole_facility(Path(name), op) as facility,
    ):
        yield facility


@pytest.fixture
def op(whole: tuple[Any, Any, Any]) -> Any:
    """The provider, honest again, with a person whom nobody has seen."""
    from shared.wire.proof import token

    provider = whole[0]
    provider.calm()
    provider.person = (f"ada-{token()[:8]}", f"sid-{token()}")
    return provider


@pytest.fixture
def centre(whole: tuple[Any, Any, Any]) -> Any:
    """The running centre."""
    return whole[1]


@pytest.fixture
def facility(whole: tuple[Any, Any, Any]) -> Any:
    """The facility, connected."""
    return whole[2]


@pytest.fixture
def tab(centre: Any) -> Any:
    """A browser's tab without a cookie."""
    return centre.tab()
