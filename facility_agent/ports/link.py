"""What the link needs of the core, and what the core needs of the link. Both ends are ours: Protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.commands import Answer, Command, Verb
from shared.facilities import FacilityDescription
from shared.identity import Subject
from shared.restores import DatasetReport
from shared.workspaces import WorkspaceInventory, WorkspaceReport

Event = WorkspaceReport | FacilityDescription | DatasetReport


class CommandDecoder(Protocol):
    """Reads a command's body. Given by the link to the core, which checks the MAC before it decodes."""

    def __call__(self, body: bytes) -> Command:
        """The command. Raises InvalidRequest for bytes that are none, Unsupported for an unknown verb."""
        ...


class OrderCodec(CommandDecoder, Protocol):
    """Also writes down what became of an order, as it will be sent."""

    def encode(self, order_id: str, verb: Verb | None, answer: Answer) -> bytes:
        """The result's bytes; the verb may be None for a refusal. Raises TypeError or ValueError for odd values."""
        ...


@dataclass(frozen=True, slots=True)
class AskedOrder:
    """An order as it arrived; nothing of it is checked."""

    order_id: str
    body: bytes
    grant_id: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class WaitingResult:
    """An order in the store, mostly one whose result the centre has not acknowledged; the result is empty without one.

    `settled_at` and the id give the order of sending.
    """

    order_id: str
    settled_at: float
    result: bytes
    verb: Verb | None = None
    person: Subject | None = None


class Core(Protocol):
    """The facility's core as the link sees it: queries and facts."""

    async def handle(
        self, body: bytes, grant_id: str, mac: bytes, decode: CommandDecoder,
        proven: Callable[[Subject], None] = lambda _: None,
    ) -> Answer:  # fmt: skip
        """Judge and carry out one query. Never raises a ParasolError: a refusal is an Answer.

        `grant_id` and `mac` are empty for a query without a grant. `proven` is told whom it is about, as soon as that
        is certain.
        """
        ...

    def description(self) -> FacilityDescription:
        """What the facility advertises now."""
        ...

    def inventory(self) -> WorkspaceInventory:
        """Every workspace that lives, and those that ended within the last day."""
        ...

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with each event from now on, in the event loop's thread; returns the unsubscribe."""
        ...


class OrderDesk(Protocol):
    """Where the link hands in orders and gets their results. Everything it says is in the store."""

    async def take(self, asked: AskedOrder, accepted: Callable[[], None]) -> bytes | None:
        """Carry out an order once, however often it comes; the bytes of its result.

        Calls `accepted` as soon as the order is stored. None when there is no result yet: of an accepted one it
        comes by `on_settled`, one that was not accepted is to be handed in again. A refusal that is not stored comes only from here. Never raises a ParasolError.
        """
        ...

    async def known(self, order_id: str) -> WaitingResult | None:
        """What is stored of an order, None for nothing. Raises BackendUnavailable."""
        ...

    async def waiting(self, after: WaitingResult | None, most: int) -> Sequence[WaitingResult]:
        """Results that are not acknowledged, in a stable order beyond `after`. Raises BackendUnavailable."""
        ...

    async def acknowledge(self, order_ids: Sequence[str]) -> None:
        """The centre has these results. Raises BackendUnavailable."""
        ...

    async def raise_floor(self, epoch: int) -> int:
        """Act in no session below `epoch` any more; the floor, which may be higher. Raises BackendUnavailable."""
        ...

    def on_settled(self, listener: Callable[[WaitingResult], None]) -> Callable[[], None]:
        """Call `listener` with each order that is settled; returns the unsubscribe."""
        ...
