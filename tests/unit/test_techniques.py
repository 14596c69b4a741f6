"""Techniques: spellings, and what is narrower than what."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.setup import techniques as source
from shared import techniques
from shared.errors import InvalidRequest

XAS, XAFS, EXAFS, XANES = "PaNET01196", "PaNET01197", "PaNET01198", "PaNET01199"


@pytest.mark.parametrize(
    ("spelling", "bare"),
    [
        ("http://purl.org/pan-science/PaNET/PaNET01196", XAS),
        ("https://purl.org/pan-science/PaNET/PaNET01196", XAS),
        ("HTTP://PURL.ORG/pan-science/panet/PANET01196 ", XAS),
        ("PaNET:PaNET01103", "PaNET01103"),
        ("panet:panet01103", "PaNET01103"),
        ("PaNET01168", "PaNET01168"),
        (" PaNET01168\t", "PaNET01168"),
        ("PaNET2012002", "PaNET2012002"),
        ("PaNET99999", "PaNET99999"),
        ("https://w3id.org/PaN/ESRFET#XAS", "https://w3id.org/PaN/ESRFET#XAS"),
        ("http://evil.example/PaNET01196", "http://evil.example/PaNET01196"),
        ("PaNET011", "PaNET011"),
        ("PaNET٠١١٩٦", "PaNET٠١١٩٦"),
    ],
)
def test_a_term_in_any_spelling_has_one_id(spelling: str, bare: str) -> None:
    assert techniques.canonical(spelling) == bare


@pytest.mark.parametrize("nonsense", ["", "  ", "x" * 201, "PaNET\x0001196", "a\nb"])
def test_nonsense_is_refused(nonsense: str) -> None:
    with pytest.raises(InvalidRequest):
        techniques.canonical(nonsense)


@given(st.text(max_size=250))
def test_canonical_is_a_fixed_point(text: str) -> None:
    try:
        once = techniques.canonical(text)
    except InvalidRequest:
        return
    assert techniques.canonical(once) == once
    assert {techniques.canonical(spelling) for spelling in techniques.spellings(once)} == {once}


def test_spellings_are_those_that_catalogues_use() -> None:
    assert techniques.spellings(XAS) == (XAS, f"PaNET:{XAS}", f"http://purl.org/pan-science/PaNET/{XAS}")
    assert techniques.spellings("https://w3id.org/PaN/ESRFET#XAS") == ("https://w3id.org/PaN/ESRFET#XAS",)


def test_x_ray_absorption_spectroscopy_has_its_narrower_terms() -> None:
    narrower = techniques.narrower(f"PaNET:{XAS}")
    assert {XAS, XAFS, EXAFS, XANES, "PaNET01321", "PaNET01322"} <= narrower
    assert "PaNET01227" not in narrower, "x-ray absorption is broader"
    assert "PaNET01189" not in narrower, "small angle neutron scattering is something else"
    assert XAS not in techniques.narrower(EXAFS)


def test_equivalences_give_broader_terms_that_no_parent_column_names() -> None:
    assert XAS in techniques.narrower("PaNET01227")  # x-ray absorption = absorption technique and x-ray probe
    assert "PaNET01227" in techniques.narrower("PaNET00202")
    assert "PaNET01168" in techniques.narrower("PaNET01102")  # SFX = x-ray single crystal diffraction and ...
    assert XAS in techniques.narrower("PaNET01156")  # fulfils the definition of x-ray spectroscopy
    assert "PaNET01189" in techniques.narrower("PaNET00101")  # SANS uses neutrons
    assert XAS in techniques.narrower("PaNET00100")  # x-rays are photons


def test_unknown_and_foreign_terms_stand_alone() -> None:
    assert techniques.narrower("PaNET99999") == {"PaNET99999"}
    assert techniques.narrower("https://w3id.org/PaN/ESRFET#XAS") == {"https://w3id.org/PaN/ESRFET#XAS"}
    assert techniques.title("PaNET99999") == ""


def test_terms_are_found_by_what_people_call_them() -> None:
    assert techniques.find("X-ray absorption  spectroscopy") == (XAS,)
    assert techniques.find("nexafs") == (XANES,)
    assert techniques.find("small-angle neutron scattering") == ("PaNET01189",)
    assert techniques.find("' OR 1=1 --") == ()
    assert techniques.title("http://purl.org/pan-science/PaNET/PaNET01189") == "small angle neutron scattering"


def test_every_step_of_the_hierarchy_is_a_term_and_only_equals_go_round() -> None:
    known = techniques.terms()
    assert len(known) == 510
    assert all(up in known for term in known.values() for up in term.broader)
    equals = {
        frozenset((name, up))
        for name, term in known.items()
        for up in term.broader
        if up in techniques.narrower(name)
    }
    assert equals == {
        frozenset(("PaNET01107", "PaNET01273")),  # inelastic small angle scattering, said twice
        frozenset(("PaNET01261", "PaNET01334")),  # x-ray refraction imaging, x-ray phase contrast imaging
        frozenset(("PaNET01106", "PaNET00401")),
        frozenset(("PaNET2020070", "PaNET2014001")),
    }


def test_what_the_source_says_is_what_the_file_holds(tmp_path: Path) -> None:
    """A small source in the template's columns: parents by label and CURIE, three kinds of equivalence."""
    width, purl = 25, source.PURL

    def row(name: str, label: str, parents: tuple[str, ...] = (), equal: tuple[str, ...] = ()) -> str:
        cells = [""] * width
        cells[1], cells[2], cells[7] = purl + name, label, "owl:Class"
        cells[8 : 8 + len(parents)], cells[15 : 15 + len(equal)] = parents, equal
        return ",".join(f'"{cell}"' for cell in cells)

    rows = [
        row("A", "photon"),
        row("B", "x-ray", ("photon",)),
        row("C", "uses photons", (), ("('by' some 'photon')",)),
        row("D", "uses x-rays", (), ("('by' some PaNET:B)",)),
        row("E", "absorption"),
        row("F", "x-ray absorption", (), ("absorption", "uses x-rays")),
        row("G", "told both", ("PaNET:E", "uses x-rays")),
        row("H", "in brackets", (), ("('absorption' and PaNET:D and 'photon')",)),
    ]
    file = tmp_path / "source.csv"
    file.write_text("\n".join(["," * (width - 1)] * 2 + rows))
    above = source.broader(source.read(file))
    assert above["D"] == {"D", "C"}
    assert above["F"] == {"F", "E", "D", "C"}
    assert above["G"] == {"G", "E", "D", "C", "F"}, "it fulfils the definition of F"
    assert above["H"] == {"H", "E", "D", "C", "A", "F"}
    assert source.nearest(above)["G"] == ["F"]
    file.write_text("\n".join(["," * (width - 1)] * 2 + [row("A", "photon", ("nothing",))]))
    with pytest.raises(ValueError, match="nothing"):
        source.read(file)
