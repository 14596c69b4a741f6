"""What the result of an order means for the centre's rows. Synchronous; needs a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from central_portal.facilities.fence import fence_all
from central_portal.identity import store as identity
from central_portal.link import orders
from central_portal.link.ports import OrderAnswer, OrderStanding, OrderState
from central_portal.workspaces import store
from central_portal.workspaces.logic import NEVER_SENT, WorkspaceView, failed, fold, refused, stop_refused
from shared.commands import Answer, Problem, Verb
from shared.facilities import Outcome
from shared.identity import LinkState
from shared.workspaces import WorkspaceReport

SILENT = Problem("BACKEND_FAILED", "The facility did not say why.")


@dataclass(frozen=True, slots=True)
class Brought:
    """Results that a session brought, at a POSIX second of the centre's clock."""

    facility: str
    epoch: int
    answers: Sequence[OrderAnswer]
    now: float


@dataclass
class Settled:
    """What was written: the orders that may be acknowledged, those that ended now, and the workspaces that changed."""

    orders: list[str] = field(default_factory=list)
    ended: list[OrderStanding] = field(default_factory=list)
    changed: list[WorkspaceView] = field(default_factory=list)


def settle(brought: Sequence[Brought]) -> list[Settled]:
    """Write these results. Raises Overtaken when one of the sessions is not its facility's newest."""
    fence_all({(group.facility, group.epoch) for group in brought})
    is_open = orders.take_open({said.order_id: group.facility for group in brought for said in group.answers})
    settled: list[Settled] = []
    written: list[tuple[str, Answer, int]] = []
    decisions: list[tuple[Settled, str, store.Decide]] = []
    for group in brought:
        done = Settled([said.order_id for said in group.answers])
        settled.append(done)
        for said in group.answers:
            standing = is_open.pop(said.order_id, None)
            if standing is None:
                continue  # settled before, or none of ours: the agent need not say it again
            answer = said.read(standing.verb)
            written.append((standing.id, answer, group.epoch))
            done.ended.append(_ended(standing, answer))
            decide = mean(group.facility, standing, answer, group.now)
            if decide is not None:
                decisions.append((done, standing.workspace, decide))
    orders.settle(written, brought[0].now)
    results = store.change_all([(workspace_id, decide) for _, workspace_id, decide in decisions])
    for (done, _, _), result in zip(decisions, results, strict=True):
        done.changed += [result[0]] if result is not None and result[1] else []
    return settled


def _ended(standing: OrderStanding, answer: Answer) -> OrderStanding:
    return replace(standing, state=OrderState.SETTLED, outcome=answer.outcome.value, problem=answer.problem)


def expire(now: float) -> Settled:
    """End the orders that waited for their facility longer than they live, and the workspaces that were to begin by them."""
    ended = orders.expire(now)
    done = Settled([standing.id for standing in ended], ended)
    for standing in ended:
        if standing.verb is Verb.LAUNCH:
            done.changed += store.changed(standing.id, lambda row: failed(row, NEVER_SENT, now))
    return done


def mean(facility_id: str, order: OrderStanding, answer: Answer, now: float) -> store.Decide | None:
    """Write what the answer to an order means; what it means for its workspace, if it is about one."""
    if answer.outcome is Outcome.NOT_LINKED or (order.verb is Verb.UNLINK and answer.outcome is Outcome.OK):
        identity.learn_link(order.person, facility_id, LinkState.NOT_LINKED, now)
        identity.drop_grants(order.person, facility_id)
    elif answer.outcome is Outcome.SIGN_IN_NEEDED:
        identity.drop_dead_grant(facility_id, order.grant_id)
    if not order.workspace:
        return None
    report, problem = answer.payload, answer.problem or SILENT

    def decide(row: WorkspaceView) -> WorkspaceView:
        if isinstance(report, WorkspaceReport) and report.workspace_id == row.id:
            return fold(row, report, now)
        if order.verb is Verb.LAUNCH:
            return refused(row, problem, now)
        return stop_refused(row, now)

    return decide
