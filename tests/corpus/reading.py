"""What a recorded frame means to the end that hears it, as plain data to be kept beside it."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Sequence
from enum import Enum
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from shared.commands import Verb
from shared.errors import ParasolError
from shared.link.outputs import CommandArrived, Greeted, OrderArrived, OrderSettled, Output, Reported, Settled
from shared.wire.commands import decode_answer, decode_body
from shared.wire.events import decode_event
from shared.wire.facilities import decode_description
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb
from shared.wire.orders import decode_order_result
from shared.wire.raw import pieces
from shared.wire.workspaces import decode_inventory
from tests.corpus.conversations import QUERIES
from tests.corpus.samples import ORDERS, WORKSPACE

_VERB_OF_ORDER = dict(zip((WORKSPACE, *ORDERS), (Verb.LAUNCH, Verb.STOP, Verb.UNLINK, Verb.RESTORE), strict=True))


def envelopes(who: str, frame: bytes) -> list[Any]:
    """The envelopes of a frame as protobuf reads them."""
    kind = pb.AgentEnvelope if who == "agent" else pb.CentreEnvelope
    return [plain(kind.FromString(piece)) for piece in pieces(frame, 1, 100)]


def heard(output: Output) -> dict[str, Any]:
    """One output, with what the centre's or agent's codecs make of its payload."""
    meaning: object = None
    if isinstance(output, Greeted):
        meaning = [decode_description(output.hello.description), decode_inventory(output.hello.inventory)]
    elif isinstance(output, CommandArrived | OrderArrived) and output.body:
        meaning = decode_body(output.body)
    elif isinstance(output, Settled) and isinstance(output.result, pb.Result):
        meaning = decode_answer(QUERIES[output.ticket - 1], output.result)
    elif isinstance(output, OrderSettled):
        meaning = decode_order_result(_VERB_OF_ORDER[output.order_id], output.result)
    elif isinstance(output, Reported):
        meaning = decode_event(output.event)
    return {"output": type(output).__name__, **_fields(output), "meaning": plain(meaning)}


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True)
    if isinstance(value, ParasolError):
        return {"reason": value.reason, "message": value.message, "retryable": value.retryable}
    if dataclasses.is_dataclass(value):
        return _fields(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def _fields(value: Any) -> dict[str, Any]:
    return {item.name: plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
