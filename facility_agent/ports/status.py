"""How the agent stands, for its operator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The link. Instants are POSIX seconds of this machine; None means not now."""

    connected_since: float | None
    hub: str
    session_id: str
    epoch: int
    round_trip: float | None
    ending: str
    ending_message: str
    next_try: float | None
    certificate_s: float | None
    sessions: int


@dataclass(frozen=True, slots=True)
class OrderStatus:
    """Orders: how many are accepted without a result and settled without an acknowledgement, and for how long."""

    accepted: int
    accepted_age: float
    unacknowledged: int
    unacknowledged_age: float


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """Open metadata as the centre gets them: records that are there, and how old what is known of them is.

    `age` counts from the last look that saw the whole catalogue, None for never; `complete` is false when the latest
    one did not.
    """

    datasets: int
    proposals: int
    age: float | None
    complete: bool


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """All of it. `orders` and `feed` are None while their store cannot be read, `store_fault` says why it cannot be used."""

    facility_id: str
    version: str
    now: float
    started_at: float
    store_id: str
    boot_counter: int
    store_fault: str
    link: LinkStatus | None
    orders: OrderStatus | None
    workspaces: dict[str, int]
    unowned: tuple[str, ...]
    complete: bool
    feed: FeedStatus | None
