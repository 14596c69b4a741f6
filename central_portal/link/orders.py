"""Short, synchronous functions on the table of orders; each runs in its caller's transaction or in one of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import Count, Min, Q

from central_portal.database import in_database
from central_portal.link.models import Order
from central_portal.link.ports import (
    OPEN_STATES,
    NewOrder,
    OpenOrder,
    OrderStanding,
    OrderState,
    SealedBody,
)
from shared.commands import Answer, Problem, Verb
from shared.limits import LIMITS


def insert(order: NewOrder, *, online: bool) -> None:
    """Store an order: SENT when its facility is online, since from now on it may have been sent."""
    Order.objects.create(
        id=uuid.UUID(order.id), facility=order.facility, verb=order.verb.value, person=order.person,
        workspace=uuid.UUID(order.workspace) if order.workspace else None, body=order.sealed.body,
        grant_id=order.sealed.grant_id, mac=order.sealed.mac,
        state=(OrderState.SENT if online else OrderState.WAITING).value, created_at=order.created_at,
        expires_at=order.expires_at, traceparent=order.traceparent,
    )  # fmt: skip


def standing(order_id: str) -> OrderStanding | None:
    """How an order stands, None when there is none."""
    row = Order.objects.filter(pk=uuid.UUID(order_id)).defer("body", "mac").first()
    return _standing(row) if row else None


def open_about(workspace_id: str, verb: Verb) -> OrderStanding | None:
    """The open order of this verb about a workspace, None when there is none."""
    rows = Order.objects.filter(workspace=uuid.UUID(workspace_id), verb=verb.value, state__in=OPEN_STATES)
    row = rows.defer("body", "mac").first()
    return _standing(row) if row else None


def cancel_waiting(order_id: str, now: float) -> bool:
    """Cancel an order that was never sent; False when it may have been."""
    rows = Order.objects.filter(pk=uuid.UUID(order_id), state=OrderState.WAITING.value)
    return rows.update(state=OrderState.CANCELLED.value, settled_at=now, body=b"", mac=b"") == 1


def take_open(order_id: str, facility_id: str) -> OrderStanding | None:
    """An open order of this facility, locked until the transaction ends; None for any other id."""
    try:
        key = uuid.UUID(order_id)
    except ValueError:
        return None
    rows = Order.objects.select_for_update().filter(pk=key, facility=facility_id, state__in=OPEN_STATES)
    row = rows.defer("body", "mac").first()
    return _standing(row) if row else None


def settle(order_id: str, answer: Answer, epoch: int, now: float) -> None:
    """Write what became of an order."""
    Order.objects.filter(pk=uuid.UUID(order_id)).update(
        state=OrderState.SETTLED.value, outcome=answer.outcome.value, settled_at=now, epoch=epoch, body=b"", mac=b"",
        problem=asdict(answer.problem) if answer.problem else None,
    )  # fmt: skip


def lose(order_ids: Collection[str], now: float) -> None:
    """The agent's store that had accepted these is gone, though what they started may still run."""
    keys = [uuid.UUID(order_id) for order_id in order_ids]
    Order.objects.filter(pk__in=keys).update(state=OrderState.LOST.value, settled_at=now, body=b"", mac=b"")


def expire(now: float) -> list[str]:
    """End what was never sent and whose life is over, a few hundred at a time; their ids. Needs a transaction."""
    over = Order.objects.select_for_update().filter(state=OrderState.WAITING.value, expires_at__lte=now)
    keys = list(over.values_list("pk", flat=True)[:500])
    ended = {"state": OrderState.EXPIRED.value, "settled_at": now, "body": b"", "mac": b""}
    Order.objects.filter(pk__in=keys).update(**ended)
    return [str(key) for key in keys]


def forget(now: float) -> None:
    """Delete what ended longer ago than orders are remembered."""
    Order.objects.filter(settled_at__lt=now - LIMITS.order_memory).delete()


@dataclass(frozen=True, slots=True)
class Queue:
    """The open orders of one facility: how many in each state, and when the oldest was asked (POSIX seconds)."""

    states: Mapping[str, int]
    oldest: float


def queues() -> dict[str, Queue]:
    """The queue of every facility that has open orders."""
    rows = Order.objects.filter(state__in=OPEN_STATES).values_list("facility", "state")
    found: dict[str, dict[str, int]] = {}
    oldest: dict[str, float] = {}
    for facility, state, count, first in rows.annotate(count=Count("pk"), first=Min("created_at")):
        found.setdefault(facility, {})[state] = count
        oldest[facility] = min(first, oldest.get(facility, first))
    return {facility: Queue(states, oldest[facility]) for facility, states in found.items()}


def _standing(row: Order) -> OrderStanding:
    problem = Problem(**row.problem) if row.problem else None
    return OrderStanding(
        str(row.pk), Verb(row.verb), OrderState(row.state), row.outcome, problem, row.expires_at,
        row.person, str(row.workspace) if row.workspace else "", row.grant_id,
    )  # fmt: skip


class OrderRows:
    """Implements `ports.OrderQueue` on the table."""

    async def open_of(self, facilities: Mapping[str, Collection[str]], limit: int) -> Sequence[OpenOrder]:
        """See the port."""
        return await in_database(_open_of)(facilities, limit)

    async def sent(self, ids: Collection[str]) -> Collection[str]:
        """See the port."""
        return await in_database(_send)(ids)

    async def accepted(self, ids: Collection[str]) -> None:
        """See the port."""
        await in_database(_accept)(ids)


def _open_of(facilities: Mapping[str, Collection[str]], limit: int) -> list[OpenOrder]:
    wanted = Q()
    for facility_id, known in facilities.items():
        wanted |= Q(facility=facility_id) & ~Q(pk__in=[uuid.UUID(order_id) for order_id in known])
    if not facilities:
        return []
    rows = Order.objects.filter(wanted, state__in=OPEN_STATES).order_by("created_at", "pk")[:limit]
    return [
        OpenOrder(
            str(row.pk), row.facility, OrderState(row.state),
            SealedBody(bytes(row.body), row.grant_id, bytes(row.mac)), row.traceparent,
        )
        for row in rows
    ]  # fmt: skip


def _send(ids: Collection[str]) -> set[str]:
    keys = [uuid.UUID(order_id) for order_id in ids]
    with transaction.atomic():  # locked, so that nobody calls one off between the look and the write
        rows = Order.objects.select_for_update().filter(pk__in=keys, state__in=OPEN_STATES).order_by("pk")
        still = list(rows.values_list("pk", flat=True))
        Order.objects.filter(pk__in=still, state=OrderState.WAITING.value).update(state=OrderState.SENT.value)
    return {str(key) for key in still}


def _accept(ids: Collection[str]) -> None:
    keys = [uuid.UUID(order_id) for order_id in ids]
    before = [OrderState.WAITING.value, OrderState.SENT.value]
    with transaction.atomic():
        rows = Order.objects.filter(pk__in=keys, state__in=before)
        rows.update(state=OrderState.ACCEPTED.value, accepted_at=time.time())
