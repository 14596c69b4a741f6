"""Orders and the epoch's floor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facility_agent.ports.store import OrderCounts, OrderRow
from facility_agent.store.tables import Tables
from shared.commands import Verb
from shared.identity import Subject

_WAITS = "settled_at is not null and acknowledged_at is null"


class OrderTables(Tables):
    """Implements `ports.store.orders.OrderRows` and `Memory`."""

    def order(self, order_id: str) -> OrderRow | None:
        """One order."""
        row = self._one("select * from order_ where order_id=?", order_id)
        return _order(row) if row else None

    def accept_order(self, row: OrderRow) -> None:
        """Store a new one."""
        who = row.subject
        self._db.execute(
            "insert into order_ values (?,?,?,?,?,?,?,?,?,?,null,null)",
            (
                row.order_id, row.grant_id, row.order_hash, row.verb.value, who.issuer, who.sub, row.generation,
                row.body, row.result, row.accepted_at,
            ),
        )  # fmt: skip

    def settle_order(self, order_id: str, result: bytes, at: float) -> None:
        """Store its result and forget its body."""
        self._db.execute(
            "update order_ set result=?, settled_at=?, body=x'' where order_id=? and settled_at is null",
            (result, at, order_id),
        )

    def open_orders(self) -> Sequence[OrderRow]:
        """Accepted ones without a result."""
        return [
            _order(row) for row in self._db.execute("select * from order_ where settled_at is null order by accepted_at")
        ]  # fmt: skip

    def unacknowledged(self, after: tuple[float, str], most: int) -> Sequence[OrderRow]:
        """Settled ones that the centre has not acknowledged."""
        sql = f"select * from order_ where {_WAITS} and (settled_at, order_id) > (?,?) order by settled_at, order_id limit ?"  # noqa: S608 (our own words)
        return [_order(row) for row in self._db.execute(sql, (*after, most))]

    def acknowledge(self, order_ids: Sequence[str], at: float) -> None:
        """The centre has these results."""
        sql = f"update order_ set acknowledged_at=? where order_id=? and {_WAITS}"  # noqa: S608 (our own words)
        self._db.executemany(sql, [(at, order_id) for order_id in order_ids])

    def order_counts(self) -> OrderCounts:
        """What waits."""
        accepted = self._one("select count(*), min(accepted_at) from order_ where settled_at is null")
        settled = self._one(f"select count(*), min(settled_at) from order_ where {_WAITS}")  # noqa: S608 (our own words)
        assert accepted is not None
        assert settled is not None
        return OrderCounts(*accepted, *settled)

    def floor(self) -> int:
        """The highest epoch in which this agent ever acted."""
        row = self._one("select value from meta where key='floor'")
        return int(row[0]) if row else 0

    def raise_floor(self, epoch: int) -> None:
        """Act in no session below `epoch` any more."""
        if epoch > self.floor():
            self._put("meta", "floor", str(epoch))

    def forget(self, before: float, most: int) -> int:
        """Delete what nobody asks for any more."""
        sql = "delete from order_ where order_id in (select order_id from order_ where acknowledged_at<? limit ?)"
        orders = self._db.execute(sql, (before, most)).rowcount
        stones = self._db.execute("delete from workspace where environment='' and ended_at<?", (before,)).rowcount
        return orders + stones


def _order(row: tuple[Any, ...]) -> OrderRow:
    return OrderRow(row[0], row[1], row[2], Verb(row[3]), Subject(row[4], row[5]), *row[6:])
