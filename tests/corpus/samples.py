"""A word of every kind with every field set, so that nothing of the contract goes unrecorded."""

from __future__ import annotations

from dataclasses import replace

from shared.catalogue import (
    ArchiveState,
    Changes,
    DataFile,
    Dataset,
    FilePage,
    Member,
    Order,
    Parameter,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.commands import (
    Done,
    GetChanges,
    GetDataset,
    GetFiles,
    Parameters,
    Payload,
    Redeem,
    Redeemed,
    Release,
    Restore,
    Stop,
    Unlink,
    Verb,
)
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
from shared.identity import Scope
from shared.restores import DatasetReport
from shared.wire.commands import encode_body
from shared.workspaces import (
    LaunchRequest,
    StepName,
    StepReport,
    WorkspaceInventory,
    WorkspaceReport,
    WorkspaceState,
)

WORKSPACE = "11111111-2222-4333-8444-555555555555"
UNOWNED = "99999999-2222-4333-8444-555555555555"
ORDERS = (
    "22222222-2222-4333-8444-555555555555", "33333333-2222-4333-8444-555555555555", "44444444-2222-4333-8444-555555555555",
)  # fmt: skip
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EXPIRES = 1_800_000_000_000
DATASET = Dataset(
    "a/1.nxs", "Silver behenate", "GUP26110", "I22", "AgBh", "NXsas", 1.5, 2.5, 2**40, 3, is_open=True
)  # fmt: skip
RICH = replace(
    DATASET, techniques=("PaNET01196", "https://w3id.org/PaN/ESRFET#XAS"), keywords=("silver",),
    parameters=(Parameter("energy", 12.4, "keV"), Parameter("mode", "fly"), Parameter("zero", 0.0)),
    doi="10.1/x", licence="CC-BY-4.0", released=3.5, state=ArchiveState.ARCHIVED,
)  # fmt: skip
PROPOSAL = Proposal(
    "p1", "Silver", "All of it.", "user", ("I22",), 1.0, 2.0, 3.0, "10.1/p", "CC-BY-4.0", ("silver",),
    (Member("Ada Lovelace", "PI", "Alpha", "0000-0002-1825-0097"),), is_open=True,
)  # fmt: skip
REPORT = WorkspaceReport(
    WORKSPACE,
    7,
    WorkspaceState.FAILED,
    (StepReport(StepName.QUEUE, 1.5, "place 3"),),
    60.0,
    "QUOTA_EXCEEDED",
    "Full.",
)
STOPPED = replace(
    REPORT, sequence=8, state=WorkspaceState.ENDED, reason="CANCELLED", message="It had not started."
)
RESTORED = DatasetReport("raw/1.nxs", ArchiveState.RESTORING)
INVENTORY = WorkspaceInventory((REPORT,), (UNOWNED,), complete=True)
DESCRIPTION = FacilityDescription(
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
    capabilities=(Capability("c", "catalogue", "NeXus folder", "Reads files."),),
    services=(Service("s", "User office", "Visits.", "https://uo.alpha.example.org/"),),
    environments=(
        Environment(
            "jupyter", "Notebook", "JupyterLab", UsedAs.NOTEBOOK, CarriedBy.PROCESS,
            (Software("pyFAI", "2026.9"),), ("small",), "small", "account",
        ),
    ),
    flavours=(Flavour("small", "Small", 1, 2**31, 1, 10**10, 28_800),),
)  # fmt: skip
PARAMETERS: dict[Verb, Parameters] = {
    Verb.REDEEM: Redeem("a" * 64, "v" * 43),
    Verb.RELEASE: Release(),
    Verb.UNLINK: Unlink(),
    Verb.SEARCH: SearchQuery(
        "silver", ("p",), ("i",), -1.0, 2.0, 100, "after", "gold", ("PaNET01196",), Order.RELEVANCE
    ),
    Verb.GET: GetDataset("a/1.nxs"),
    Verb.FILES: GetFiles("a/1.nxs", 7, "after"),
    Verb.PROPOSALS: ProposalQuery("silver", ("p",), 100, "after", own=True),
    Verb.CHANGES: GetChanges("store:7"),
    Verb.LAUNCH: LaunchRequest("jupyter", "small", ("p1", "p2"), "a/1.nxs", "My title", 3600),
    Verb.STOP: Stop(WORKSPACE),
    Verb.RESTORE: Restore("raw/1.nxs"),
}
PAYLOADS: dict[Verb, Payload] = {
    Verb.REDEEM: Redeemed("g1", (Scope.READ, Scope.RUN), 1000, 1_700_000_000_000),
    Verb.RELEASE: Done(),
    Verb.UNLINK: Done(),
    Verb.SEARCH: SearchPage((DATASET,), "next", complete=True, note="One file could not be read."),
    Verb.GET: RICH,
    Verb.FILES: FilePage((DataFile("raw/1.dat", 2**40, 1.5), DataFile("b", 0)), "next", 17),
    Verb.PROPOSALS: ProposalPage((PROPOSAL, Proposal("p2")), "next", complete=True, note="Half of them."),
    Verb.CHANGES: Changes(
        (RICH,), (PROPOSAL,), ("gone",), ("p-gone",), "store:9", True, True, 12.5, complete=True
    ),
    Verb.LAUNCH: REPORT,
    Verb.STOP: STOPPED,
    Verb.RESTORE: RESTORED,
}


def body(verb: Verb, command_id: str) -> bytes:
    """The body of a command of this verb."""
    return encode_body("alpha", command_id, verb, PARAMETERS[verb], EXPIRES)
