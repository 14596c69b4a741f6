"""A PaNOSC API's records as ours: what is shown, what is not, and that nothing an API holds breaks it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from facility_agent.adapters.catalogue.panosc_records import Reading, files, members, proposal, seen
from shared.catalogue import ArchiveState, DataFile, Member, Parameter

PURL = "http://purl.org/pan-science/PaNET/PaNET01188"
ROW: dict[str, Any] = {
    "pid": "10.5072/a%b", "title": "A\nscan\u202e", "isPublic": True, "creationDate": "2024-01-01T00:00:00.250Z", "size": 2**60,
    "instrument": {"pid": "i/1", "name": "I22", "facility": "Alpha"}, "score": 0,
    "documents": [
        {"pid": "10.5072/paper", "isPublic": True, "type": "publication", "title": "On silver"},
        {"pid": "10.5072/P2", "isPublic": True, "type": "proposal", "title": "Grains"},
        {"pid": "10.5072/P1", "isPublic": False, "type": "proposal", "title": "Hidden"}, {"pid": 7}, "x",
    ],
    "samples": [{"name": "silver"}, {"description": "gold leaf"}, {}],
    "techniques": [{"pid": "local/1", "panetId": PURL, "name": "saxs"}, {"pid": "https://w3id.org/PaN/ESRFET#XAS"}, {}, 3],
    "parameters": [
        {"name": "energy", "value": 12.5, "unit": "keV"}, {"name": "state", "value": "solid", "unit": ""},
        {"name": "nothing", "value": None}, {"name": "flag", "value": True}, {"value": 3},
    ],
}  # fmt: skip
READING = Reading("10.5072/")


def test_what_a_dataset_says() -> None:
    found = seen(ROW, READING)
    assert found is not None
    d = found.dataset
    assert (found.raw, d.pid, d.title, d.instrument, d.sample) == (
        "10.5072/a%b",
        "10.5072%2Fa%25b",
        "A scan",
        "I22",
        "silver, gold leaf",
    )
    assert (d.proposal, found.proposals) == ("P2", ("P2", "paper")), "what is not public is not named"
    assert (d.started, d.size, d.files, d.is_open, d.state) == (
        1704067200.25,
        2**60,
        0,
        True,
        ArchiveState.UNKNOWN,
    )
    assert d.techniques == ("PaNET01188", "https://w3id.org/PaN/ESRFET#XAS")
    assert d.parameters == (Parameter("energy", 12.5, "keV"), Parameter("state", "solid"))
    assert d.doi == "10.5072/a%b"
    for word in ("Grains", "silver", "small angle", "saxs", "10.5072/a%b", "P2"):
        assert word in found.text
    assert "Hidden" not in found.text


def test_only_what_is_public_is_a_record() -> None:
    for value in (False, None, "true", 1, "yes"):
        assert seen({**ROW, "isPublic": value}, READING) is None
        assert proposal({"pid": "10.5072/P", "isPublic": value}, READING) is None
    for pid in (None, 5, "", "a\u202eb", " a", "x" * 301):
        assert seen({**ROW, "pid": pid}, READING) is None


def test_which_documents_are_proposals() -> None:
    for reading, expected in (
        (Reading(), ("10.5072/P2", "10.5072/paper")), (READING, ("P2", "paper")),
        (Reading("10.5072/", frozenset({"proposal"})), ("P2",)), (Reading("10.9/"), ()),
        (Reading("", frozenset({"thesis"})), ()),
    ):  # fmt: skip
        found = seen(ROW, reading)
        assert found is not None
        assert found.proposals == expected
        assert found.dataset.proposal == (expected[0] if expected else "")


def test_what_a_document_says() -> None:
    row = {
        "pid": "10.5072/P2", "isPublic": True, "type": "proposal", "title": "Grains", "summary": "About\ngrains", "doi": "10.5072/P2",
        "startDate": "2020-01-01", "endDate": "2020-01-02T00:00:00Z", "releaseDate": "never", "license": "CC-BY-4.0",
        "keywords": ["a", 3, ""],
        "members": [
            {"role": "proposer", "person": {"fullName": "Ada", "orcid": "0000"}, "affiliation": {"name": "ESS"}},
            {"role": "x", "person": {"firstName": "Bob", "lastName": "B"}}, {"role": "nobody"}, 5,
        ],
    }  # fmt: skip
    found = proposal(row, READING, members(row))
    assert found is not None
    assert (found.pid, found.title, found.summary, found.kind) == ("P2", "Grains", "About grains", "proposal")
    assert (found.started, found.ended, found.released) == (1577836800.0, 1577923200.0, None)
    assert (found.doi, found.licence, found.keywords, found.is_open) == ("10.5072/P2", "CC-BY-4.0", ("a",), True)
    assert found.members == (Member("Ada", "proposer", "ESS", "0000"), Member("Bob B", "x"))


def test_files_are_below_their_dataset() -> None:
    def of(*rows: dict[str, Any]) -> list[str]:
        return [file.path for file in files(rows)]

    assert of({"name": "b", "path": "raw"}, {"name": "a", "path": "raw/a"}, {"name": "c"}) == [
        "c",
        "raw/a",
        "raw/b",
    ]
    assert of({"name": "a", "path": "/data/p1/x/a"}, {"name": "b", "path": "/data/p1/y"}) == ["x/a", "y/b"]
    assert of({"name": "a", "path": "/data/p1/a"}) == ["a"]
    assert of({"name": "a", "path": "/etc/a"}, {"name": "b"}, {"name": "../c"}, {"name": "d", "path": ".."}) == [
        "b"
    ]
    assert of({"name": "a\n"}, {"path": 5}, {}, {"name": "", "path": ""}, {"name": "C:\\x"}) == []
    assert files([{"name": "a", "size": 3.0}]) == [DataFile("a", 3)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["pid", "name", "value", "panetId"]), inner),
    max_leaves=6,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*ROW, "doi", "keywords", "members", "path", "name"]), JSON))
def test_whatever_json_comes_is_read_or_left_out(row: dict[str, Any]) -> None:
    for each in (row, {**row, "pid": "p", "isPublic": True}):
        found = seen(each, READING)
        assert found is None or found.dataset.is_open
        proposal(each, Reading(), members(each))
        files([each, row])
