"""Looks at protobuf bytes before they are parsed, so that a peer cannot make us build a million objects."""

from __future__ import annotations

from collections.abc import Iterator

from shared.wire.text import Malformed

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(data: bytes, most: int) -> Iterator[tuple[int, bytes | None, int]]:
    """The top-level fields as (number, bytes, where it ends); None stands for a number.

    Raises Malformed when they are no protobuf, or more than `most`.
    """
    position, seen, end = 0, 0, len(data)
    try:
        while position < end:
            seen += 1
            if seen > most:
                raise Malformed(f"A message has more than {most} parts.")
            tag, position = data[position], position + 1  # most numbers have one byte
            if tag > 0x7F:
                tag, position = _varint(data, position - 1)
            kind = tag & 7
            piece: bytes | None = None
            if kind in (_BYTES, _VARINT):
                value, position = data[position], position + 1
                if value > 0x7F:
                    value, position = _varint(data, position - 1)
                if kind == _BYTES:
                    piece = data[position : position + value]
                    position += value
            elif kind in (_FIXED64, _FIXED32):
                position += 8 if kind == _FIXED64 else 4
            else:
                raise Malformed("The bytes are no message.")
            if position > end or tag < 8:
                raise Malformed("The bytes are no message.")
            yield tag >> 3, piece, position
    except IndexError:
        raise Malformed("The bytes are no message.") from None


def pieces(data: bytes, number: int, most: int) -> list[bytes]:
    """The bytes of each occurrence of field `number`, in order. Raises Malformed as `fields` does."""
    return [piece for found, piece, _ in fields(data, most) if found == number and piece is not None]


def split(data: bytes, number: int, most: int) -> tuple[list[bytes], bytes]:
    """The bytes of each occurrence of field `number`, and all the rest. Raises Malformed as `fields` does."""
    found: list[bytes] = []
    rest = bytearray()
    begin = 0
    for field, piece, end in fields(data, most):
        if field == number and piece is not None:
            found.append(piece)
        else:
            rest += data[begin:end]
        begin = end
    return found, bytes(rest)


def at_most(data: bytes, number: int, most: int) -> bool:
    """Whether field `number` (1 to 15) surely occurs at most `most` times; false when it may be more.

    Each occurrence begins with one of two bytes, and counting bytes costs next to nothing.
    """
    tag = number << 3 | _BYTES
    return data.count(tag) + data.count(tag | 0x80) <= most


def delimited(number: int, piece: bytes) -> bytes:
    """`piece` as one occurrence of field `number` (1 to 15)."""
    return bytes((number << 3 | _BYTES,)) + _written(len(piece)) + piece


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(data):
            break
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise Malformed("The bytes are no message.")


def _written(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
