"""Whatever is changed in the dump, the adapter shows each what a second, simple-minded reading of the rules says."""

from __future__ import annotations

import pytest

from facility_agent.adapters.catalogue.icat_map import id_of
from shared.commands import GetFiles
from shared.errors import NotFound
from tests.icat_dump import NOW, SERVICE, USERS, documents
from tests.icat_local import everything, local
from tests.icat_reading import KINDS, Documents, edited, expected
from tests.standins.icat import Icat, load

pytestmark = pytest.mark.needs("icat-data")
EDITED = {seed: (names, dump) for seed, names, dump in edited()}


def served(dump: Documents) -> Icat:
    world = load(dump)
    world.clock, world.root = lambda: NOW, frozenset({"simple/root", f"simple/{SERVICE}"})
    return world


def named(world: Icat, kind: str, number: int) -> str:
    """An object's name with those of what it lies in, as `expected` has it."""
    row = world.rows[kind][number]
    within = {"Datafile": "Dataset", "Dataset": "Investigation"}.get(kind)
    return (named(world, within, row[within.lower()]) + "/" if within else "") + str(row["name"])


async def shown(world: Icat, user: str, limit: int) -> dict[str, set[str]]:
    """What the adapter shows, in the same names."""
    proposals, datasets, files = await everything(local(world), user, limit)
    of = {each.pid: named(world, "Dataset", id_of(each.pid)) for each in datasets}
    assert len(set(proposals)) == len(proposals)
    assert len(of) == len(datasets)
    assert len(set(files)) == len(files)
    inside = {f"{of[file.partition('/')[0]]}/{file.partition('/')[2]}" for file in files}
    return dict(zip(KINDS, (set(proposals), set(of.values()), inside), strict=True))


@pytest.mark.parametrize("seed", sorted(EDITED))
async def test_after_random_changes_each_sees_what_the_second_reading_says(seed: int) -> None:
    names, dump = EDITED[seed]
    world, user = served(dump), USERS[seed % len(USERS)]
    wanted = {kind: expected(dump, kind, user) for kind in KINDS}
    # A file is reached through its dataset: of one that is hidden, not even the files that rules show are told.
    wanted["Datafile"] = {each for each in wanted["Datafile"] if each.rpartition("/")[0] in wanted["Dataset"]}
    assert await shown(world, user, 2 if seed % 8 == 0 else 100) == wanted, (names, user)
    hidden = next((n for n in world.rows["Dataset"] if named(world, "Dataset", n) not in wanted["Dataset"]), None)
    if hidden is not None:
        for ask in (
            lambda: local(world).get(f"{hidden:012d}", user),
            lambda: local(world).files(GetFiles(f"{hidden:012d}"), user),
        ):
            with pytest.raises(NotFound):
                await ask()


def test_the_changes_change_what_is_seen() -> None:
    before = {user: {kind: expected(documents(), kind, user) for kind in KINDS} for user in USERS}
    moved = 0
    for seed, (_, dump) in EDITED.items():
        user = USERS[seed % len(USERS)]
        moved += {kind: expected(dump, kind, user) for kind in KINDS} != before[user]
    assert len(EDITED) == 200
    assert moved > 20
