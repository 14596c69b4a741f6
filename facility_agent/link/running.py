"""The queries under way in one session: each a task with its own time, bounded, answered once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from facility_agent.link.leaving import Leaving
from facility_agent.ports.link import Core
from shared import trace
from shared.commands import Answer, refusal
from shared.errors import BackendError, DeadlineExceeded, InvalidRequest, ParasolError
from shared.identity import Subject
from shared.link.outputs import CommandArrived
from shared.wire.commands import decode_body, encode_answer, verb_of
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

log = logging.getLogger(__name__)
_LATER = 0.05  # the centre's own deadline comes first: only it knows that it has stopped waiting
Reply = Callable[[pb.Result], Awaitable[None]]


class Running:
    """Carries out queries through the core; `slots` bounds how many at a time, whatever session they came in.

    A query is given up when its time is over or its session ends: nobody waits for it any more.
    """

    def __init__(self, core: Core, slots: asyncio.Semaphore, leaving: Leaving) -> None:
        self._core, self._slots, self._leaving = core, slots, leaving
        self._queries: set[asyncio.Task[None]] = set()

    def start(self, command: CommandArrived, reply: Reply) -> None:
        """Begins one query; `reply` is called once with its result unless the session ends first."""
        task = asyncio.create_task(self._answer(command, reply))
        self._queries.add(task)
        task.add_done_callback(self._queries.discard)

    async def stop(self) -> None:
        """Gives up what is under way, and waits until it has ended."""
        for task in tuple(self._queries):
            task.cancel()
        await asyncio.gather(*self._queries, return_exceptions=True)

    async def _answer(self, command: CommandArrived, reply: Reply) -> None:
        trace.enter(command.traceparent)
        verb = verb_of(command.body)
        log.debug("A query arrived: %s", verb)
        asker: list[Subject] = []
        try:
            async with asyncio.timeout(command.timeout_s + _LATER), self._slots:
                answer = await self._judge(command, asker.append)
        except TimeoutError:
            answer = refusal(DeadlineExceeded())
        try:
            result = encode_answer(command.ticket, verb, answer)
        except (TypeError, ValueError):
            log.exception("An answer to %s cannot be sent.", verb)
            broken = BackendError("The facility's answer cannot be sent.")
            result = encode_answer(command.ticket, verb, refusal(broken))
        await reply(await self._leaving.answer(verb, asker[0] if asker else None, result))

    async def _judge(self, command: CommandArrived, proven: Callable[[Subject], None]) -> Answer:
        if not command.grant_id and command.mac:
            return refusal(InvalidRequest("A command without a grant carries no MAC."))
        try:
            return await self._core.handle(command.body, command.grant_id, command.mac, decode_body, proven)
        except Exception:  # a fault of ours must cost this one command, not the link
            log.exception("A command failed in the core.")
            return refusal(ParasolError())
