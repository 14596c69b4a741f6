"""One request on its way to a workspace, and its answer on the way back; both streamed, neither as it came."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from facility_agent.gateway import heads
from facility_agent.gateway.bodies import LAST_CHUNK, BadBody, Body, Chunked, Endless, Sized, body_of, chunk
from facility_agent.gateway.headers import answer_head, request_head
from facility_agent.gateway.heads import AnswerHead, BadHead, RequestHead
from facility_agent.gateway.pipe import Pipe
from facility_agent.gateway.upstreams import Upstream, Upstreams
from facility_agent.ports.compute import Endpoint

if TYPE_CHECKING:
    from facility_agent.gateway.browser import Browser

log = logging.getLogger(__name__)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


class Exchange:
    """A `Passage` for one request. It ends by `browser.finished`, or by `browser.gone` before an answer has begun."""

    def __init__(
        self, browser: Browser, head: RequestHead, endpoint: Endpoint, scheme: str, pool: Upstreams
    ) -> None:
        self._browser, self._head, self._endpoint, self._pool = browser, head, endpoint, pool
        self._sent = request_head(head, endpoint.headers, scheme)
        self._body = body_of(head.length, head.chunked)
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._reused = False
        self._heard = b""
        self._answer: Body | None = None
        self._chunked = self._keep = self._alive = False

    # --- towards the workspace

    def begin(self) -> None:
        """Send the head, on a connection that waits or a new one."""
        waiting = self._pool.take(self._endpoint)
        if waiting is None:
            self._connect()
        else:
            self._reused = True
            self._attach(waiting)

    def _connect(self) -> None:
        self._reused = False
        self._browser.hold(held=True)
        self._connecting = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            upstream = await self._pool.connect(self._endpoint)
        except OSError:
            self._browser.gone(keep=self._may_go_on)
            return
        self._connecting = None
        self._attach(upstream)
        self._browser.hold(held=False)

    def _attach(self, upstream: Upstream) -> None:
        self._upstream, upstream.passage = upstream, self
        if self._browser.takes_no_more:
            upstream.transport.pause_reading()
        upstream.transport.write(self._sent)
        if self._body is not None and self._head.one(b"expect").lower() == "100-continue":
            self._browser.write(CONTINUE)
        self._browser.go_on()

    def from_browser(self, data: bytes) -> bytes:
        """The request's body."""
        if self._body is None or self._body.done or self._upstream is None:
            return data
        try:
            content, beyond = self._body.feed(data)
        except BadBody:
            self._leave()
            if self._answer is None:
                self._browser.refuse(BadHead(400, "BAD_REQUEST", "The request's body is malformed."))
            else:
                self._browser.abort()
            return b""
        if self._head.chunked:
            content = chunk(content) + (LAST_CHUNK if self._body.done else b"")
        self._upstream.transport.write(content)
        return beyond

    @property
    def wants_more(self) -> bool:
        """Whether the request's body is not complete yet."""
        return self._body is not None and not self._body.done

    @property
    def _may_go_on(self) -> bool:
        return self._head.keeps_alive and not self.wants_more

    # --- towards the browser

    def from_workspace(self, data: bytes) -> None:
        """The answer's head, then its body."""
        if self._answer is not None:
            self._pass(b"", data)
            return
        self._heard += data
        try:
            self._read_head()
        except BadHead as error:
            log.info("a workspace's answer is malformed: %s", error.message)
            self._leave()
            self._browser.gone(keep=self._may_go_on)

    def _read_head(self) -> None:
        while (found := heads.cut(self._heard)) is not None:
            answer = heads.parse_answer(found[0])
            self._heard = found[1]
            if answer.status == 101:
                self._upgraded(answer)
                return
            if answer.status >= 200:
                self._begin_answer(answer)
                return

    def _begin_answer(self, answer: AnswerHead) -> None:
        bare = self._head.method == "HEAD" or answer.status in (204, 304)
        endless = answer.length is None and not answer.chunked and not bare
        self._chunked = self._head.modern and not bare and (endless or answer.chunked)
        to_end = (endless or answer.chunked) and not bare and not self._head.modern
        self._keep, self._alive = self._head.keeps_alive and not to_end, answer.keeps_alive and not endless
        length = None if answer.status == 204 else answer.length
        if bare:
            self._answer = Sized(0)
        elif answer.chunked:
            self._answer = Chunked()
        else:
            self._answer = Endless() if answer.length is None else Sized(answer.length)
        first, self._heard = self._heard, b""
        self._pass(answer_head(answer, length=length, chunked=self._chunked, keep=self._keep), first)

    def _pass(self, head: bytes, data: bytes) -> None:
        assert self._answer is not None
        try:
            content, beyond = self._answer.feed(data) if data else (b"", b"")
        except BadBody:
            self._leave()
            self._browser.abort()
            return
        done = self._answer.done
        if self._chunked:
            content = chunk(content) + (LAST_CHUNK if done else b"")
        self._browser.write(head + content if head else content)
        if done:
            self._end(clean=not beyond)

    def _end(self, *, clean: bool) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None and clean and self._alive and not self.wants_more:
            self._pool.give(upstream)
        elif upstream is not None:
            upstream.passage = None
            upstream.transport.abort()
        self._browser.finished(keep=self._keep and not self.wants_more)

    def _upgraded(self, answer: AnswerHead) -> None:
        if not self._head.is_socket or self._upstream is None:
            raise BadHead(502, "BAD_UPGRADE", "It changed the protocol unasked.")
        upstream, self._upstream = self._upstream, None
        pipe = Pipe(self._browser, upstream)
        upstream.passage = pipe
        self._browser.write(answer_head(answer, length=None, chunked=False, keep=True))
        self._browser.become(pipe)
        if self._heard:
            pipe.from_workspace(self._heard)

    # --- endings

    def workspace_left(self, error: Exception | None) -> None:
        """An endless body is complete; a request that a closing connection may not have read is sent once more."""
        self._upstream = None
        if isinstance(self._answer, Endless) and error is None:
            if self._chunked:
                self._browser.write(LAST_CHUNK)
            self._browser.finished(keep=self._keep and not self.wants_more)
        elif self._answer is not None:
            self._browser.finished(keep=False)
        elif self._reused and not self._heard and self._body is None and self._head.method in _REPEATABLE:
            self._connect()
        else:
            self._browser.gone(keep=self._may_go_on)

    def browser_left(self) -> None:
        """Nobody waits for the answer any more."""
        self._leave()

    def end(self, code: int) -> None:
        """The door was shut; what was sent so far is cut off."""
        self._leave()
        self._browser.abort()

    def _leave(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        if self._upstream is not None:
            self._upstream.passage = None
            self._upstream.transport.abort()
            self._upstream = None

    def hold_browser(self, *, held: bool) -> None:
        """Back-pressure towards the browser."""
        self._browser.hold(held=held)

    def hold_workspace(self, *, held: bool) -> None:
        """Back-pressure towards the workspace."""
        if self._upstream is not None:
            if held:
                self._upstream.transport.pause_reading()
            else:
                self._upstream.transport.resume_reading()
