"""Starting and stopping: one task a workspace, which the compute backend may take its time for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.mounting import Shown, facts, shown
from facility_agent.core.offers import Offers
from facility_agent.core.reports import entered
from facility_agent.core.rows import Rows
from facility_agent.ports.compute import ComputeBackend, Mount, StartSpec, Task
from facility_agent.ports.directory import Account
from facility_agent.ports.moments import At, Moment
from facility_agent.ports.store import Vault, WorkspaceRow
from shared.errors import BackendError, BackendUnavailable, NotFound, ParasolError
from shared.workspaces import StepName, WorkspaceState

log = logging.getLogger(__name__)
T = TypeVar("T")
START_WITHIN = 600.0


class Runs:
    """Begins and ends runs, and knows which are being begun or ended. `wake` is called when there is news."""

    def __init__(
        self, rows: Rows, vault: Vault, accounts: Accounts, catalogue: Catalogue, compute: ComputeBackend,
        offers: Offers, clock: Callable[[], float], wake: Callable[[], None], at: At,
    ) -> None:  # fmt: skip
        self._rows, self._vault, self._accounts, self._catalogue = rows, vault, accounts, catalogue
        self._compute, self._offers, self._clock, self._wake, self._at = compute, offers, clock, wake, at
        self._starting: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, asyncio.Task[None]] = {}

    def busy(self, workspace_id: str) -> bool:
        """Whether a start or stop of it is under way."""
        return workspace_id in self._starting or workspace_id in self._stopping

    def starts(self, workspace_id: str) -> bool:
        """Whether a start of it is under way."""
        return workspace_id in self._starting

    async def mounts(self, proposals: tuple[str, ...], account: Account, dataset: str = "") -> Shown:
        """What to show in it. Raises ProposalDenied, NotFound, DataNotOnline, BackendUnavailable."""
        locations = await self._catalogue.locate(proposals, account, dataset)
        return shown(locations, proposals[0] if proposals else "")

    def begin(self, row: WorkspaceRow, mounts: tuple[Mount, ...], secret: str, account: Account) -> None:
        """Start what was just admitted."""
        self._task(self._starting, row.workspace_id, self._start(row, self._spec(row, mounts, secret), account))

    def begin_again(self, row: WorkspaceRow) -> None:
        """Start what was admitted by an earlier process and does not run; who may do what is asked anew."""
        self._task(self._starting, row.workspace_id, self._start_again(row))

    def end(
        self, workspace_id: str, reason: str = "", message: str = "",
        state: WorkspaceState = WorkspaceState.ENDED,
    ) -> None:  # fmt: skip
        """Stop it, unless that is under way. A failure leaves it as it is; the watcher tries again."""
        if workspace_id not in self._stopping:
            self._task(self._stopping, workspace_id, self._stop(workspace_id, state, reason, message))

    async def leave(self) -> None:
        """Leave everything as it is."""
        tasks = (*self._starting.values(), *self._stopping.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _task(self, group: dict[str, asyncio.Task[None]], workspace_id: str, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except BackendUnavailable as error:  # the store's word: what is true is found out by looking
                log.warning("workspace %s: %s", workspace_id, error.message)
            finally:
                del group[workspace_id]
                self._wake()

        group[workspace_id] = asyncio.create_task(run())

    def _spec(self, row: WorkspaceRow, mounts: tuple[Mount, ...], secret: str) -> StartSpec:
        offer, flavour = self._offers.environments[row.environment], self._offers.flavours[row.flavour]
        return StartSpec(
            row.workspace_id, row.environment, offer.command, flavour, mounts, row.lifetime_s, secret, offer.variables,
            offer.headers,
        )  # fmt: skip

    async def _start_again(self, row: WorkspaceRow) -> None:
        try:
            account = await self._accounts.owner_of(row)
            mounts = (await self.mounts(row.proposals, account)).mounts
            secret = self._vault.unseal(f"workspace {row.workspace_id}", row.secret).decode()
            if row.environment not in self._offers.environments or row.flavour not in self._offers.flavours:
                raise NotFound("The facility does not offer this environment any more.")
            spec = self._spec(row, mounts, secret)
        except BackendUnavailable as error:
            log.warning("workspace %s cannot be started yet: %s", row.workspace_id, error.message)
        except ParasolError as error:
            await self._rows.end(row.workspace_id, WorkspaceState.FAILED, error.reason, error.message)
        else:
            await self._start(row, spec, account)

    async def _with_facts(self, row: WorkspaceRow, spec: StartSpec, account: Account) -> StartSpec:
        """A task's spec with what the task is told. Raises as the catalogue does."""
        if not row.results:
            return spec
        files, whole = await self._catalogue.paths(row.dataset, account) if row.dataset else ([], True)
        environment = self._offers.environments[row.environment].environment
        said = facts(
            environment, row.workspace_id, row.proposals, spec.mounts, row.dataset, files, whole=whole
        )  # fmt: skip
        return replace(spec, task=Task(row.results, said))

    async def _start(self, row: WorkspaceRow, spec: StartSpec, account: Account) -> None:
        name = spec.workspace_id
        await self._rows.step(name, StepName.QUEUE)
        latest = self._rows.latest(name)
        if latest is None or latest.state is not WorkspaceState.STARTING:
            return  # stopped before it began
        try:
            async with asyncio.timeout(START_WITHIN):
                spec = await self._with_facts(row, spec, account)
                handle = await self._during(self._compute.start(spec, account))
        except BackendUnavailable as error:  # it may be there, or not: the watcher looks, and begins it again
            log.warning("workspace %s cannot be started yet: %s", name, error.message)
        except ParasolError as error:
            await self._rows.end(name, WorkspaceState.FAILED, error.reason, error.message)
        except TimeoutError:
            log.warning("workspace %s: the backend has not taken it within %d s", name, START_WITHIN)
        except Exception:
            log.exception("workspace %s could not be started", name)
            await self._rows.end(
                name, WorkspaceState.FAILED, BackendError.reason, "The facility could not start it."
            )
        else:
            self._at(Moment.AFTER_EFFECT)
            await self._rows.change(
                name, lambda row: replace(entered(row, StepName.START, self._clock()), handle=handle)
            )

    async def _stop(self, workspace_id: str, state: WorkspaceState, reason: str, message: str) -> None:
        starting = self._starting.get(workspace_id)
        if starting is not None:
            await asyncio.wait([starting])
        row = await self._rows.stored(workspace_id)
        if row is None or row.state.is_final:
            return
        try:
            handle = row.handle or (await self._compute.list_owned()).get(workspace_id)
            if handle:
                await self._during(self._compute.stop(handle))
        except ParasolError as error:
            log.warning("workspace %s could not be stopped yet: %s", workspace_id, error.message)
            return
        except Exception:
            log.exception("workspace %s could not be stopped yet", workspace_id)
            return
        self._at(Moment.AFTER_EFFECT)
        await self._rows.end(workspace_id, state, reason, message)

    async def _during(self, effect: Awaitable[T]) -> T:
        running = asyncio.ensure_future(effect)
        await asyncio.sleep(0)  # it has begun
        self._at(Moment.DURING_EFFECT)
        return await running
