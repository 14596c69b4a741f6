"""Somebody who knows the format seals a changed log anew; and what neither the centre's heads nor a policy do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central_portal.link.heads import contradiction
from central_portal.link.ports import EgressHead
from facility_agent.egress.chain import sealed
from facility_agent.egress.files import log_files
from facility_agent.egress.reading import records
from facility_agent.ports.egress import Head
from shared.catalogue import SearchQuery
from shared.commands import Verb
from tests.facility_scene import FacilityScene
from tests.unit.test_egress_leaving import _MESSAGES, Site, signed
from tests.unit.test_egress_log import judged, scratch, written


def resealed(folder: Path, bodies: list[dict[str, object]], *, head_too: bool) -> Head:
    """What somebody who knows the format makes of the first file: whole in itself."""
    lines, head = b"", Head()
    for body in bodies:
        line, head = sealed(body, head)
        lines += line
    log_files(folder / "egress")[0].write_bytes(lines)
    if head_too:
        (folder / "egress.head").write_bytes(b"%020d %s\n" % (head.sequence, head.hash.encode()))
    return head


def bodies_of(folder: Path) -> list[dict[str, object]]:
    chained = ("sequence", "previous", "hash")
    return [{key: said[key] for key in said if key not in chained} for said in records(folder / "egress")]


@given(st.integers(2, 8), st.data())
@settings(max_examples=100, deadline=None)
def test_a_change_that_is_sealed_anew_is_found_by_the_heads(size: int, data: st.DataObject) -> None:
    """Every hash after it fits again, so only a head tells: the agent's own, or the centre's when that is forged too."""
    with scratch() as folder:
        head, index = written(folder, [size]), data.draw(st.integers(0, size - 1))
        bodies, how = bodies_of(folder), data.draw(st.sampled_from(["change", "remove", "swap"]))
        if how == "change":
            bodies[index] = {**bodies[index], "bytes": 99}
        elif how == "remove":
            del bodies[index]
        else:
            other = (index + 1) % size
            bodies[index], bodies[other] = bodies[other], bodies[index]
        resealed(folder, bodies, head_too=False)
        assert judged(folder)
        resealed(folder, bodies, head_too=True)
        assert judged(folder, head)


@pytest.mark.parametrize(("more", "shows"), [(0, True), (1, True), (2, False)])
def test_the_centre_misses_a_tail_that_outgrew_its_head_and_an_older_head_does_not(
    tmp_path: Path, more: int, shows: bool
) -> None:
    """The limit that decision 22 names."""
    old = written(tmp_path, [5])
    new = resealed(tmp_path, [*bodies_of(tmp_path)[:4], *({"bytes": 900 + n} for n in range(more))], head_too=True)
    said = contradiction(EgressHead(old.sequence, old.hash), EgressHead(new.sequence, new.hash))
    assert bool(said) is shows
    assert judged(tmp_path, old)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (SearchQuery(sample="S"), {"d-1", "d-2"}), (SearchQuery(sample="zzz"), set()),
        (SearchQuery(text="Title d-1"), {"d-1"}), (SearchQuery(text="qqq"), set()),
    ],
)  # fmt: skip
async def test_a_withheld_field_still_decides_what_a_search_finds(
    at: FacilityScene, query: SearchQuery, found: set[str]
) -> None:
    """The limit that decision 22 names: a sample is not sent, and a guess at it can be tried."""
    site = Site(at, {"dataset": {"sample": "open", "title": "never"}})
    try:
        held = await at.ada()
        result = await site.send(*signed(at, held, Verb.SEARCH, query))
        page = _MESSAGES["catalogue.search"].FromString(result.payload)
        embargoed = [each for each in page.datasets if not each.is_open]
        assert {each.pid for each in embargoed} == found
        assert {(each.sample, each.title) for each in embargoed} <= {("", "")}
    finally:
        await site.running.stop()
        site.log.close()
