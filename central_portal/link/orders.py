"""Short, synchronous functions on the table of orders; each runs in its caller's transaction or in one of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import Count, Min, Q

from central_portal.bulk import insert_rows, lock_rows, update_rows
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

AT_ONCE = 500


_ASKED = (
    "id", "facility", "verb", "person", "workspace", "body", "grant_id", "mac", "state", "created_at", "expires_at",
    "traceparent",
)  # fmt: skip


def insert(orders: Iterable[tuple[NewOrder, bool]]) -> None:
    """Store orders: SENT when the facility is online (the second of each), since from now on it may have been sent."""
    insert_rows(
        Order, _ASKED,
        [
            (
                uuid.UUID(order.id), order.facility, order.verb.value, order.person,
                uuid.UUID(order.workspace) if order.workspace else None, order.sealed.body, order.sealed.grant_id,
                order.sealed.mac, (OrderState.SENT if online else OrderState.WAITING).value, order.created_at,
                order.expires_at, order.traceparent,
            )
            for order, online in orders
        ],
    )  # fmt: skip


def standing(order_id: str) -> OrderStanding | None:
    """How an order stands, None when there is none."""
    row = Order.objects.filter(pk=uuid.UUID(order_id)).defer("body", "mac").first()
    return _standing(row) if row else None


def asked_about(workspace_ids: Collection[str], verb: Verb) -> set[str]:
    """Those of these workspaces that have an open order of this verb."""
    keys = [uuid.UUID(workspace_id) for workspace_id in workspace_ids]
    rows = Order.objects.filter(workspace__in=keys, verb=verb.value, state__in=OPEN_STATES)
    return {str(key) for key in rows.values_list("workspace", flat=True)}


def cancel_waiting(order_id: str, now: float) -> bool:
    """Cancel an order that was never sent; False when it may have been."""
    rows = Order.objects.filter(pk=uuid.UUID(order_id), state=OrderState.WAITING.value)
    return rows.update(state=OrderState.CANCELLED.value, settled_at=now, body=b"", mac=b"") == 1


_STANDING = ("id", "facility", "verb", "state", "person", "workspace", "grant_id")


def take_open(facilities: Mapping[str, str]) -> dict[str, OrderStanding]:
    """The open ones of these orders (each with its facility), locked until the transaction ends."""
    keys = {key: facility for order_id, facility in facilities.items() if (key := _key(order_id)) is not None}
    return {
        str(key): OrderStanding(str(key), Verb(verb), OrderState(state), person=person, workspace=str(about or ""), grant_id=grant)
        for key, facility, verb, state, person, about, grant in lock_rows(Order, _STANDING, keys)
        if state in OPEN_STATES and facility == keys[key]
    }  # fmt: skip


def _key(order_id: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(order_id)
    except ValueError:
        return None


_SETTLED = ("state", "outcome", "settled_at", "epoch", "body", "mac", "problem")


def settle(answers: Iterable[tuple[str, Answer, int]], now: float) -> None:
    """Write what became of orders: (id, answer, epoch of the session that brought it)."""
    update_rows(
        Order, _SETTLED,
        {
            uuid.UUID(order_id): (
                OrderState.SETTLED.value, answer.outcome.value, now, epoch, b"", b"",
                asdict(answer.problem) if answer.problem else None,
            )
            for order_id, answer, epoch in answers
        },
    )  # fmt: skip


def lose(order_ids: Collection[str], now: float) -> None:
    """The agent's store that had accepted these is gone, though what they started may still run."""
    keys = [uuid.UUID(order_id) for order_id in order_ids]
    Order.objects.filter(pk__in=keys).update(state=OrderState.LOST.value, settled_at=now, body=b"", mac=b"")


def abandon(facility_id: str, now: float) -> None:
    """This facility has left for good: nobody will say what became of its orders. What was never sent still expires."""
    gone = Order.objects.filter(facility=facility_id, state__in=OPEN_STATES)
    gone = gone.exclude(state=OrderState.WAITING.value, expires_at__isnull=False)
    gone.update(state=OrderState.LOST.value, settled_at=now, body=b"", mac=b"")


def expire(now: float) -> list[OrderStanding]:
    """End what was never sent and whose life is over, so many at a time; how they stand. Needs a transaction."""
    over = Order.objects.select_for_update().filter(state=OrderState.WAITING.value, expires_at__lte=now)
    rows = list(over.values_list("pk", "verb", "workspace")[:AT_ONCE])
    keys = [key for key, _, _ in rows]
    ended = {"state": OrderState.EXPIRED.value, "settled_at": now, "body": b"", "mac": b""}
    Order.objects.filter(pk__in=keys).update(**ended)
    return [
        OrderStanding(str(key), Verb(verb), OrderState.EXPIRED, workspace=str(about or ""))
        for key, verb, about in rows
    ]


def forget(now: float) -> bool:
    """Delete what ended longer ago than orders are remembered, so many at a time; whether there is more."""
    old = Order.objects.filter(settled_at__lt=now - LIMITS.order_memory).values_list("pk", flat=True)
    keys = list(old[:AT_ONCE])
    Order.objects.filter(pk__in=keys).delete()
    return len(keys) == AT_ONCE


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
    before = [OrderState.WAITING.value, OrderState.SENT.value]
    with transaction.atomic():
        # What a result is being written of is passed over: waiting for it would be waiting in a circle.
        rows = Order.objects.select_for_update(skip_locked=True).filter(
            pk__in=[uuid.UUID(order_id) for order_id in ids], state__in=before
        )
        free = list(rows.values_list("pk", flat=True))
        Order.objects.filter(pk__in=free).update(state=OrderState.ACCEPTED.value, accepted_at=time.time())
