"""Somebody who knows the format seals a changed log anew, and what finds it: heads at the facility, the centre's too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central_portal.link.ports import EgressHead
from facility_agent.egress.looking import hash_of
from shared.catalogue import SearchQuery
from shared.commands import Verb
from tests.facility_scene import FacilityScene
from tests.unit.test_egress_kept import bodies_of, heads_of, log_word, resealed
from tests.unit.test_egress_leaving import _MESSAGES, Site, signed
from tests.unit.test_egress_log import judged, scratch, written


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


@pytest.mark.parametrize("more", [0, 1, 2, 7])
def test_a_tail_that_was_cut_shows_however_far_the_log_has_grown_again(tmp_path: Path, more: int) -> None:
    """To the centre too: it asks for the record that it keeps, and that is not the one it knows."""
    old = written(tmp_path, [5])
    kept = EgressHead(old.sequence, old.hash)
    assert hash_of(tmp_path / "egress", old.sequence) == old.hash
    new = resealed(tmp_path, [*bodies_of(tmp_path)[:4], *({"bytes": 900 + n} for n in range(more))], head_too=True)
    assert judged(tmp_path, old)
    heads, registry = heads_of(kept)
    heads.said("alpha", 2, log_word(tmp_path, new, heads.asked("alpha", 2)))
    assert registry.heads["alpha"].complaint == ""
    kept_now = heads._known["alpha"]
    assert kept_now.told
    assert kept_now.highest == kept, "and what it says now is not believed"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (SearchQuery(sample="S"), set()), (SearchQuery(sample="zzz"), set()),
        (SearchQuery(text="Title d-1"), set()), (SearchQuery(text="qqq"), set()), (SearchQuery(text="NXsas"), {"d-1", "d-2"}),
    ],
)  # fmt: skip
async def test_a_withheld_field_decides_nothing_that_a_search_finds(
    at: FacilityScene, query: SearchQuery, found: set[str]
) -> None:
    await at.narrow({"dataset": {"sample": "open", "title": "never"}})
    site = Site(at)
    try:
        held = await at.ada()
        result = await site.send(*signed(at, held, Verb.SEARCH, query))
        page: Any = _MESSAGES["catalogue.search"].FromString(result.payload)
        embargoed = [each for each in page.datasets if not each.is_open]
        assert {each.pid for each in embargoed} == found
        assert {(each.sample, each.title) for each in embargoed} <= {("", "")}
        assert (result.outcome, page.note != "") == ("PARTIAL", True), "and it says so"
    finally:
        await site.running.stop()
        site.log.close()
