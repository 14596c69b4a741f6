"""Which proposals count as open: those of which anyone may see everything, and no others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.catalogue import ProposalQuery
from tests.icat_dump import NOW, served
from tests.icat_local import local, opened
from tests.standins.icat import Icat

pytestmark = pytest.mark.needs("icat-data")
NAMES = ["08100122-EF", "10100601-ST", "12100409-ST"]


@pytest.fixture
def world() -> Icat:
    return served()


def release(world: Icat, *names: str) -> None:
    for row in world.rows["Investigation"].values():
        if row["name"] in names:
            row["releaseDate"] = NOW - timedelta(days=1)
    raw = world.named("DatasetType", "raw")
    for row in world.rows["Dataset"].values():
        row["type"] = raw


async def test_what_is_published_in_part_is_not_open(world: Icat) -> None:
    assert await opened(world).proposals() == set()


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[1:], NAMES])
async def test_released_proposals_are_open(world: Icat, names: list[str]) -> None:
    release(world, *names)
    assert await opened(world).proposals() == set(names)


async def test_one_hidden_dataset_or_file_closes_its_proposal_and_no_other(world: Icat) -> None:
    release(world, *NAMES)
    first = next(
        row
        for row in world.rows["Dataset"].values()
        if row["investigation"] == world.named("Investigation", NAMES[0])
    )
    first["type"] = world.named("DatasetType", "analyzed")
    assert await opened(world).proposals() == set(NAMES[1:])
    shown = await local(world).proposals(ProposalQuery(), "anon/anon")
    assert [each.pid for each in shown.proposals] == NAMES, "its record is open all the same"
    for row in world.rows["Rule"].values():
        if row["what"].startswith("SELECT o FROM Datafile o") and "releaseDate" in row["what"]:
            row["grouping"] = world.named("Grouping", "rall")
    assert await opened(world).proposals() == set()


async def test_a_shown_record_without_data_opens_nothing(world: Icat) -> None:
    world.add("Rule", crudFlags="R", what="Investigation")
    assert await opened(world).proposals() == set()
    world.add("Rule", crudFlags="R", what="Dataset")
    assert await opened(world).proposals() == set(), "its files are hidden"
    world.add("Rule", crudFlags="R", what="Datafile")
    assert await opened(world).proposals() == set(NAMES)
    empty = world.add("Investigation", name="empty", title="t", visitId="1", facility=1, type=1)
    assert empty
    assert await opened(world).proposals() == set(NAMES), "nothing is known of what lies in its folder"


async def test_two_investigations_of_one_name_are_open_together(world: Icat) -> None:
    release(world, *NAMES)
    inv = world.rows["Investigation"][world.named("Investigation", NAMES[0])]
    twin = world.add(
        "Investigation", name=NAMES[0], title="t", visitId="2", facility=inv["facility"], type=inv["type"]
    )
    world.add("Dataset", name="d", investigation=twin, type=world.named("DatasetType", "raw"))
    assert await opened(world).proposals() == set(NAMES[1:])
    world.rows["Investigation"][twin]["releaseDate"] = NOW - timedelta(days=1)
    assert await opened(world).proposals() == set(NAMES)
