"""SciCat's records as ours: what is shown, what is not, and that nothing SciCat holds breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facility_agent.adapters.catalogue.scicat_records import (
    Fields,
    dataset,
    file_of,
    is_visible,
    proposal,
    state,
)
from facility_agent.adapters.catalogue.values import milliseconds, pid_of, raw_pid, shown_pid
from shared.catalogue import ArchiveState, DataFile, Member, Parameter

ROW = {
    "pid": "20.500/a%b", "datasetName": "A\nscan\u202e", "ownerGroup": "p-17", "proposalIds": ["P1", "P2"],
    "instrumentIds": ["i/1"], "dataFormat": "NXsas", "startTime": "2024-01-01T00:00:00.250Z", "endTime": "never",
    "size": 2**60, "numberOfFiles": 3.0, "isPublished": False, "license": "CC-BY-4.0", "keywords": ["x", 7, ""],
    "techniques": [{"pid": "PaNET:PaNET01188"}, {"pid": "PaNET01188"}, {"pid": ""}, 3, {"name": "no"}],
    "ownerEmail": "ann@example.org", "sourceFolder": "/secret/place", "owner": "Ann",
    "datasetlifecycle": {"isOnCentralDisk": True, "dateOfPublishing": "2027-01-01T00:00:00.000Z"},
    "scientificMetadata": {"name": {"value": "Au"}, "energy": {"value": 12.5, "unit": "keV"}, "n": 3, "yes": True,
                           "contact": "ann@example.org"},
}  # fmt: skip
FIELDS = Fields(sample="name", parameters=("energy", "n", "yes", "none"))


def test_what_a_dataset_says() -> None:
    found = dataset(ROW, {"P2"}, {"i/1": "I22"}, FIELDS, 0.0)
    assert (found.pid, found.title, found.proposal, found.instrument) == ("20.500%2Fa%25b", "A scan", "P2", "I22")
    assert (found.sample, found.definition, found.started, found.ended) == ("Au", "NXsas", 1_704_067_200.25, None)
    assert (found.size, found.files, found.is_open, found.licence) == (2**60, 3, False, "CC-BY-4.0")
    assert (found.techniques, found.keywords) == (("PaNET01188",), ("x",))
    assert found.parameters == (Parameter("energy", 12.5, "keV"), Parameter("n", 3.0))
    assert found.released == 1_798_761_600.0
    assert "example.org" not in repr(found)
    assert "secret" not in repr(found)
    assert dataset(ROW, set(), {}, Fields(), 0.0).proposal == "P1", "an open dataset's first"
    assert dataset(ROW, set(), {}, Fields(), 0.0).parameters == (), "only what the site names"
    assert dataset({**ROW, "dataFormat": "HDF5"}, set(), {}, Fields(), 0.0).definition == ""


def test_who_sees_it() -> None:
    assert not is_visible(ROW, set(), Fields())
    assert is_visible(ROW, {"P2"}, Fields())
    assert not is_visible({**ROW, "isPublished": "true"}, set(), Fields()), "only true is true"
    group = Fields(proposal="ownerGroup", group_prefix="p-")
    assert (group.names(ROW), group.written(["17", "\n"])) == (["17"], ["p-17"])
    assert is_visible(ROW, {"17"}, group)
    assert not is_visible(ROW, {"P1", "p-17"}, group)
    assert not is_visible({**ROW, "ownerGroup": "other17"}, {"17", "other17", ""}, group)


LATER, PAST = "2099-01-01T00:00:00.000Z", "2001-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("cycle", "expected"),
    [
        ({"isOnCentralDisk": True, "dateOfDiskPurging": LATER}, ArchiveState.ONLINE),
        ({"isOnCentralDisk": True, "retrievable": True}, ArchiveState.ONLINE),
        ({"isOnCentralDisk": True, "dateOfDiskPurging": PAST, "retrievable": True}, ArchiveState.ARCHIVED),
        ({"isOnCentralDisk": True, "dateOfDiskPurging": PAST}, ArchiveState.UNKNOWN),
        ({"isOnCentralDisk": False, "retrievable": True}, ArchiveState.ARCHIVED),
        ({"isOnCentralDisk": False, "retrievable": True, "retrieveStatusMessage": "back"}, ArchiveState.RESTORING),
        ({"isOnCentralDisk": True, "retrieveStatusMessage": "back"}, ArchiveState.ONLINE),
        ({"isOnCentralDisk": False, "retrievable": False}, ArchiveState.UNKNOWN),
        ({"isOnCentralDisk": "yes"}, ArchiveState.UNKNOWN),
        ({}, ArchiveState.UNKNOWN),
        (None, ArchiveState.UNKNOWN),
        ([True], ArchiveState.UNKNOWN),
    ],
)
def test_where_the_data_are(cycle: Any, expected: ArchiveState) -> None:
    assert state(cycle, {"back"}, 1_764_000_000.0) is expected


def test_members_are_of_open_proposals_alone_and_have_no_address() -> None:
    row = {"proposalId": "P1", "title": "T", "abstract": "A", "pi_firstname": "Ada", "pi_lastname": "Lovelace",
           "pi_email": "ada@example.org", "email": "bob@example.org", "firstname": "Bob", "isPublished": True,
           "instrumentIds": ["i/1", 5], "startTime": PAST}  # fmt: skip
    found = proposal(row, {"i/1": "I22"})
    assert (found.members, found.instruments) == ((Member("Ada Lovelace", "principal investigator"),), ("I22",))
    assert proposal({**row, "isPublished": False}, {}).members == ()
    assert "example.org" not in repr(found)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.h5", "a/b.h5"), ("/data/x/a/b.h5", "a/b.h5"), ("/etc/passwd", None), ("../x", None), ("a/../../x", None),
        ("./a", None), ("a//b", None), ("a/", None), ("", None), ("/data/x/", None), ("/data/xy/z", None), ("a\nb", None),
        ("a\0", None), (None, None), (7, None), ("/data/x//etc", None), ("x" * 5000, None),
        ("C:\\data\\ann\\b.h5", None), ("c:/data/b.h5", None), (r"\\nas\home\b.h5", None), (r"\b.h5", None), (r"a\b", r"a\b"),
    ],
)  # fmt: skip
def test_files_lie_below_the_root(path: Any, expected: str | None) -> None:
    found = file_of({"path": path, "size": 5}, "/data/x")
    assert found == (None if expected is None else DataFile(expected, 5))


@pytest.mark.parametrize("root", ["", "/", "//"])
def test_without_a_folder_of_its_own_no_path_is_below_it(root: str) -> None:
    assert file_of({"path": "/etc/passwd"}, root) is None
    assert file_of({"path": "a/b.h5"}, root) == DataFile("a/b.h5", 0)


@given(st.text() | st.text("%2fFcC3aA/é").filter(bool))
@example("%FF")
@example("a%C3")
def test_a_pid_is_written_in_one_way(text: str) -> None:
    raw = raw_pid(text)
    assert raw is None or shown_pid(raw) == text
    if pid_of({"pid": text}) is not None:
        assert raw_pid(shown_pid(text)) == text
        assert "/" not in shown_pid(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(LATER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "pid", "x"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(ROW)), JSON), JSON)
def test_no_record_breaks_it(row: dict[str, Any], entry: Any) -> None:
    for fields in (FIELDS, Fields(proposal="ownerGroup", time="creationTime")):
        found = dataset({**row, "pid": "p"}, {"P1"}, {}, fields, 0.0)
        assert found.pid == "p"
        assert 0 <= found.size < 2**63
        assert isinstance(is_visible(row, {"P1"}, fields), bool)
        proposal({**row, "proposalId": "P"}, {})
        assert file_of(entry, "") is None or isinstance(file_of(entry, ""), DataFile)


def test_times() -> None:
    assert milliseconds("2024-01-01T00:00:00.001Z") == 1_704_067_200_001
    assert milliseconds("2024-01-01T01:00:00+01:00") == milliseconds("2024-01-01T00:00:00")
    for none in (None, 5, "", "yesterday", "99999-01-01", {"$date": LATER}):
        assert milliseconds(none) is None
