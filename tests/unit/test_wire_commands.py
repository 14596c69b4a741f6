"""Bodies, payloads and answers: every word round-trips, every bad value is refused with a reason."""

from __future__ import annotations

import contextlib
import math
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central_portal.link.commands import command_body
from shared.catalogue import (
    ArchiveState,
    Changes,
    DataFile,
    Dataset,
    FilePage,
    Order,
    Proposal,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
    sort_key,
)
from shared.commands import (
    PARAMETERS_OF,
    PAYLOAD_OF,
    Answer,
    Done,
    GetChanges,
    GetDataset,
    GetFiles,
    Parameters,
    Payload,
    Problem,
    Redeem,
    Redeemed,
    Release,
    Restore,
    Stop,
    Unlink,
    Verb,
    refusal,
)
from shared.errors import InvalidRequest, ParasolError, Unsupported, every_error
from shared.facilities import Outcome
from shared.identity import Scope
from shared.restores import DatasetReport
from shared.wire.commands import (
    BODY_BYTES,
    CODECS,
    decode_answer,
    decode_body,
    decode_payload,
    encode_answer,
    encode_body,
    encode_payload,
    verb_of,
)
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2
from shared.wire.gen.parasol.grants.v1 import grants_pb2
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.gen.parasol.workspaces.v1 import workspaces_pb2
from shared.wire.raw import delimited
from shared.wire.status import decode_problem, encode_problem, error_of
from shared.wire.text import Malformed
from shared.wire.workspaces import decode_report, encode_report
from shared.workspaces import LAST_SEQUENCE, LaunchRequest, StepName, StepReport, WorkspaceReport, WorkspaceState
from tests.corpus.samples import PROPOSAL, RICH

ID = "11111111-2222-4333-8444-555555555555"
DATASET = Dataset("a/1.nxs", "Silver behenate", "GUP26110", "I22", "AgBh", "NXsas", 1.5, None, 2**40, 3, True)
REPORT = WorkspaceReport(
    ID, 7, WorkspaceState.FAILED, (StepReport(StepName.ASK, 1.5, "asked"),), 60.0, "QUOTA_EXCEEDED", "Too many."
)
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
    Verb.RESTORE: Restore("a/1.nxs"),
    Verb.LAUNCH: LaunchRequest("jupyter", "small", ("p1", "p2"), "a/1.nxs", "My title", 3600),
    Verb.STOP: Stop(ID),
}
PAYLOADS: dict[Verb, Payload] = {
    Verb.REDEEM: Redeemed("g1", (Scope.READ, Scope.RUN), 1000, 1_700_000_000_000),
    Verb.RELEASE: Done(),
    Verb.UNLINK: Done(),
    Verb.SEARCH: SearchPage((DATASET,), "next", complete=False, note="One file could not be read."),
    Verb.GET: RICH,
    Verb.FILES: FilePage((DataFile("raw/1.dat", 2**40, 1.5), DataFile("b", 0)), "next", 17),
    Verb.PROPOSALS: ProposalPage((PROPOSAL, Proposal("p2")), "next", complete=False, note="Half of them."),
    Verb.CHANGES: Changes(
        (RICH,), (PROPOSAL,), ("gone",), ("p-gone",), "store:9", True, True, 12.5, complete=False
    ),
    Verb.RESTORE: DatasetReport("a/1.nxs", ArchiveState.RESTORING),
    Verb.LAUNCH: REPORT,
    Verb.STOP: REPORT,
}


def wire_body(verb: str = "catalogue.get", parameters: bytes = b"\x0a\x01p", **other: Any) -> bytes:
    fields = {"facility_id": "alpha", "command_id": ID, "expires_ms": 1, **other}
    return pb.Body(verb=verb, parameters=parameters, **fields).SerializeToString()


def test_every_verb_has_parameters_a_payload_and_their_codecs() -> None:
    assert set(PARAMETERS_OF) == set(PAYLOAD_OF) == set(Verb) == set(PARAMETERS) == set(PAYLOADS)
    assert {*PARAMETERS_OF.values(), *PAYLOAD_OF.values()} == set(CODECS)


