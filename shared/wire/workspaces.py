"""Workspaces: launches, stops, reports and the inventory on the wire."""

from __future__ import annotations

from contextlib import suppress

from shared.commands import Stop
from shared.errors import InvalidRequest
from shared.wire import text
from shared.wire.gen.parasol.workspaces.v1 import workspaces_pb2 as pb
from shared.wire.parse import parse
from shared.wire.raw import split
from shared.wire.text import Malformed
from shared.workspaces import (
    LAST_SEQUENCE,
    STEPS,
    LaunchRequest,
    StepName,
    StepReport,
    WorkspaceInventory,
    WorkspaceReport,
    WorkspaceState,
    is_workspace_id,
)

_BYTES = 32 * 1024
_INVENTORY_BYTES = 2 * 1024 * 1024
_INVENTORY_PARTS = 10_000
_STATES = {state.value: state for state in WorkspaceState}
_STEPS = {step.value: step for step in StepName}


def encode_launch(value: LaunchRequest) -> bytes:
    """The bytes of the parameters."""
    return pb.Launch(
        environment=value.environment,
        flavour=value.flavour,
        proposals=value.proposals,
        dataset=value.dataset,
        title=value.title,
        lifetime_s=value.lifetime_s,
    ).SerializeToString()


def decode_launch(data: bytes) -> LaunchRequest:
    """The parameters. Raises InvalidRequest or Malformed."""
    message = parse(pb.Launch, data, _BYTES)
    if not text.is_plain(message.title, 200):
        raise InvalidRequest("A title is one line of at most 200 visible characters.")
    return LaunchRequest(
        environment=text.identifier(message.environment),
        flavour=text.identifier(message.flavour),
        proposals=tuple(text.identifier(proposal) for proposal in message.proposals),
        dataset=text.optional_identifier(message.dataset, text.PID),
        title=message.title,
        lifetime_s=message.lifetime_s,
    )


def encode_stop(value: Stop) -> bytes:
    """The bytes of the parameters."""
    return pb.Stop(workspace_id=value.workspace_id).SerializeToString()


def decode_stop(data: bytes) -> Stop:
    """The parameters. Raises InvalidRequest or Malformed."""
    return Stop(workspace_id(parse(pb.Stop, data, _BYTES).workspace_id))


def encode_report(value: WorkspaceReport) -> bytes:
    """The bytes of the payload."""
    return _message(value).SerializeToString()


def decode_report(data: bytes) -> WorkspaceReport:
    """The payload, cleaned. A state that this version does not know is UNKNOWN, a step is left out.

    Raises InvalidRequest or Malformed when the workspace's id is none.
    """
    message = parse(pb.Report, data, _BYTES)
    steps = [
        StepReport(_STEPS[step.name], text.duration(step.entered_ago) or 0.0, text.plain(step.detail))
        for step in message.steps[: 2 * len(STEPS)]
        if step.name in _STEPS
    ]
    return WorkspaceReport(
        workspace_id=workspace_id(message.workspace_id),
        sequence=min(text.count(message.sequence), LAST_SEQUENCE),
        state=_STATES.get(message.state, WorkspaceState.UNKNOWN),
        steps=tuple(steps),
        ends_in=text.duration(message.ends_in) if message.HasField("ends_in") else None,
        reason=text.reason(message.reason),
        message=text.plain(message.message, text.SENTENCE),
    )


def encode_inventory(value: WorkspaceInventory) -> bytes:
    """The bytes of the inventory."""
    return pb.Inventory(
        reports=[_message(report) for report in value.reports],
        unowned=value.unowned,
        complete=value.complete,
    ).SerializeToString()


def decode_inventory(data: bytes) -> WorkspaceInventory:
    """The inventory without what cannot be read, and then not complete.

    Raises Malformed for other bytes or too many parts.
    """
    if len(data) > _INVENTORY_BYTES:
        raise Malformed(f"An inventory is larger than {_INVENTORY_BYTES} bytes.")
    found, rest = split(data, pb.Inventory.REPORTS_FIELD_NUMBER, _INVENTORY_PARTS)
    message = parse(pb.Inventory, rest, _INVENTORY_BYTES, _INVENTORY_PARTS)
    reports: list[WorkspaceReport] = []
    for piece in found:
        with suppress(Malformed, InvalidRequest):
            reports.append(decode_report(piece))
    unowned = tuple(filter(is_workspace_id, message.unowned))
    whole = len(reports) == len(found) and len(unowned) == len(message.unowned)
    return WorkspaceInventory(tuple(reports), unowned, message.complete and whole)


def workspace_id(value: str) -> str:
    """`value` unchanged. Raises InvalidRequest unless it is a workspace id."""
    if not is_workspace_id(value):
        raise InvalidRequest("A workspace is named by a lower-case UUID.")
    return value


def _message(value: WorkspaceReport) -> pb.Report:
    return pb.Report(
        workspace_id=value.workspace_id,
        sequence=value.sequence,
        state=value.state.value,
        steps=[pb.Step(name=s.name.value, entered_ago=s.entered_ago, detail=s.detail) for s in value.steps],
        ends_in=value.ends_in,
        reason=value.reason,
        message=value.message,
    )
