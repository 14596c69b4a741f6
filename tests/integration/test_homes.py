"""What is kept of a facility between requests: never too long, and never one person's in another's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("database")


async def one_facility() -> tuple[Any, Any, Any]:
    """A portal with a connected facility, its read model, and what keeps its data."""
    from central_portal.api.homes import Homes
    from tests.integration.portal import Portal, finds

    portal = Portal(slugs=("alpha",))
    await portal.connect("alpha", finds())
    return portal, portal.facilities, Homes()


def info(state: str) -> Any:
    from central_portal.identity.services import AccountLinkInfo
    from shared.identity import LinkState

    return AccountLinkInfo(LinkState[state], 5.0)


async def test_it_is_made_once_and_anew_after_each_change() -> None:
    portal, facilities, homes = await one_facility()
    first = homes.of(facilities.all(), 100.0, None)["alpha"]
    assert homes.of(facilities.all(), 500.0, None)["alpha"] is first, "while the link is up nothing grows old"
    said = replace(facilities.get("alpha").description, name="Alpha II", open_proposals=("P9",))
    await facilities.described("alpha", portal.epochs["alpha"], said)
    again = homes.of(facilities.all(), 500.0, None)["alpha"]
    assert (first["name"], again["name"], again["openProposals"]) == ("Alpha", "Alpha II", ["P9"])
    assert again["environments"][0]["facility"] is again


async def test_what_an_absent_facility_said_grows_older() -> None:
    portal, facilities, homes = await one_facility()
    await portal.disconnect("alpha")
    gone = facilities.get("alpha").state_since
    said = replace(facilities.get("alpha").description, capabilities=(capability := _capability("c"),))
    await facilities.described("alpha", portal.epochs["alpha"], said)
    for later in (3.0, 3.5, 90.0):
        (shown,) = homes.of(facilities.all(), gone + later, None)["alpha"]["capabilities"]
        assert (shown["id"], shown["ageSeconds"], shown["stale"]) == (capability.id, int(later), later > 60)


async def test_one_persons_account_link_is_in_nobody_elses_facility() -> None:
    _, facilities, homes = await one_facility()
    ada = homes.of(facilities.all(), 1.0, {"alpha": info("LINKED")})["alpha"]
    eve = homes.of(facilities.all(), 1.0, {})["alpha"]
    anonymous = homes.of(facilities.all(), 1.0, None)["alpha"]
    for home, state in ((ada, "LINKED"), (eve, "UNKNOWN")):
        for seen in (home, home["environments"][0]["facility"], home["accountLink"]["facility"]):
            assert seen["accountLink"]["state"].name == state
    for seen in (anonymous, anonymous["environments"][0]["facility"]):
        assert seen["accountLink"] is None


def _capability(name: str) -> Any:
    from shared.facilities import Capability

    return Capability(name, "kind", "Title", "Detail")
