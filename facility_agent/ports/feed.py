"""What the feed of open metadata keeps between two looks at the catalogue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.catalogue import Dataset, Proposal


class Kind(StrEnum):
    """What a record is."""

    DATASET = "d"
    PROPOSAL = "p"


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it is kept; `data` is empty for one that is gone."""

    kind: Kind
    pid: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """How far somebody has read: everything of this feed up to `number`.

    `begun` is given to one who is still reading from the beginning: tombstones up to this number had been dropped
    when he began, so he misses nothing by them.
    """

    feed_id: str = ""
    number: int = 0
    begun: int = 0


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Records in the order in which they changed. `place` is where to go on, `more` whether later ones exist.

    `restart` says that they begin at the beginning; `read_at` is when the catalogue was read whole last, None for never.
    """

    records: Sequence[Kept]
    place: Place
    more: bool
    restart: bool
    read_at: float | None


@dataclass(frozen=True, slots=True)
class FeedCounts:
    """Records that are there, and when the catalogue was read whole last; None for never."""

    datasets: int
    proposals: int
    read_at: float | None


class RecordCodec(ABC):
    """Records between words and bytes."""

    @abstractmethod
    def encode(self, record: Dataset | Proposal) -> bytes:
        """Its bytes. Raises ValueError for what nobody could read again."""

    @abstractmethod
    def decode(self, kind: Kind, data: bytes) -> Dataset | Proposal:
        """What `encode` was given, cleaned."""


class FeedStore(ABC):
    """Records with the number of their last change. Durable; raises BackendUnavailable when it cannot be used.

    A look is: `begin`, `see` for everything that is there, then `bury` and `finish`. Only one goes on at a time.
    """

    @abstractmethod
    async def begin(self) -> int:
        """The number of a new look."""

    @abstractmethod
    async def see(self, look: int, records: Sequence[Kept]) -> None:
        """These are there. One that is new or has other bytes than before gets the next number."""

    @abstractmethod
    async def unseen(self, look: int, most: int) -> Sequence[tuple[Kind, str]]:
        """Some records that are kept and were not seen in this look."""

    @abstractmethod
    async def bury(self, look: int, records: Sequence[tuple[Kind, str]] | None) -> None:
        """These are gone, None for all unseen ones; each gets the next number."""

    @abstractmethod
    async def finish(self, read_at: float) -> None:
        """The catalogue was read at this time (POSIX seconds). Tombstones older than a quarter of a year are dropped."""

    @abstractmethod
    async def after(self, place: Place, most: int, most_bytes: int) -> FeedPage:
        """What changed after a place; everything there is when it is not of this feed, or a tombstone after it was dropped.

        At most so many records, and no more bytes unless it is a single one.
        """

    @abstractmethod
    async def counts(self) -> FeedCounts:
        """What is kept now."""
