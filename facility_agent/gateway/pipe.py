"""A WebSocket after both sides agreed to it: bytes both ways, until one side leaves or the door is shut."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from facility_agent.gateway.frames import Frames, close_frame
from facility_agent.gateway.upstreams import Upstream

if TYPE_CHECKING:
    from facility_agent.gateway.browser import Browser

EDGE_S = 1.0


class Pipe:
    """A `Passage`. What the workspace sends is followed frame by frame, so that a close frame can be put between two."""

    def __init__(self, browser: Browser, upstream: Upstream) -> None:
        self._browser, self._upstream = browser, upstream
        self._frames = Frames()
        self._code = 0
        self._late: asyncio.TimerHandle | None = None

    @property
    def wants_more(self) -> bool:
        """Nobody owes anything."""
        return False

    def from_browser(self, data: bytes) -> bytes:
        """To the workspace, unless this is ending."""
        if not self._code:
            self._upstream.transport.write(data)
        return b""

    def from_workspace(self, data: bytes) -> None:
        """To the browser; the rest of a frame only, when this is ending."""
        edge = self._frames.feed(data)
        if not self._code or edge < 0:
            self._browser.write(data)
        else:
            self._browser.write(data[:edge])
            self._close()

    def browser_left(self) -> None:
        """So does the workspace's connection."""
        self._stop_waiting()
        self._upstream.leave()

    def workspace_left(self, error: Exception | None) -> None:
        """So does the browser's, after what was sent."""
        self._stop_waiting()
        self._browser.finished(keep=False)

    def hold_browser(self, *, held: bool) -> None:
        """Back-pressure towards the browser."""
        self._browser.hold(held=held)

    def hold_workspace(self, *, held: bool) -> None:
        """Back-pressure towards the workspace."""
        if held:
            self._upstream.transport.pause_reading()
        else:
            self._upstream.transport.resume_reading()

    def end(self, code: int) -> None:
        """Nothing more goes to the workspace from now on; the browser is told `code`, within a second."""
        if self._code:
            return
        self._code = code
        if self._frames.at_edge:
            self._close()
        else:
            self._late = asyncio.get_running_loop().call_later(EDGE_S, self._abort)

    def _close(self) -> None:
        self._stop_waiting()
        self._browser.write(close_frame(self._code))
        self._upstream.passage = None
        self._upstream.transport.abort()
        self._browser.finished(keep=False)

    def _abort(self) -> None:
        self._browser.abort()

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