@pytest.mark.parametrize("verb", Verb)
def test_a_command_comes_back_as_it_was(verb: Verb) -> None:
    body = command_body("alpha", ID, verb, PARAMETERS[verb], 1_700_000_000_123)
    command = decode_body(body)
    assert (command.facility_id, command.command_id, command.verb) == ("alpha", ID, verb)
    assert (command.parameters, command.expires_ms) == (PARAMETERS[verb], 1_700_000_000_123)
    assert verb_of(body) is verb


@pytest.mark.parametrize("verb", Verb)
def test_a_payload_comes_back_as_it_was(verb: Verb) -> None:
    assert decode_payload(verb, encode_payload(verb, PAYLOADS[verb])) == PAYLOADS[verb]


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.PARTIAL])
def test_a_good_answer_comes_back_as_it_was(outcome: Outcome) -> None:
    answer = Answer(outcome, PAYLOADS[Verb.SEARCH], Problem("BACKEND_FAILED", "Half of it."))
    assert decode_answer(Verb.SEARCH, encode_answer(1, Verb.SEARCH, answer)) == answer


@pytest.mark.parametrize("cls", list(every_error()))
def test_every_error_travels(cls: type[ParasolError]) -> None:
    problem = Problem.of(cls("A sentence about X.", metadata={"name": "X"}))
    back = decode_problem(encode_problem(problem))
    assert back == problem
    error = error_of(back)
    assert type(error) is cls
    assert Problem.of(error) == problem


def test_an_unknown_reason_keeps_its_code() -> None:
    error = error_of(Problem("FROM_THE_FUTURE", "New.", retryable=True))
    assert type(error) is ParasolError
    assert (error.reason, error.message, error.retryable) == ("FROM_THE_FUTURE", "New.", True)
    assert ParasolError.reason == "INTERNAL", "only this one error is different"


def test_a_hostile_problem_is_cleaned() -> None:
    message = pb.Problem(reason="<script>", message="a\x00\nb" + "x" * 5000)
    for n in range(100):
        message.metadata[f"k{n:03}"] = "\u202ev" * 500
    message.metadata["bad\nkey"] = "v"
    problem = decode_problem(message)
    assert problem.reason == "INTERNAL"
    assert problem.message.startswith("a bx")
    assert len(problem.message) == 1000
    assert len(problem.metadata) <= 16
    assert all(len(value) <= 300 and "\u202e" not in value for value in problem.metadata.values())


