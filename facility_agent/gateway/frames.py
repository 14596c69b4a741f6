"""Where WebSocket frames begin and end in a stream of bytes, so that a pipe can be closed between two of them. Pure."""

from __future__ import annotations


class Frames:
    """Follows the frames of one direction without looking at their content."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._left, self._head = 0, b""

    @property
    def at_edge(self) -> bool:
        """Whether the next byte begins a frame."""
        return not self._left and not self._head

    def feed(self, data: bytes) -> int:
        """Move on by these bytes; how many of them lie before the first edge among or after them, -1 without one."""
        held, size = len(self._head), len(data)
        if self._left:
            at = self._left
        else:
            at, data = 0, self._head + data
            size += held
        first = at if 0 < at <= size else -1
        self._left, self._head = 0, b""
        while at < size:
            whole = _size(data, at)
            if whole is None:
                self._head = data[at:]
                return first if first < 0 else first - held
            at += whole
            if first < 0 and at <= size:
                first = at
        self._left = at - size
        return first if first < 0 else first - held


def _size(data: bytes, at: int) -> int | None:
    """Bytes of the frame that begins at `at`, header included; None when its header is not complete."""
    if len(data) < at + 2:
        return None
    length, mask = data[at + 1] & 0x7F, 4 if data[at + 1] & 0x80 else 0
    if length < 126:
        return 2 + mask + length
    wide = 2 if length == 126 else 8
    if len(data) < at + 2 + wide:
        return None
    return 2 + wide + mask + int.from_bytes(data[at + 2 : at + 2 + wide], "big")


def close_frame(code: int) -> bytes:
    """A server's close frame."""
    return b"\x88\x02" + code.to_bytes(2, "big")
