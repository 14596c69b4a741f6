"""Events on the wire: what an agent reports unasked, and what a session starts with."""

from __future__ import annotations

from shared.errors import InvalidRequest
from shared.facilities import FacilityDescription
from shared.restores import DatasetReport
from shared.wire import restoring
from shared.wire.facilities import decode_description, encode_description
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.text import Malformed
from shared.wire.workspaces import decode_report, encode_report
from shared.workspaces import WorkspaceReport

DESCRIBED = "facility.described"
REPORTED = "workspace.reported"
DATASET = "dataset.reported"
Event = WorkspaceReport | FacilityDescription | DatasetReport


def encode_event(event: Event) -> tuple[str, pb.Event]:
    """The message, and the key under which a newer one replaces it while it waits to be sent."""
    if isinstance(event, WorkspaceReport):
        return f"{REPORTED} {event.workspace_id}", pb.Event(kind=REPORTED, payload=encode_report(event))
    if isinstance(event, DatasetReport):
        return f"{DATASET} {event.pid}", pb.Event(kind=DATASET, payload=restoring.encode_report(event))
    return DESCRIBED, pb.Event(kind=DESCRIBED, payload=encode_description(event))


def decode_event(message: pb.Event) -> Event | None:
    """The fact, cleaned; None for a kind that this version does not know. Raises Malformed."""
    try:
        if message.kind == DESCRIBED:
            return decode_description(message.payload)
        if message.kind == REPORTED:
            return decode_report(message.payload)
        if message.kind == DATASET:
            return restoring.decode_report(message.payload)
    except InvalidRequest as error:
        raise Malformed(error.message) from error
    return None
