"""What each order is carried out by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from facility_agent.core.accounts import Accounts
from facility_agent.core.effects import Effect
from facility_agent.core.restores import Restores
from facility_agent.core.workspaces import Workspaces
from facility_agent.ports.store import OrderRow
from shared.commands import Command, Restore, Stop, Unlink
from shared.errors import InvalidRequest
from shared.workspaces import LaunchRequest


@dataclass(frozen=True, slots=True)
class Means:
    """`prepare` gives the effect of one order, `probe` returns once the facility's own systems were read.

    Both raise a ParasolError: after one of `prepare` the order is refused for good, after one of `probe` it waits.
    """

    prepare: Callable[[OrderRow, Command], Awaitable[Effect]]
    probe: Callable[[], Awaitable[None]]


def means(accounts: Accounts, workspaces: Workspaces, restores: Restores | None = None) -> Means:
    """By these parts of the core; without `restores` nothing can be restored."""

    async def prepare(order: OrderRow, command: Command) -> Effect:
        match command.parameters:
            case LaunchRequest() as request:
                return await workspaces.launching(order, request)
            case Stop(workspace_id):
                return workspaces.stopping(order, workspace_id)
            case Restore(pid) if restores is not None:
                return await restores.restoring(order, pid)
            case Unlink():
                return accounts.unlinking(order)
        raise InvalidRequest(f"{command.verb.value} is no order.")

    return Means(prepare, workspaces.probed)
