"""The one place where foreign bytes become a protobuf message."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from shared.wire.raw import fields
from shared.wire.text import Malformed

M = TypeVar("M", bound=Message)


def parse(kind: type[M], data: bytes, most_bytes: int, most_fields: int = 1000) -> M:
    """The message. Raises Malformed when it is none, larger than `most_bytes` or of too many parts."""
    if len(data) > most_bytes:
        raise Malformed(f"A message is larger than {most_bytes} bytes.")
    for _ in fields(data, most_fields):
        pass
    return parse_bounded(kind, data)


def parse_bounded(kind: type[M], data: bytes) -> M:
    """The message of bytes whose size and parts somebody has bounded already. Raises Malformed."""
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Malformed("The bytes are no message.") from error
    return message
