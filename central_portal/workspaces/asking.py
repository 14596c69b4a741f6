"""Writing what people ask for: a workspace's row with its order. Synchronous, many at a time; needs a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from central_portal.link import orders
from central_portal.link.ports import NewOrder
from central_portal.workspaces import store
from central_portal.workspaces.logic import WorkspaceView, stop_asked
from shared.commands import Verb


@dataclass(frozen=True, slots=True)
class Launch:
    """A new workspace and the order for it; `online` when its facility is."""

    view: WorkspaceView
    order: NewOrder
    online: bool


def launch(asked: Sequence[Launch]) -> Sequence[None]:
    """Raises IntegrityError when an id was used before."""
    store.insert(item.view for item in asked)
    orders.insert((item.order, item.online) for item in asked)
    return [None] * len(asked)


@dataclass(frozen=True, slots=True)
class Stop:
    """The order to stop a workspace; `online` when its facility is."""

    order: NewOrder
    online: bool


def stop(asked: Sequence[Stop]) -> list[WorkspaceView | None]:
    """The workspaces as they are now; None where somebody was faster: the open order does it."""
    taken = orders.asked_about([item.order.workspace for item in asked], Verb.STOP)
    first: dict[str, Stop] = {}
    for item in asked:
        if item.order.workspace not in taken:
            first.setdefault(item.order.workspace, item)
    orders.insert((item.order, item.online) for item in first.values())
    done = store.change_all([(name, partial(_asked_to_stop, item.order)) for name, item in first.items()])
    views = {name: result[0] for name, result in zip(first, done, strict=True) if result is not None}
    return [views.get(item.order.workspace) if first.get(item.order.workspace) is item else None for item in asked]


def _asked_to_stop(order: NewOrder, row: WorkspaceView) -> WorkspaceView:
    return stop_asked(row, order.created_at)