@pytest.mark.parametrize("outcome", ["OFFLINE", "TIMED_OUT", "", "WONDERFUL"])
def test_a_facility_cannot_claim_what_only_the_centre_knows(outcome: str) -> None:
    result = pb.Result(ticket=1, outcome=outcome, problem=pb.Problem(reason="NOT_FOUND", message="No."))
    assert decode_answer(Verb.GET, result).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "result",
    [
        pb.Result(outcome="OK", payload=b"\xff\xff"),
        pb.Result(outcome="OK"),
        pb.Result(outcome="DENIED"),
        pb.Result(outcome="OK", payload=catalogue_pb2.Dataset(pid="bad\npid").SerializeToString()),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_failure_of_the_facility(result: pb.Result) -> None:
    answer = decode_answer(Verb.GET, result)
    assert (answer.outcome, answer.payload) == (Outcome.FAILED, None)
    assert answer.problem is not None
    assert answer.problem.reason == "BACKEND_FAILED"


def test_refusals_travel_with_their_outcome() -> None:
    for cls in every_error():
        answer = refusal(cls())
        back = decode_answer(Verb.GET, encode_answer(1, None, answer))
        local_only = answer.outcome in (Outcome.OFFLINE, Outcome.TIMED_OUT)
        assert back.outcome is (Outcome.FAILED if local_only else answer.outcome)
        assert back.problem == answer.problem


def test_an_unknown_verb_is_unsupported() -> None:
    with pytest.raises(Unsupported):
        decode_body(wire_body("workspaces.explode"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff" * 20,
        wire_body(facility_id="Not A Slug"),
        wire_body(facility_id=""),
        wire_body(command_id=""),
        wire_body(command_id="x" * 65),
        wire_body(command_id="a/../b"),
        wire_body(parameters=b"\xff"),
        wire_body(parameters=b""),
        wire_body() + b"\x7a" + b"\x80" * 3,
        b"\x0a\x00" * 2000,
        wire_body(parameters=b"x" * BODY_BYTES),
        wire_body("workspaces.launch", workspaces_pb2.Launch(environment="e", flavour="f").SerializeToString()),
        wire_body("workspaces.stop", workspaces_pb2.Stop(workspace_id="../x").SerializeToString()),
        wire_body("catalogue.search", catalogue_pb2.Search(limit=0).SerializeToString()),
        wire_body("catalogue.search", catalogue_pb2.Search(limit=101).SerializeToString()),
        wire_body("catalogue.search", catalogue_pb2.Search(limit=1, since=math.nan).SerializeToString()),
        wire_body("catalogue.search", catalogue_pb2.Search(limit=1, until=math.inf).SerializeToString()),
        wire_body("catalogue.search", catalogue_pb2.Search(limit=1, since=2, until=1).SerializeToString()),
        wire_body("catalogue.search", catalogue_pb2.Search(limit=1, text="x" * 201).SerializeToString()),
        wire_body("catalogue.search", catalogue_pb2.Search(limit=1, proposals=[""]).SerializeToString()),
        wire_body("grants.redeem", grants_pb2.Redeem(code_hash="A" * 64, verifier="v" * 43).SerializeToString()),
        wire_body("grants.redeem", grants_pb2.Redeem(code_hash="a" * 64, verifier="v").SerializeToString()),
    ],
)
def test_garbage_is_an_invalid_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_body(body)
    assert caught.value.message.endswith(".")


def launch(**changes: Any) -> bytes:
    values = {"environment": "e", "flavour": "f", "lifetime_s": 60, **changes}
    return wire_body("workspaces.launch", workspaces_pb2.Launch(**values).SerializeToString())


@pytest.mark.parametrize(
    "changes",
    [
        {"lifetime_s": 59},
        {"lifetime_s": 30 * 86400 + 1},
        {"title": "x" * 201},
        {"title": "two\nlines"},
        {"proposals": ["p"] * 21},
        {"proposals": ["p\x00"]},
        {"environment": ""},
        {"flavour": "\u202e"},
        {"dataset": "d" * 513},
    ],
)
def test_a_launch_is_checked(changes: dict[str, Any]) -> None:
    assert decode_body(launch()).verb is Verb.LAUNCH
    with pytest.raises(InvalidRequest):
        decode_body(launch(**changes))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequest, Unsupported):
        decode_body(data)


@given(st.sampled_from(Verb), st.binary(max_size=300), st.sampled_from(Outcome))
def test_any_answer_is_read_or_a_failure(verb: Verb, payload: bytes, outcome: Outcome) -> None:
    answer = decode_answer(verb, pb.Result(ticket=1, outcome=outcome.value, payload=payload))
    assert (answer.payload is not None) == (answer.outcome in (Outcome.OK, Outcome.PARTIAL))


def test_the_writer_refuses_what_no_agent_would_read() -> None:
    for bad in (
        lambda: encode_body("alpha", "not a uuid", Verb.LAUNCH, PARAMETERS[Verb.LAUNCH], 1),
        lambda: encode_body("alpha", ID, Verb.SEARCH, Stop(ID), 1),
        lambda: encode_body("alpha", ID, Verb.SEARCH, SearchQuery(since=math.nan), 1),
        lambda: encode_body("alpha", ID, Verb.GET, GetDataset("\ud800"), 1),
        lambda: encode_body("alpha", ID, Verb.GET, GetDataset("p"), 2**63),
    ):
        with pytest.raises(InvalidRequest):
            bad()


