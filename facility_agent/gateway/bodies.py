"""Where a message's body ends. Pure: bytes in, content and what lies beyond out."""

from __future__ import annotations

from typing import Protocol

import httptools

LAST_CHUNK = b"0\r\n\r\n"
_ANY_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class BadBody(Exception):
    """The body's framing is broken: nothing after it can be trusted."""


class Body(Protocol):
    """Reads one body; `done` when it is complete."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(content of this body, bytes beyond it). Raises BadBody."""
        ...


class Sized:
    """A body of so many bytes."""

    __slots__ = ("_left", "done")

    def __init__(self, length: int) -> None:
        self._left, self.done = length, length == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Passes on what is left of it."""
        size = len(data)
        if size <= self._left:
            self._left -= size
            self.done = not self._left
            return data, b""
        content, beyond = data[: self._left], data[self._left :]
        self._left, self.done = 0, True
        return content, beyond


class Endless:
    """A body that ends with its connection."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """All of it."""
        return data, b""


class Chunked:
    """A chunked body, decoded strictly; its trailers are dropped.

    Bytes beyond its end are not given back but make it broken: who sends a chunked body waits for the answer.
    """

    __slots__ = ("_beyond", "_content", "_parser", "done")

    def __init__(self) -> None:
        self._content: list[bytes] = []
        self.done = self._beyond = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(_ANY_HEAD)

    def on_message_begin(self) -> None:
        """Called back by httptools."""
        self._beyond = self.done

    def on_body(self, data: bytes) -> None:
        """Called back by httptools."""
        self._content.append(data)

    def on_message_complete(self) -> None:
        """Called back by httptools."""
        self.done = True

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """The content of its chunks."""
        if self.done and data:
            raise BadBody
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadBody from error
        if self._beyond:
            raise BadBody
        content = b"".join(self._content)
        self._content.clear()
        return content, b""


def chunk(content: bytes) -> bytes:
    """Content as one chunk; nothing for nothing, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(content), content) if content else b""


def body_of(length: int | None, chunked: bool) -> Body | None:
    """The reader of a request's body, None when it has none."""
    if chunked:
        return Chunked()
    return Sized(length) if length else None
