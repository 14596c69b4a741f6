"""Files of a dataset on the wire."""

from __future__ import annotations

from shared.catalogue import DataFile, FilePage
from shared.commands import GetFiles
from shared.errors import InvalidRequest
from shared.limits import LIMITS
from shared.wire import text
from shared.wire.gen.parasol.catalogue.v1 import catalogue_pb2 as pb
from shared.wire.parse import parse
from shared.wire.text import Malformed

PATH = 1000
_QUESTION_BYTES = 64 * 1024
_PAGE_BYTES = 512 * 1024


def encode_question(value: GetFiles) -> bytes:
    """The bytes of the parameters."""
    return pb.GetFiles(pid=value.pid, limit=value.limit, after=value.after).SerializeToString()


def decode_question(data: bytes) -> GetFiles:
    """The parameters. Raises InvalidRequest, Malformed."""
    message = parse(pb.GetFiles, data, _QUESTION_BYTES)
    if not 1 <= message.limit <= LIMITS.page:
        raise InvalidRequest(f"A page holds 1 to {LIMITS.page} files.")
    if len(message.after) > 2 * PATH:
        raise InvalidRequest("This page cursor is not one of this catalogue's.")
    return GetFiles(text.identifier(message.pid, text.PID), message.limit, message.after)


def encode_page(value: FilePage) -> bytes:
    """The bytes of the payload. Raises ValueError for what the wire cannot hold."""
    files = [pb.File(path=f.path, size=f.size, modified=f.modified) for f in value.files]
    return pb.FilePage(files=files, next=value.next, total=value.total).SerializeToString()


def decode_page(data: bytes) -> FilePage:
    """The payload. A file whose path is not relative and plain is left out. Raises Malformed, also for too many files."""
    message = parse(pb.FilePage, data, _PAGE_BYTES)
    if len(message.files) > LIMITS.page:
        raise Malformed(f"A page has more than {LIMITS.page} files.")
    files = tuple(
        DataFile(f.path, text.count(f.size), text.instant(f.modified) if f.HasField("modified") else None)
        for f in message.files
        if is_relative(f.path)
    )
    total = text.count(message.total) if message.HasField("total") else None
    return FilePage(files, text.optional_identifier(message.next, 2 * PATH), total)


def is_relative(path: str) -> bool:
    """Whether a path can be shown and stays below where it begins."""
    parts = path.split("/")
    return text.is_identifier(path, PATH) and not {"", ".", ".."} & set(parts)
