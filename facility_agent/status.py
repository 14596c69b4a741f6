"""How the agent stands: gathered in the agent, told in words by `facility-agent status`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from facility_agent.core.feed import Feed
from facility_agent.core.orders import Orders
from facility_agent.core.workspaces import Workspaces
from facility_agent.ports.status import AgentStatus, FeedStatus, LinkStatus, OrderStatus
from facility_agent.store.sqlite import SqliteStore
from shared.errors import BackendUnavailable


class Standing:
    """Gathers it. `link` is given once there is one: the agent waits for its store first."""

    def __init__(
        self, facility_id: str, version: str, store: SqliteStore, orders: Orders, workspaces: Workspaces,
        feed: Feed, clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self._facility, self._version, self._clock = facility_id, version, clock
        self._store, self._orders, self._workspaces, self._feed = store, orders, workspaces, feed
        self._started_at = clock()
        self.link: Callable[[], LinkStatus] | None = None

    async def status(self) -> AgentStatus:
        """As it is now. Never raises: what cannot be read is missing."""
        inventory = self._workspaces.inventory()
        states = Counter(report.state.value for report in inventory.reports)
        return AgentStatus(
            self._facility, self._version, self._clock(), self._started_at, self._store.store_id,
            self._store.boot_counter, self._store.fault, self.link() if self.link else None, await self._waits(),
            dict(states), inventory.unowned, inventory.complete, await self._mirrored(),
        )  # fmt: skip

    async def _mirrored(self) -> FeedStatus | None:
        try:
            return await self._feed.status()
        except BackendUnavailable:
            return None

    async def _waits(self) -> OrderStatus | None:
        try:
            counts, now = await self._orders.counts(), self._clock()
        except BackendUnavailable:
            return None
        return OrderStatus(
            counts.accepted, _age(now, counts.oldest_accepted), counts.unacknowledged,
            _age(now, counts.oldest_unacknowledged),
        )  # fmt: skip


def _age(now: float, since: float | None) -> float:
    return max(0.0, now - since) if since is not None else 0.0


def as_json(status: AgentStatus) -> str:
    """For programs."""
    return json.dumps(asdict(status), sort_keys=True)


def in_words(told: dict[str, Any]) -> str:
    """What `as_json` says, for people."""
    lines = [
        f"{told['facility_id']}: agent {told['version']}, up for {_span(told['now'] - told['started_at'])}",
        f"store       {told['store_fault'] or 'good'} ({told['store_id'] or 'not open'}, start {told['boot_counter']})",
        *_link(told["link"], told["now"]),
    ]
    orders = told["orders"]
    if orders is None:
        lines.append("orders      cannot be read")
    else:
        lines += [
            f"orders      {orders['accepted']} under way, the oldest for {_span(orders['accepted_age'])}",
            f"results     {orders['unacknowledged']} on their way, the oldest for {_span(orders['unacknowledged_age'])}",
        ]
    states = ", ".join(f"{count} {state}" for state, count in sorted(told["workspaces"].items()))
    lines.append(f"workspaces  {states or 'none'}")
    if not told["complete"]:
        lines.append("            what runs cannot be read at the moment: nothing is ended or begun for it")
    lines += [f"            without a row: {name}" for name in told["unowned"]]
    lines += _feed(told["feed"])
    return "\n".join(lines)


def _feed(feed: dict[str, Any] | None) -> list[str]:
    if feed is None:
        return ["open data   what is kept for the centre cannot be read"]
    if feed["age"] is None:
        return ["open data   the catalogue has not been read whole yet"]
    counts = f"{feed['datasets']} datasets, {feed['proposals']} proposals"
    lines = [f"open data   {counts}; the whole catalogue was read {_span(feed['age'])} ago"]
    if not feed["complete"]:
        lines.append("            since then it could not be read whole")
    return lines


def _link(link: dict[str, Any] | None, now: float) -> list[str]:
    if link is None:
        return ["link        not begun: the agent waits for its store"]
    lines = []
    if link["connected_since"] is not None:
        trip = f"{link['round_trip'] * 1000:.1f} ms" if link["round_trip"] is not None else "not measured yet"
        lines += [
            f"link        connected to {link['hub']} for {_span(now - link['connected_since'])}",
            f"            session {link['session_id']}, epoch {link['epoch']}, round trip {trip}",
        ]
    else:
        again = f", next attempt in {_span(link['next_try'] - now)}" if link["next_try"] is not None else ""
        lines.append(f"link        NOT CONNECTED{again}")
    if link["ending"]:
        lines.append(f"            last session ended: {link['ending']}: {link['ending_message']}")
    if link["certificate_s"] is not None:
        lines.append(f"certificate {link['certificate_s'] / 86400:.1f} days left")
    return lines


def _span(seconds: float) -> str:
    """A length of time in its two largest units."""
    whole = max(0, round(seconds))
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
