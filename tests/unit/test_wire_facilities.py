"""A facility's own words: what is good comes back, what is hostile reaches nobody."""

from __future__ import annotations

import pytest

from shared.facilities import (
    Capability,
    CarriedBy,
    Environment,
    FacilityDescription,
    Flavour,
    Service,
    Software,
    UsedAs,
)
from shared.wire.events import decode_event, encode_event
from shared.wire.facilities import decode_description, encode_description
from shared.wire.gen.parasol.facilities.v1 import facilities_pb2 as pb
from shared.wire.gen.parasol.link.v1 import link_pb2
from shared.wire.text import Malformed
from shared.wire.workspaces import decode_inventory, encode_inventory
from shared.workspaces import WorkspaceInventory, WorkspaceReport, WorkspaceState

ID = "11111111-2222-4333-8444-555555555555"
GOOD = FacilityDescription(
    facility_id="alpha",
    name="Alpha",
    place="Hamburg",
    country="DE",
    description="A synchrotron.",
    website="https://alpha.example.org/",
    data_portal="https://data.alpha.example.org/",
    contact="help@alpha.example.org",
    agent_version="0.1.0",
    instruments=("I22",),
    open_proposals=("2026-open",),
    capabilities=(Capability("c", "catalogue", "NeXus folder", ""),),
    services=(Service("s", "User office", "Visits.", "https://uo.alpha.example.org/"),),
    environments=(
        Environment(
            "jupyter",
            "Notebook",
            "JupyterLab",
            UsedAs.NOTEBOOK,
            CarriedBy.PROCESS,
            (Software("pyFAI", "2026.9"),),
            ("small",),
            "small",
            "none",
        ),
    ),
    flavours=(Flavour("small", "Small", 1, 2**31, 0, 10**10, 28800),),
)


def wire() -> pb.Description:
    return pb.Description.FromString(encode_description(GOOD))


def test_a_description_comes_back_as_it_was() -> None:
    assert decode_description(encode_description(GOOD)) == GOOD


def test_hostile_links_and_text_reach_nobody() -> None:
    message = wire()
    message.name = "Alpha\u202e\x00"
    message.country = "<script>"
    message.website = "javascript:alert(1)"
    message.data_portal = "http://alpha.example.org/"
    message.contact = "javascript:alert(1)//@x"
    message.services[0].url = "data:text/html,x"
    read = decode_description(message.SerializeToString())
    assert (read.name, read.country, read.website, read.data_portal, read.contact) == ("Alpha", "", "", "", "")
    assert read.services == ()


def test_what_cannot_be_started_is_left_out() -> None:
    message = wire()
    for change in ({"used_as": "game"}, {"carried_by": "pigeon"}, {"flavours": ["huge"]}, {"id": "a\nb"}):
        bad = message.environments.add()
        bad.CopyFrom(wire().environments[0])
        bad.ClearField("flavours")
        bad.MergeFrom(pb.Environment(**change))
    assert decode_description(message.SerializeToString()).environments == GOOD.environments


def test_an_unknown_isolation_is_shown_as_none_and_a_foreign_recommendation_replaced() -> None:
    message = wire()
    message.environments[0].isolation = "perfect"
    message.environments[0].recommended = "huge"
    read = decode_description(message.SerializeToString()).environments[0]
    assert (read.isolation, read.recommended) == ("none", "small")


def test_lists_are_bounded() -> None:
    message = wire()
    message.instruments.extend(f"i{n}" for n in range(2500))
    message.flavours.extend(pb.Flavour(id=f"f{n}") for n in range(300))
    read = decode_description(message.SerializeToString())
    assert len(read.instruments) == 1000
    assert len(read.flavours) == 100


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\x52\x00" * 5000, pb.Description(facility_id="A B").SerializeToString(), b"x" * 300_000],
)
def test_what_is_no_description(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_description(data)


def test_an_inventory_leaves_out_what_cannot_be_read() -> None:
    good = WorkspaceReport(ID, 1, WorkspaceState.RUNNING)
    bad = WorkspaceReport("../etc", 1, WorkspaceState.RUNNING)
    assert decode_inventory(encode_inventory(WorkspaceInventory((bad, good)))).reports == (good,)
    with pytest.raises(Malformed):
        decode_inventory(b"\x0a\x00" * 20_000)


def test_events_come_back_and_unknown_kinds_mean_nothing() -> None:
    for event in (GOOD, WorkspaceReport(ID, 1, WorkspaceState.RUNNING)):
        key, message = encode_event(event)
        assert decode_event(message) == event
        assert key
    assert decode_event(link_pb2.Event(kind="moon.full", payload=b"\xff")) is None
    with pytest.raises(Malformed):
        decode_event(link_pb2.Event(kind="workspace.reported", payload=b"\x0a\x01x"))
