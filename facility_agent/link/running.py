"""The commands under way: each a task with its own time, bounded, answered once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from facility_agent.ports.link import Core
from shared.commands import ORDERS, Answer, Verb, refusal
from shared.errors import BackendError, DeadlineExceeded, InvalidRequest, ParasolError, RateLimited
from shared.link.outputs import CommandArrived
from shared.wire.commands import decode_body, encode_answer, verb_of
from shared.wire.gen.parasol.link.v1 import link_pb2 as pb

log = logging.getLogger(__name__)
Reply = Callable[[pb.Result], None]


class Running:
    """Carries out commands through the core, at most `at_once` at a time.

    A query is given up when its time is over or its session ends. An order is not: once the core has
    it, it runs to its end, and the core answers the same order again from its store.
    """

    def __init__(self, core: Core, at_once: int) -> None:
        self._core = core
        self._at_once = at_once
        self._slots = asyncio.Semaphore(at_once)
        self._queries: set[asyncio.Task[None]] = set()
        self._orders: set[asyncio.Task[Answer]] = set()

    def start(self, command: CommandArrived, reply: Reply) -> None:
        """Begins one command; `reply` is called once with its result unless the session ends first."""
        task = asyncio.create_task(self._answer(command, reply))
        self._queries.add(task)
        task.add_done_callback(self._queries.discard)

    def session_ended(self) -> None:
        """Gives up the queries: nobody waits for them any more."""
        for task in tuple(self._queries):
            task.cancel()

    async def stop(self) -> None:
        """Cancels everything and waits until it has ended."""
        tasks = (*self._queries, *self._orders)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, command: CommandArrived, reply: Reply) -> None:
        verb = verb_of(command.body)
        try:
            async with asyncio.timeout(command.timeout_s):
                async with self._slots:
                    answer = await self._handle(command, verb)
        except TimeoutError:
            answer = refusal(DeadlineExceeded())
        try:
            result = encode_answer(command.ticket, verb, answer)
        except (TypeError, ValueError):
            log.exception("An answer to %s cannot be sent.", verb)
            broken = BackendError("The facility's answer cannot be sent.")
            result = encode_answer(command.ticket, verb, refusal(broken))
        reply(result)

    async def _handle(self, command: CommandArrived, verb: Verb | None) -> Answer:
        if verb not in ORDERS:
            return await self._judge(command)
        if len(self._orders) >= self._at_once:
            return refusal(RateLimited())
        order = asyncio.create_task(self._judge(command))
        self._orders.add(order)
        order.add_done_callback(self._orders.discard)
        return await asyncio.shield(order)

    async def _judge(self, command: CommandArrived) -> Answer:
        if not command.grant_id and command.mac:
            return refusal(InvalidRequest("A command without a grant carries no MAC."))
        try:
            return await self._core.handle(command.body, command.grant_id, command.mac, decode_body)
        except Exception:  # a fault of ours must cost this one command, not the link
            log.exception("A command failed in the core.")
            return refusal(ParasolError())
