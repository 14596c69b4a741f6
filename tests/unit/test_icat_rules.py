"""The stand-in's rules: whatever is changed in the dump, each sees what a second, simple-minded reading of it says."""

from __future__ import annotations

import pytest

from tests.icat_dump import NOW, USERS, documents, recorded
from tests.icat_reading import KINDS, Documents, edited, expected
from tests.standins.icat import load
from tests.standins.icat.answers import answered

pytestmark = pytest.mark.needs("icat-data")


def shown(dump: Documents, kind: str, user: str) -> set[str]:
    """The same from the stand-in."""
    world = load(dump)
    world.clock = lambda: NOW
    path = {
        "Investigation": "",
        "Dataset": "o.investigation.name, ",
        "Datafile": "o.dataset.investigation.name, o.dataset.name, ",
    }
    ids = answered(world, f"SELECT o.id FROM {kind} o", user)
    named = {
        row[0]: row[1:] for row in answered(world, f"SELECT o.id, {path[kind]}o.name FROM {kind} o", "simple/root")
    }
    assert len(set(ids)) == len(ids)
    return {"/".join(named[number]) for number in ids}


def test_the_second_reading_agrees_with_the_real_icat() -> None:
    for user in USERS:
        assert {kind: len(expected(documents(), kind, user)) for kind in KINDS} == {
            kind: recorded(user)[kind] for kind in KINDS
        }


def test_after_200_random_changes_each_sees_what_the_second_reading_says() -> None:
    before = {(kind, user): expected(documents(), kind, user) for kind in KINDS for user in USERS}
    made, moved, wider, narrower = set[str](), 0, 0, 0
    for seed, names, dump in edited():
        after = {(kind, user): expected(dump, kind, user) for kind in KINDS for user in USERS}
        for (kind, user), rows in after.items():
            if (USERS.index(user) + seed) % 3 == 0:
                assert shown(dump, kind, user) == rows, (seed, names, kind, user)
        made.update(names)
        moved += after != before
        wider += any(after[each] - before[each] for each in after)
        narrower += any(before[each] - after[each] for each in after)
    assert len(made) == 12, "each kind of change was made"
    assert min(moved, wider, narrower) > 20, (moved, wider, narrower)
