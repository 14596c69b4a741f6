"""Pure: what an order does, prepared so that its row and its result are one transaction; and how often it may be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from facility_agent.ports.store import Transaction
from shared.commands import Payload, Verb


class Repeat(StrEnum):
    """What is needed before an order is tried again that may have been begun before a crash."""

    IDEMPOTENT = "IDEMPOTENT"
    """Nothing: doing it twice is doing it once."""
    PROBED = "PROBED"
    """The facility's own systems must have been read, so that an earlier effect is found and not made again."""


REPEATS: Mapping[Verb, Repeat] = {
    Verb.LAUNCH: Repeat.PROBED,
    Verb.STOP: Repeat.IDEMPOTENT,
    Verb.UNLINK: Repeat.IDEMPOTENT,
    Verb.RESTORE: Repeat.IDEMPOTENT,  # `RestorableCatalogue.restore` looks at the archive's own records first
}
"""The agent's own table: no centre can talk it into another."""


@dataclass(frozen=True, slots=True)
class Effect:
    """`write` runs in the transaction that stores the result, and gives it; `after` once that is durable.

    `write` may raise a ParasolError; then nothing of it is kept, and the refusal is the result.
    """

    write: Callable[[Transaction], Payload]
    after: Callable[[], None] = lambda: None
