"""Restoring: what is archived is brought back when its reader asks for it, and watched until it is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from math import inf
from typing import Any

from facility_agent.core.accounts import Accounts
from facility_agent.core.effects import Effect
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import Reader, RestorableCatalogue
from facility_agent.ports.store import OrderRow, RestoreRow, Store, Transaction
from shared.catalogue import ArchiveState, Dataset
from shared.errors import BackendUnavailable, NotFound, ParasolError, QuotaExceeded, RateLimited, Unsupported
from shared.restores import DatasetReport

log = logging.getLogger(__name__)
MOST = 1000
AT_ONCE = 4
WITHIN = 30.0
SELDOM = 300.0
FORGOTTEN = 14 * 86_400.0


class Restores:
    """Begins restores and watches them. `archive` is None where the facility's has no interface.

    `every` is the shortest pause between two looks at one dataset, in seconds; one that takes long is looked at less
    often, every five minutes at least. `clock` is this machine's POSIX time. At most `per_account` are
    under way that one account asked for.
    """

    def __init__(
        self, store: Store, accounts: Accounts, archive: RestorableCatalogue | None, rules: AccessRules,
        told: Callable[[DatasetReport], None], clock: Callable[[], float], every: float = 10.0, per_account: int = 20,
    ) -> None:  # fmt: skip
        self._store, self._accounts, self._archive, self._rules = store, accounts, archive, rules
        self._told, self._clock, self._every, self._most = told, clock, every, per_account
        self._rows: dict[str, RestoreRow] = {}
        self._next: dict[str, float] = {}
        self._wake = asyncio.Event()

    def seen(self, dataset: Dataset) -> Dataset:
        """A dataset as it is, though its catalogue may not know yet that it is on its way back."""
        on_its_way = dataset.state is ArchiveState.ARCHIVED and dataset.pid in self._rows
        return replace(dataset, state=ArchiveState.RESTORING) if on_its_way else dataset

    async def restoring(self, order: OrderRow, pid: str) -> Effect:
        """Have a dataset of the asker's brought back. A refusal asks the archive for nothing.

        Raises Unsupported, AccountNotLinked, NotFound, AccessDenied, IdentityRefused, QuotaExceeded, RateLimited,
        BackendUnavailable.
        """
        if self._archive is None:
            raise Unsupported(
                "This facility's archive cannot be asked from here; ask the facility to restore the data."
            )
        account = await self._accounts.account_of(order)
        reader = Reader(account, await self._rules.proposals(account))
        row = RestoreRow(pid, account.immutable_id, self._clock())
        state = await self._asked(row, self._archive.restore(pid, reader))
        report = DatasetReport(pid, state)

        def write(tx: Transaction) -> DatasetReport:
            if state is ArchiveState.RESTORING:
                tx.put_restore(row)
            return report

        def after() -> None:
            if state is ArchiveState.RESTORING:
                self._watch(row)
            self._told(report)
            self._wake.set()

        return Effect(write, after)

    async def _asked(self, row: RestoreRow, asking: Coroutine[Any, Any, ArchiveState]) -> ArchiveState:
        """What the archive says; meanwhile its place is taken, so that no number of orders at once passes the limits."""
        is_first = row.pid not in self._rows
        state = ArchiveState.UNKNOWN
        try:
            if is_first:
                self._require_room(row)
                self._rows[row.pid], self._next[row.pid] = row, inf
            async with asyncio.timeout(WITHIN):
                state = await asking
        except TimeoutError as error:
            raise BackendUnavailable("The facility's archive does not answer at the moment.") from error
        finally:
            asking.close()
            if is_first and state is not ArchiveState.RESTORING:
                self._forget(row.pid)
        return state

    def _require_room(self, row: RestoreRow) -> None:
        if len(self._rows) >= MOST:
            raise RateLimited(
                "So much is being restored here that nothing more can be asked for now; try again later."
            )
        if sum(other.immutable_id == row.immutable_id for other in self._rows.values()) >= self._most:
            raise QuotaExceeded(
                f"{self._most} datasets are being restored for you here already; wait until one of them is there.",
                metadata={"limit": str(self._most)},
            )

    def _forget(self, pid: str) -> None:
        self._rows.pop(pid, None)
        self._next.pop(pid, None)

    def _watch(self, row: RestoreRow) -> None:
        self._rows.setdefault(row.pid, row)
        self._next[row.pid] = 0.0

    async def recover(self) -> None:
        """Read what was being restored before a start. Raises BackendUnavailable."""
        for row in await self._store.transact(lambda tx: tx.restores()):
            self._watch(row)

    async def watch(self) -> None:
        """Until cancelled: look at what is on its way back."""
        while True:
            self._wake.clear()
            try:
                await self.look()
            except BackendUnavailable as error:
                log.warning("datasets that are being restored could not be looked at: %s", error.message)
            except Exception:  # an adapter's fault must not end the agent
                log.exception("datasets that are being restored could not be looked at")
            try:
                async with asyncio.timeout(self._every):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Look at each that is due. Raises BackendUnavailable when the store takes nothing."""
        now, slots = self._clock(), asyncio.Semaphore(AT_ONCE)
        due = [row for pid, row in self._rows.items() if self._next[pid] <= now]

        async def one(row: RestoreRow) -> None:
            async with slots:
                await self._look_at(row, now)

        for done in await asyncio.gather(*map(one, due), return_exceptions=True):
            if isinstance(done, BaseException):
                raise done

    async def _look_at(self, row: RestoreRow, now: float) -> None:
        age = max(0.0, now - row.asked_at)
        self._next[row.pid] = now + min(SELDOM, max(self._every, age / 10))
        state = await self._state(row.pid)
        if state is ArchiveState.RESTORING or (state is ArchiveState.UNKNOWN and age < FORGOTTEN):
            return
        await self._store.transact(lambda tx: tx.drop_restore(row.pid))
        self._forget(row.pid)
        log.info("a dataset that was being restored is %s now", state.value)
        self._told(DatasetReport(row.pid, state))

    async def _state(self, pid: str) -> ArchiveState:
        """What cannot be asked is unknown, and what does not exist any more is not on its way."""
        if self._archive is None:  # another catalogue is configured since
            return ArchiveState.ARCHIVED
        try:
            async with asyncio.timeout(WITHIN):
                return await self._archive.restore_state(pid)
        except NotFound:
            return ArchiveState.ARCHIVED
        except (ParasolError, TimeoutError) as error:
            log.warning("the archive does not say where a dataset is: %s", error)
            return ArchiveState.UNKNOWN
        except Exception:
            log.exception("the archive does not say where a dataset is")
            return ArchiveState.UNKNOWN
