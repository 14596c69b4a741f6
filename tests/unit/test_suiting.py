"""Which environments suit a dataset, and how a facility says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from central_portal.catalogue.suiting import is_meant, suiting, suits
from facility_agent.offers import EnvironmentTable
from shared.catalogue import Dataset
from shared.facilities import CarriedBy, Environment, UsedAs
from shared.techniques import narrower, terms
from shared.wire.facilities import decode_description, encode_description
from tests.corpus.samples import DATASET, DESCRIPTION

SCATTERING, SAXS = "PaNET01124", "PaNET01188"
FOREIGN = "https://w3id.org/PaN/ESRFET#XAS"


def environment(
    name: str = "e", techniques: tuple[str, ...] = (), definitions: tuple[str, ...] = ()
) -> Environment:
    return Environment(
        name,
        name,
        "",
        UsedAs.NOTEBOOK,
        CarriedBy.PROCESS,
        (),
        ("small",),
        "small",
        "account",
        techniques,
        definitions,
    )


def dataset(definition: str = "", *techniques: str) -> Dataset:
    return replace(DATASET, definition=definition, techniques=techniques)


@pytest.mark.parametrize(
    ("techniques", "definitions", "of", "good"),
    [
        ((), (), dataset(), True), ((), (), dataset("NXsas", SAXS), True), ((SCATTERING,), (), dataset("", SAXS), True),
        ((SAXS,), (), dataset("", SCATTERING), False), ((SAXS,), (), dataset("NXsas"), False),
        ((), ("NXsas",), dataset("nxSAS"), True), ((), ("NXsas",), dataset("NXsas2"), False), ((), ("NXsas",), dataset(), False),
        ((SAXS,), ("NXxas",), dataset("NXxas"), True), ((SAXS,), ("NXxas",), dataset("", SAXS), True),
        ((SAXS,), ("NXxas",), dataset("NXmx", "PaNET01196"), False), ((FOREIGN,), (), dataset("", FOREIGN), True),
        ((FOREIGN,), (), dataset("", SAXS), False),
    ],
)  # fmt: skip
def test_it_suits_what_it_is_meant_for_and_what_is_meant_for_all_suits_all(
    techniques: tuple[str, ...], definitions: tuple[str, ...], of: Dataset, good: bool
) -> None:
    assert suits(environment("e", techniques, definitions), of) is good


TERMS = st.lists(st.sampled_from([*sorted(terms())[:60], FOREIGN]), max_size=3).map(tuple)
FORMS = st.lists(st.sampled_from(["NXsas", "NXxas", "nxsas"]), max_size=2).map(tuple)


@given(
    st.lists(st.builds(environment, st.uuids().map(str), TERMS, FORMS), max_size=8),
    TERMS,
    st.sampled_from(["", "NXsas", "NXmx"]),
)
def test_the_fitting_ones_come_first_and_the_order_is_the_facilitys(
    offered: list[Environment], techniques: tuple[str, ...], definition: str
) -> None:
    wanted = dataset(definition, *techniques)
    found = suiting(offered, wanted)
    fitting = [
        e for e in offered
        if any(t in narrower(mine) for mine in e.techniques for t in techniques)
        or definition.lower() in [d.lower() for d in e.definitions]
    ]  # fmt: skip
    assert found == [*fitting, *(e for e in offered if not is_meant(e))]


def test_what_is_no_term_is_left_out_on_the_wire_and_an_older_agent_means_all() -> None:
    hostile = replace(
        DESCRIPTION.environments[0], techniques=("PaNET01124", "", " x", "a\nb", "x" * 201), definitions=("NXsas", "\x07", "y" * 101),
    )  # fmt: skip
    (read,) = decode_description(encode_description(replace(DESCRIPTION, environments=(hostile,)))).environments
    assert (read.techniques, read.definitions) == (("PaNET01124",), ("NXsas",))
    many = replace(
        hostile, techniques=tuple(f"t{n}" for n in range(99)), definitions=tuple(f"d{n}" for n in range(99))
    )
    (read,) = decode_description(encode_description(replace(DESCRIPTION, environments=(many,)))).environments
    assert (len(read.techniques), len(read.definitions)) == (50, 50)
    (old,) = decode_description(
        encode_description(replace(DESCRIPTION, environments=(replace(hostile, techniques=(), definitions=()),)))
    ).environments
    assert not is_meant(old)


def table(**more: Any) -> EnvironmentTable:
    return EnvironmentTable.model_validate(
        {"id": "e", "title": "E", "used_as": "notebook", "command": ["x"], "flavours": ["small"], **more}
    )


@pytest.mark.parametrize(
    "spelling", ["PaNET01124", "panet:PaNET01124", "http://purl.org/pan-science/PaNET/PaNET01124"]
)
def test_a_technique_is_configured_in_any_spelling(spelling: str) -> None:
    assert table(techniques=[spelling]).techniques == ("PaNET01124",)
    assert table(techniques=[FOREIGN], definitions=["NXsas"]).techniques == (FOREIGN,)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"techniques": ["small angle scattering"]}, "name a technique by its id in PaNET"), ({"techniques": [""]}, "1 to 200"),
        ({"techniques": ["x" * 201]}, "at most 200"), ({"definitions": [""]}, "at least 1"), ({"definitions": [" NXsas"]}, "pattern"),
        ({"definitions": ["x"] * 51}, "at most 50"),
    ],
)  # fmt: skip
def test_what_would_never_suit_anything_is_a_mistake(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        table(**more)
