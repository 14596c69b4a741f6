"""What the result of an order means for the centre's rows. Synchronous; needs a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from central_portal.facilities.fence import fence
from central_portal.identity import store as identity
from central_portal.link import orders
from central_portal.link.ports import OrderAnswer, OrderStanding
from central_portal.workspaces import store
from central_portal.workspaces.logic import NEVER_SENT, WorkspaceView, failed, fold, refused, stop_refused
from shared.commands import Answer, Problem, Verb
from shared.facilities import Outcome
from shared.identity import LinkState
from shared.workspaces import WorkspaceReport

SILENT = Problem("BACKEND_FAILED", "The facility did not say why.")


@dataclass
class Settled:
    """What was written: the orders that may be acknowledged or told of, and the workspaces that changed.

    `ended` has verb and outcome of each order that ended now.
    """

    orders: list[str] = field(default_factory=list)
    changed: list[WorkspaceView] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)


def settle(facility_id: str, epoch: int, answers: Sequence[OrderAnswer], now: float) -> Settled:
    """Write these results. Raises Overtaken, and then nothing is written."""
    fence(facility_id, epoch)
    done = Settled()
    for answered in answers:
        done.orders.append(answered.order_id)
        standing = orders.take_open(answered.order_id, facility_id)
        if standing is None:
            continue  # settled before, or none of ours: the agent need not say it again
        answer = answered.read(standing.verb)
        orders.settle(standing.id, answer, epoch, now)
        done.ended.append((standing.verb.value, answer.outcome.value))
        done.changed += mean(facility_id, standing, answer, now)
    return done


def expire(now: float) -> Settled:
    """End the launches that waited for their facility longer than they live."""
    done = Settled(orders.expire(now))
    done.ended += [(Verb.LAUNCH.value, "EXPIRED")] * len(done.orders)
    for order_id in done.orders:
        done.changed += store.changed(order_id, lambda row: failed(row, NEVER_SENT, now))
    return done


def mean(facility_id: str, order: OrderStanding, answer: Answer, now: float) -> Iterable[WorkspaceView]:
    """Write what the answer to an order means; the workspaces that changed."""
    if answer.outcome is Outcome.NOT_LINKED or (order.verb is Verb.UNLINK and answer.outcome is Outcome.OK):
        identity.learn_link(order.person, facility_id, LinkState.NOT_LINKED, now)
        identity.drop_grants(order.person, facility_id)
    elif answer.outcome is Outcome.SIGN_IN_NEEDED:
        identity.drop_dead_grant(facility_id, order.grant_id)
    if not order.workspace:
        return ()
    report, problem = answer.payload, answer.problem or SILENT

    def decide(row: WorkspaceView) -> WorkspaceView:
        if isinstance(report, WorkspaceReport) and report.workspace_id == row.id:
            return fold(row, report, now)
        if order.verb is Verb.LAUNCH:
            return refused(row, problem, now)
        return stop_refused(row, now)

    return store.changed(order.workspace, decide)