def test_another_verbs_payload_is_no_answer() -> None:
    with pytest.raises(TypeError):
        encode_payload(Verb.GET, Done())


def test_the_same_command_is_the_same_bytes() -> None:
    assert len({encode_body("alpha", ID, Verb.SEARCH, PARAMETERS[Verb.SEARCH], 5) for _ in range(3)}) == 1


def test_a_bad_dataset_costs_itself_alone() -> None:
    good = catalogue_pb2.Dataset(pid="good", started=math.nan, size=2**64 - 1, title="a\x00b")
    page = catalogue_pb2.Page(datasets=[good, catalogue_pb2.Dataset(pid="bad\n")], complete=True)
    read = decode_payload(Verb.SEARCH, page.SerializeToString())
    assert isinstance(read, SearchPage)
    assert [(d.pid, d.started, d.title, d.size) for d in read.datasets] == [("good", None, "ab", 2**63 - 1)]
    assert not read.complete
    assert "left out" in read.note


ROWS = st.builds(
    catalogue_pb2.Dataset,
    pid=st.one_of(st.text(max_size=6), st.text("ab", min_size=1, max_size=3)),
    title=st.text(max_size=12),
    proposal=st.text(max_size=4),
    sample=st.text(max_size=12),
    definition=st.text(max_size=12),
    started=st.one_of(st.none(), st.floats()),
    size=st.integers(0, 2**64 - 1),
)


@given(st.lists(ROWS, max_size=6), st.lists(st.sampled_from([b"\xff", b"\x12\x01\xff", b""]), max_size=2))
def test_a_page_is_read_as_its_datasets_are_one_by_one(rows: list[Any], broken: list[bytes]) -> None:
    """Whether the page is read in one piece or, because of a broken dataset or its size, in many."""
    parts = [row.SerializeToString() for row in rows] + broken
    wanted = []
    for part in parts:
        with contextlib.suppress(Malformed):
            wanted.append(decode_payload(Verb.GET, part))
    plain = b"".join(delimited(1, part) for part in parts) + catalogue_pb2.Page(complete=True).SerializeToString()
    large = plain + delimited(9, b"x" * 70_000)
    for data in (plain, large):
        page = decode_payload(Verb.SEARCH, data)
        assert isinstance(page, SearchPage)
        assert tuple(page.datasets) == tuple(wanted)
        assert list(page.keys()) == [sort_key(dataset) for dataset in wanted]
        assert page.complete == (len(wanted) == len(parts))


def test_a_page_of_a_million_datasets_is_refused_before_it_is_built() -> None:
    for page in (delimited(1, b"") * 500_000, delimited(1, b"\x0a\x01p") * 101):
        with pytest.raises(Malformed):
            decode_payload(Verb.SEARCH, page)


def test_an_unknown_state_is_unknown_and_an_unknown_step_left_out() -> None:
    message = workspaces_pb2.Report(
        workspace_id=ID,
        state="EXPLODED",
        ends_in=math.nan,
        steps=[workspaces_pb2.Step(name="READY", entered_ago=math.inf), workspaces_pb2.Step(name="DANCE")],
        reason="no code",
        message="a\nb",
    )
    assert decode_payload(Verb.STOP, message.SerializeToString()) == WorkspaceReport(
        ID, 0, WorkspaceState.UNKNOWN, (StepReport(StepName.READY, 0.0, ""),), None, "", "a b"
    )


@pytest.mark.parametrize("sequence", [0, 7, LAST_SEQUENCE, 2**32, 2**63 - 1])
def test_a_reports_sequence_stays_within_what_the_api_can_say(sequence: int) -> None:
    report = WorkspaceReport(str(uuid.uuid4()), sequence, WorkspaceState.RUNNING)
    assert decode_report(encode_report(report)).sequence == min(sequence, LAST_SEQUENCE)
