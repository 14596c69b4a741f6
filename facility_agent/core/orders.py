"""The life of an order: judged, stored, accepted, carried out once, its result kept until the centre has it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from facility_agent.core.effects import REPEATS, Effect, Repeat
from facility_agent.core.grants import Grants, order_hash
from facility_agent.core.life import Life
from facility_agent.core.means import Means
from facility_agent.ports.link import AskedOrder, OrderCodec, WaitingResult
from facility_agent.ports.meters import Meters, NoMeters
from facility_agent.ports.moments import At, Moment, nothing
from facility_agent.ports.store import GrantRow, OrderCounts, OrderRow, Store, Transaction, is_unsure
from shared.commands import ORDERS, Answer, Command, refusal
from shared.errors import BackendError, BackendUnavailable, Conflict, InvalidRequest, ParasolError
from shared.facilities import Outcome
from shared.limits import LIMITS

log = logging.getLogger(__name__)
AT_ONCE = 256
FORGET_EVERY = 3600.0
FORGET_AT_ONCE = 500


class Orders:
    """Implements `ports.link.OrderDesk`. `clock` is this machine's POSIX time; `pause` lies between two tries."""

    def __init__(
        self, store: Store, grants: Grants, means: Means, codec: OrderCodec, clock: Callable[[], float],
        meters: Meters | None = None, at: At = nothing, pause: float = 2.0,
    ) -> None:  # fmt: skip
        self._store, self._grants, self._means, self._codec, self._clock = store, grants, means, codec, clock
        self._meters, self._at, self._pause = meters or NoMeters(), at, pause
        self._lives: dict[str, Life] = {}
        self._listeners: set[Callable[[WaitingResult], None]] = set()

    # --- ports.link.OrderDesk

    async def take(self, asked: AskedOrder, accepted: Callable[[], None]) -> bytes | None:
        """Carry out an order once, however often it comes."""
        key = order_hash(asked.body, asked.grant_id, asked.mac) + asked.order_id
        life = self._lives.get(key)
        if life is None:
            if len(self._lives) >= AT_ONCE:
                return None  # neither accepted nor refused: it comes again
            life = self._begin(key, lambda life: self._judge(asked, life))
        life.join(accepted)
        assert life.task is not None
        return await asyncio.shield(life.task)

    async def waiting(self, after: WaitingResult | None, most: int) -> Sequence[WaitingResult]:
        """Results that the centre has not acknowledged."""
        place = (after.settled_at, after.order_id) if after else (0.0, "")
        rows = await self._store.transact(lambda tx: tx.unacknowledged(place, most))
        return [_waiting(row) for row in rows]

    async def known(self, order_id: str) -> WaitingResult | None:
        """What is stored of an order."""
        row = await self._store.transact(lambda tx: tx.order(order_id))
        return _waiting(row) if row else None

    async def acknowledge(self, order_ids: Sequence[str]) -> None:
        """The centre has these results."""
        self._at(Moment.BEFORE_ACKNOWLEDGED)
        await self._store.transact(lambda tx: tx.acknowledge(order_ids, self._clock()))

    async def raise_floor(self, epoch: int) -> int:
        """Act in no session below `epoch` any more."""

        def work(tx: Transaction) -> int:
            tx.raise_floor(epoch)
            return tx.floor()

        return await self._store.transact(work)

    def on_settled(self, listener: Callable[[WaitingResult], None]) -> Callable[[], None]:
        """Call `listener` with each order that is settled."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    # --- from its arrival to its result

    def _begin(self, key: str, work: Callable[[Life], Awaitable[bytes | None]]) -> Life:
        async def live() -> bytes | None:
            return await work(life)

        life = self._lives[key] = Life()
        life.task = asyncio.create_task(live())
        life.task.add_done_callback(lambda _: self._lives.pop(key, None))
        return life

    async def _judge(self, asked: AskedOrder, life: Life) -> bytes | None:
        """Until it is certain whether the order is stored: a disk that fails in a commit leaves that open."""
        while True:
            try:
                return await self._answer(asked, life)
            except ParasolError as error:
                if not is_unsure(error):
                    return self._refused(asked.order_id, error)
            except Exception:  # noqa: BLE001 (a fault of ours costs this one order)
                return self._refused(asked.order_id, _fault())
            await asyncio.sleep(self._pause)

    async def _answer(self, asked: AskedOrder, life: Life) -> bytes | None:
        def look(tx: Transaction) -> tuple[OrderRow | None, GrantRow | None]:
            return tx.order(asked.order_id), tx.grant(asked.grant_id)

        row, grant = await self._store.transact(look)
        if row is None:
            row, command = await self._accept(asked, grant)
            life.accept()
            return await self._carry_out(row, command)
        if row.order_hash != order_hash(asked.body, asked.grant_id, asked.mac):
            raise Conflict
        self._meters.duplicate(row.verb.value)
        life.accept()
        return row.result if row.settled_at is not None else await self._resume(row)

    async def _accept(self, asked: AskedOrder, grant: GrantRow | None) -> tuple[OrderRow, Command]:
        proven = self._grants.proven(grant, asked.body, asked.mac)
        command = self._codec(asked.body)
        if command.verb not in ORDERS or command.command_id != asked.order_id:
            raise InvalidRequest("This is no order, or goes under another id.")
        row = OrderRow(
            asked.order_id, asked.grant_id, order_hash(asked.body, asked.grant_id, asked.mac), command.verb,
            proven.subject, proven.generation, asked.body, b"", self._clock(),
        )  # fmt: skip

        def work(tx: Transaction) -> None:
            self._grants.hold(tx, proven)
            _unused(tx, asked.order_id)
            tx.accept_order(row)

        try:
            self._grants.admit(proven, command)
            self._at(Moment.BEFORE_STORE)
            await self._store.transact(work)
        except (BackendUnavailable, Conflict):
            raise
        except ParasolError as error:
            await self._remember(row, error)
            raise
        self._at(Moment.AFTER_STORE)
        return row, command

    async def _remember(self, row: OrderRow, error: ParasolError) -> None:
        """Store the refusal of an order that its person did give: brought once more, by whomever, it has no effect."""

        def work(tx: Transaction) -> None:
            _unused(tx, row.order_id)
            tx.accept_order(replace(row, body=b""))
            tx.settle_order(
                row.order_id, self._codec.encode(row.order_id, row.verb, refusal(error)), self._clock()
            )

        await self._store.transact(work)

    async def _resume(self, row: OrderRow) -> bytes | None:
        """Carry out what may have been begun before: by its class, only once the facility's systems were read."""
        try:
            if REPEATS[row.verb] is Repeat.PROBED:
                await self._means.probe()
        except ParasolError as error:
            log.warning("order %s waits until the facility's systems can be read: %s", row.order_id, error.message)
            return None
        return await self._carry_out(row, self._codec(row.body))

    async def _carry_out(self, row: OrderRow, command: Command) -> bytes | None:
        """The result, None while the store does not take it: then the order stays open and is tried again."""
        self._at(Moment.BEFORE_EFFECT)
        try:
            outcome: Effect | ParasolError = await self._means.prepare(row, command)
        except ParasolError as error:
            outcome = error
        except Exception:  # noqa: BLE001 (a fault of ours costs this one order)
            outcome = _fault()
        try:
            result = await self._settle(row, outcome)
        except BackendUnavailable:
            log.warning("the result of order %s cannot be stored yet", row.order_id)
            return None
        self._at(Moment.BEFORE_RESULT)
        for listener in tuple(self._listeners):
            listener(WaitingResult(row.order_id, self._clock(), result, row.verb, row.subject))
        return result

    async def _settle(self, row: OrderRow, outcome: Effect | ParasolError) -> bytes:
        """Store what became of it. Raises BackendUnavailable while the store takes nothing."""

        def work(tx: Transaction) -> tuple[Answer, bytes]:
            answer = (
                refusal(outcome) if isinstance(outcome, ParasolError) else Answer(Outcome.OK, outcome.write(tx))
            )
            result = self._codec.encode(row.order_id, row.verb, answer)
            tx.settle_order(row.order_id, result, self._clock())
            return answer, result

        try:
            answer, result = await self._store.transact(work)
        except BackendUnavailable:
            raise
        except ParasolError as error:
            return await self._settle(row, error)
        except Exception:  # noqa: BLE001 (a fault of ours costs this one order)
            return await self._settle(row, _fault())
        if isinstance(outcome, Effect):
            outcome.after()
        self._meters.order(row.verb.value, answer.outcome.value)
        log.info("order %s (%s) is settled: %s", row.order_id, row.verb.value, answer.outcome.value)
        return result

    def _refused(self, order_id: str, error: ParasolError) -> bytes:
        """A refusal; one of what nobody gave, or what the store did not take, is judged again when it comes again."""
        answer = refusal(error)
        self._meters.order("", answer.outcome.value)
        return self._codec.encode(order_id, None, answer)

    # --- what goes on without anybody asking

    async def watch(self) -> None:
        """Until cancelled: carry out what was accepted and has no result, and forget what is old."""
        forget_at, loop = 0.0, asyncio.get_running_loop()
        while True:
            with suppress(BackendUnavailable):
                await self.resume()
                if loop.time() >= forget_at:
                    await self.forget()
                    forget_at = loop.time() + FORGET_EVERY
            await asyncio.sleep(self._pause)

    async def resume(self) -> None:
        """Begin each order that is accepted, has no result and is not under way."""
        for row in await self._store.transact(lambda tx: tx.open_orders()):
            key = row.order_hash + row.order_id
            if key not in self._lives:
                self._begin(key, lambda life, row=row: self._again(row, life))  # type: ignore[misc]

    async def _again(self, row: OrderRow, life: Life) -> bytes | None:
        life.accept()
        try:
            return await self._resume(row)
        except ParasolError as error:  # its body cannot be read by this version
            return await self._settle(row, error)

    async def forget(self) -> None:
        """Delete orders that were acknowledged long ago; bounded, so that nobody waits for it."""

        def work(tx: Transaction) -> int:
            gone = tx.forget(self._clock() - LIMITS.order_memory, FORGET_AT_ONCE)
            self._at(Moment.DURING_GC)
            return gone

        while await self._store.transact(work) >= FORGET_AT_ONCE:
            pass

    async def counts(self) -> OrderCounts:
        """What waits, for people. Raises BackendUnavailable."""
        return await self._store.transact(lambda tx: tx.order_counts())

    async def stop(self) -> None:
        """Leave everything as it is; the next start goes on."""
        tasks = [life.task for life in self._lives.values() if life.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _waiting(row: OrderRow) -> WaitingResult:
    return WaitingResult(row.order_id, row.settled_at or 0.0, row.result, row.verb, row.subject)


def _unused(tx: Transaction, order_id: str) -> None:
    """Raises Conflict when an order or a query has had this id."""
    if tx.order(order_id) is not None or tx.seen(order_id) is not None:
        raise Conflict


def _fault() -> BackendError:
    reference = uuid.uuid4().hex[:12]
    log.exception("an order failed, reference %s", reference)
    return BackendError(
        f"A system at the facility failed; reference {reference}.", metadata={"reference": reference}
    )
