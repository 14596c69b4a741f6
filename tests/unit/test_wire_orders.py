"""Results of orders and the inventory on the wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.commands import Answer, Done, Verb, refusal
from shared.errors import BackendError, Conflict, QuotaExceeded
from shared.facilities import Outcome
from shared.wire.commands import decode_answer, encode_answer
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.gen.parasol.workspaces.v1 import workspaces_pb2
from shared.wire.orders import decode_order_result, encode_order_result
from shared.wire.text import Malformed
from shared.wire.workspaces import decode_inventory, encode_inventory
from shared.workspaces import StepName, StepReport, WorkspaceInventory, WorkspaceReport, WorkspaceState

ONE = "11111111-2222-4333-8444-555555555555"
TWO = "99999999-2222-4333-8444-555555555555"
REPORT = WorkspaceReport(ONE, 3, WorkspaceState.STARTING, (StepReport(StepName.ASK, 1.5),), 60.0)
UNREADABLE = refusal(BackendError("The facility's answer could not be read."))


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        (Verb.LAUNCH, Answer(Outcome.OK, REPORT)),
        (Verb.STOP, Answer(Outcome.OK, replace(REPORT, workspace_id=TWO, state=WorkspaceState.ENDED))),
        (Verb.UNLINK, Answer(Outcome.OK, Done())),
        (Verb.LAUNCH, refusal(QuotaExceeded(metadata={"limit": "2"}))),
        (Verb.STOP, refusal(Conflict())),
    ],
)
def test_results_come_back(verb: Verb, answer: Answer) -> None:
    message = encode_order_result(ONE, verb, answer)
    assert message.order_id == ONE
    again = pb.OrderResult.FromString(message.SerializeToString())
    assert decode_order_result(verb, again) == answer
    assert decode_answer(verb, encode_answer(1, verb, answer)) == answer, "read alike"


def test_a_launch_is_answered_about_its_own_workspace() -> None:
    message = encode_order_result(TWO, Verb.LAUNCH, Answer(Outcome.OK, REPORT))
    assert decode_order_result(Verb.LAUNCH, message) == UNREADABLE


@pytest.mark.parametrize("payload", [b"", b"\xff", workspaces_pb2.Report(workspace_id="x").SerializeToString()])
def test_a_payload_that_cannot_be_read_is_a_failure(payload: bytes) -> None:
    message = pb.OrderResult(order_id=ONE, outcome="OK", payload=payload)
    assert decode_order_result(Verb.LAUNCH, message) == UNREADABLE


@pytest.mark.parametrize("outcome", ["OFFLINE", "TIMED_OUT", "", "SHRUG"])
def test_an_agent_cannot_claim_what_only_the_centre_knows(outcome: str) -> None:
    message = pb.OrderResult(order_id=ONE, outcome=outcome, problem=pb.Problem(reason="X", message="So."))
    assert decode_order_result(Verb.STOP, message).outcome is Outcome.FAILED


def test_another_verbs_payload_is_not_sent() -> None:
    with pytest.raises(TypeError):
        encode_order_result(ONE, Verb.UNLINK, Answer(Outcome.OK, REPORT))
    with pytest.raises(TypeError):
        encode_order_result(ONE, None, Answer(Outcome.OK, REPORT))


@pytest.mark.parametrize(
    "inventory",
    [
        WorkspaceInventory(),
        WorkspaceInventory((REPORT,), (TWO,), complete=True),
        WorkspaceInventory((), (ONE, TWO)),
        WorkspaceInventory(complete=True),
    ],
)
def test_an_inventory_comes_back(inventory: WorkspaceInventory) -> None:
    assert decode_inventory(encode_inventory(inventory)) == inventory


@pytest.mark.parametrize(
    ("reports", "unowned"),
    [
        ([], ["/etc/passwd"]),
        ([], [ONE.upper().replace("1", "A")]),
        ([workspaces_pb2.Report(workspace_id="none")], [TWO]),
    ],
)
def test_an_inventory_with_what_cannot_be_read_is_not_complete(
    reports: list[workspaces_pb2.Report], unowned: list[str]
) -> None:
    message = workspaces_pb2.Inventory(reports=reports, unowned=unowned, complete=True)
    read = decode_inventory(message.SerializeToString())
    assert read == WorkspaceInventory((), tuple(name for name in unowned if name == TWO), complete=False)


def test_an_inventory_is_bounded() -> None:
    with pytest.raises(Malformed):
        decode_inventory(workspaces_pb2.Inventory(unowned=[ONE] * 10_001).SerializeToString())
    with pytest.raises(Malformed):
        decode_inventory(b"\x12\x02\xff\xff")
