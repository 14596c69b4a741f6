"""One browser's connection: request heads in, one passage at a time, answers out. Every wait has an end."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from typing import TYPE_CHECKING

from starlette.responses import Response

from facility_agent.gateway import heads
from facility_agent.gateway.exchange import Exchange
from facility_agent.gateway.headers import own_answer
from facility_agent.gateway.heads import BadHead, RequestHead
from facility_agent.gateway.pipe import Pipe
from facility_agent.gateway.upstreams import BUFFER, Passage
from facility_agent.gateway.workspaces import Admitted
from shared.door import Refusal, judge, refusal_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from facility_agent.gateway.front import Front, Listener

log = logging.getLogger(__name__)
HEAD_S, IDLE_S, BODY_S, STUCK_S, LINGER_S = 10.0, 75.0, 60.0, 120.0, 3.0
SIGNED_OUT, RESTARTING = 4401, 1012


class Browser(asyncio.Protocol):
    """Serves workspaces itself; a request for the gateway's own pages takes the connection along to uvicorn."""

    def __init__(self, front: Front, listener: Listener) -> None:
        self._front, self._listener = front, listener
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._buffer, self._inside = b"", ""
        self._head: RequestHead | None = None
        self._passage: Passage | None = None
        self._deciding: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._held = self._closing = self._last = self._was_cut = False
        self._reading = True
        self.takes_no_more = False
        self.deadline = math.inf

    # --- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A browser, or a server in front of us."""
        self._transport = transport
        transport.set_write_buffer_limits(BUFFER)
        self._listener.add(self)
        self._front.browsers.add(self)
        self._wait(HEAD_S)
        if len(self._front.browsers) > self._front.most:
            self.refuse(BadHead(503, "RATE_LIMITED", "Too many connections at once; try again shortly."))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, and with it what went on."""
        self._listener.discard(self)
        self._front.browsers.discard(self)
        if self._deciding is not None:
            self._deciding.cancel()
        passage = self._forget()
        if passage is not None:
            passage.browser_left()

    def data_received(self, data: bytes) -> None:
        """To the passage, or part of a next head."""
        if self._closing:
            return
        if self._passage is not None:
            self._buffer += self._pass_on(self._passage, data)
            self._after_body()
        else:
            if not self._buffer and self._deciding is None:
                self._wait(HEAD_S)
            self._buffer += data
            self._read_heads()
        if len(self._buffer) > heads.LIMIT:
            self._flow()

    def pause_writing(self) -> None:
        """The browser reads more slowly than the workspace answers."""
        self.takes_no_more = True
        self._wait(STUCK_S)
        if self._passage is not None:
            self._passage.hold_workspace(held=True)

    def resume_writing(self) -> None:
        """It has caught up."""
        self.takes_no_more = False
        if self._passage is not None:
            self._after_body()
            self._passage.hold_workspace(held=False)
        elif not self._closing:
            self._wait(IDLE_S)

    def shutdown(self) -> None:
        """The gateway is stopping: what goes on may end, WebSockets are told to come back."""
        self._last = True
        if isinstance(self._passage, Pipe):
            self._passage.end(RESTARTING)
        elif self._passage is None and self._deciding is None:
            self._transport.close()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._passage is None and self._buffer and not self._closing:
            self.refuse(BadHead(408, "REQUEST_TIMEOUT", "The request did not arrive in time."))
        else:
            self.abort()

    def _wait(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    def _after_body(self) -> None:
        if not self.takes_no_more and self._passage is not None:
            self._wait(STUCK_S if self._held else BODY_S if self._passage.wants_more else math.inf)

    def _flow(self) -> None:
        wanted = not self._held and len(self._buffer) <= heads.LIMIT
        if wanted is not self._reading:
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    # --- requests

    def _read_heads(self) -> None:
        while self._buffer and self._passage is None and self._deciding is None and not self._closing:
            try:
                found = heads.cut(self._buffer)
                if found is None:
                    return
                head, self._buffer = heads.parse_request(found[0]), found[1]
            except BadHead as error:
                self.refuse(error)
                return
            self._serve(head)

    def _serve(self, head: RequestHead) -> None:
        self._head = head
        site, workspace_id = self._front.place_of(head.one(b"host").lower())
        scope = {"type": "websocket" if head.is_socket else "http", "path": head.path, "method": head.method}
        refusal = judge(scope, head.fields, site)
        if refusal is not None:
            self._refuse(refusal)
        elif workspace_id:
            admitted = self._front.doors.known(workspace_id, head)
            if admitted is not None:
                self._enter(head, admitted)
            else:
                self._wait(math.inf)
                self._deciding = self._loop.create_task(self._decide(workspace_id, head))
        elif head.is_socket:
            self._refuse(Refusal(404, "NOT_FOUND", "There is no WebSocket here."))
        else:
            self._lend(head)

    def _lend(self, head: RequestHead) -> None:
        self._closing, follows, self._buffer = True, self._buffer, b""
        self._flow()
        self._front.browsers.discard(self)
        self._listener.take_over(self, self._transport, head, follows)

    async def _decide(self, workspace_id: str, head: RequestHead) -> None:
        try:
            found = await self._front.doors.decide(workspace_id, head)
        except Exception:
            log.exception("a workspace's door failed")
            found = Response(status_code=500)
        self._deciding = None
        if isinstance(found, Admitted):
            self._enter(head, found)
        else:
            self._say(found, keep=head.keeps_alive and not head.has_body)
        self._read_heads()
        self._flow()

    def _enter(self, head: RequestHead, admitted: Admitted) -> None:
        front = self._front
        exchange = Exchange(self, head, admitted.endpoint, front.scheme, front.upstreams)
        self._passage, self._inside = exchange, admitted.workspace_id
        self._unsubscribe = front.doors.on_cut(admitted, self._cut)
        self._wait(math.inf)
        exchange.begin()

    def _cut(self) -> None:
        self._was_cut = True
        if self._passage is not None:
            self._passage.end(SIGNED_OUT)

    def _pass_on(self, passage: Passage, data: bytes) -> bytes:
        rest = passage.from_browser(data)
        self._front.traffic.sent(self._inside, len(data) - len(rest))
        return rest

    # --- what a passage asks for

    def write(self, data: bytes) -> None:
        """To the browser."""
        if data:
            self._front.traffic.received(self._inside, len(data))
            self._transport.write(data)

    def hold(self, *, held: bool) -> None:
        """Read no more of the browser for now, or again."""
        self._held = held
        self._flow()
        self._after_body()

    def go_on(self) -> None:
        """The passage takes what has come already."""
        if self._passage is not None and self._buffer:
            data, self._buffer = self._buffer, b""
            self._buffer = self._pass_on(self._passage, data) + self._buffer
            self._flow()
        self._after_body()

    def become(self, pipe: Pipe) -> None:
        """The request has become a WebSocket."""
        self._passage = pipe
        connection = self._transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.go_on()

    def finished(self, *, keep: bool) -> None:
        """The answer is complete; another request may follow if `keep`."""
        self._forget()
        if not keep or self._last:
            self._finish()
            return
        self._held = False
        self._wait(STUCK_S if self.takes_no_more else HEAD_S if self._buffer else IDLE_S)
        self._read_heads()
        self._flow()

    def gone(self, *, keep: bool) -> None:
        """The workspace does not answer."""
        self._forget()
        self._say(self._front.doors.gone(), keep=keep)
        self._read_heads()

    def refuse(self, error: BadHead) -> None:
        """What cannot be read is not followed by anything that can."""
        self._forget()
        self._refuse(Refusal(error.status, error.reason, error.message), keep=False)

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _forget(self) -> Passage | None:
        passage, self._passage = self._passage, None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        return passage

    # --- our own answers

    def _refuse(self, refusal: Refusal, *, keep: bool = True) -> None:
        headers, body = refusal_answer(refusal)
        head = self._head
        keep = keep and head is not None and head.keeps_alive and not head.has_body
        self._tell(own_answer(refusal.status, headers, body, head=head, keep=keep), keep=keep)

    def _say(self, response: Response, *, keep: bool) -> None:
        body = bytes(response.body)
        answer = own_answer(response.status_code, response.raw_headers, body, head=self._head, keep=keep)
        self._tell(answer, keep=keep)

    def _tell(self, answer: bytes, *, keep: bool) -> None:
        self._transport.write(answer)
        if keep and not self._last:
            self._held = False
            self._flow()
            self._wait(HEAD_S if self._buffer else IDLE_S)
        else:
            self._finish()

    def _finish(self) -> None:
        """Nothing more is sent; what still arrives is not looked at, so that the last answer is not lost to a reset."""
        self._closing, self._held, self._buffer = True, False, b""
        if self._transport.is_closing():
            return
        self._flow()
        unread = self._transport.get_write_buffer_size() and not self._was_cut
        self._wait(STUCK_S if unread else LINGER_S)
        self._transport.write_eof()
