"""Changes of open metadata on the wire."""

from __future__ import annotations

from collections.abc import Sequence

from shared.catalogue import Changes
from shared.commands import GetChanges
from shared.errors import InvalidRequest
from shared.wire import catalogue, proposals, text
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as pb
from shared.wire.parse import parse
from shared.wire.text import Malformed

TOKEN = 200
MOST = 500
"""Most datasets, proposals, and identifiers of each that are gone, in one answer."""
_BYTES = 8 * 1024 * 1024


def encode_question(value: GetChanges) -> bytes:
    """The bytes of the parameters."""
    return pb.GetChanges(since=value.since).SerializeToString()


def decode_question(data: bytes) -> GetChanges:
    """The parameters. Raises InvalidRequest, Malformed."""
    since = parse(pb.GetChanges, data, 1024).since
    if not text.is_plain(since, TOKEN):
        raise InvalidRequest("This token is not one of this facility's.")
    return GetChanges(since)


def encode(value: Changes) -> bytes:
    """The bytes of the payload. Raises ValueError for what the wire cannot hold, and for what is not open."""
    if not (all(d.is_open for d in value.datasets) and all(p.is_open for p in value.proposals)):
        raise ValueError("only open metadata are mirrored")
    return pb.Changes(
        datasets=[catalogue.dataset_message(dataset) for dataset in value.datasets],
        proposals=[proposals.message_of(proposal) for proposal in value.proposals],
        gone_datasets=value.gone_datasets,
        gone_proposals=value.gone_proposals,
        token=value.token,
        more=value.more,
        restart=value.restart,
        age=value.age,
        complete=value.complete,
    ).SerializeToString()


def decode(data: bytes) -> Changes:
    """The payload, cleaned; what has no usable identifier or is not open is left out. Raises Malformed."""
    message = parse(pb.Changes, data, _BYTES)
    lists: Sequence[Sequence[object]] = (
        message.datasets, message.proposals, message.gone_datasets, message.gone_proposals,
    )  # fmt: skip
    if any(len(values) > MOST for values in lists):
        raise Malformed(f"An answer has more than {MOST} changes of a kind.")
    return Changes(
        tuple(catalogue.read_dataset(d) for d in message.datasets if d.is_open and catalogue.usable(d)),
        tuple(proposals.read(p) for p in message.proposals if p.is_open and proposals.usable(p)),
        tuple(pid for pid in message.gone_datasets if text.is_identifier(pid, text.PID)),
        tuple(pid for pid in message.gone_proposals if text.is_identifier(pid)),
        text.optional_identifier(message.token, TOKEN),
        message.more,
        message.restart,
        text.duration(message.age) or 0.0,
        message.complete,
    )
