"""Having a dataset restored, and reports on where its data are, on the wire."""

from __future__ import annotations

from shared.catalogue import ArchiveState
from shared.commands import Restore
from shared.restores import DatasetReport
from shared.wire import text
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as pb
from shared.wire.parse import parse

_BYTES = 4096


def encode_restore(value: Restore) -> bytes:
    """The bytes of the parameters."""
    return pb.Restore(pid=value.pid).SerializeToString()


def decode_restore(data: bytes) -> Restore:
    """The parameters. Raises Malformed."""
    return Restore(text.identifier(parse(pb.Restore, data, _BYTES).pid, text.PID))


def encode_report(value: DatasetReport) -> bytes:
    """The bytes of the payload."""
    return pb.DatasetReport(pid=value.pid, state=value.state.value).SerializeToString()


def decode_report(data: bytes) -> DatasetReport:
    """The payload; a state that this version does not know is UNKNOWN. Raises Malformed."""
    message = parse(pb.DatasetReport, data, _BYTES)
    known = message.state in ArchiveState.__members__
    return DatasetReport(
        text.identifier(message.pid, text.PID),
        ArchiveState(message.state) if known else ArchiveState.UNKNOWN,
    )
