"""The record of what leaves the facility, and of what is done here for a person. The log is ours: Protocols."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.errors import BackendUnavailable
from shared.identity import Subject

GENESIS = "0" * 64
_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


class Kind(StrEnum):
    """SENT to the centre, or DONE at the facility."""

    SENT = "sent"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Head:
    """The last record: its sequence and its hash (hex SHA-256). Of an empty log: 0 and zeros."""

    sequence: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """The head that `str` gave. Raises ValueError."""
        found = _HEAD.fullmatch(text.strip())
        if found is None:
            raise ValueError("a head is SEQUENCE:HASH, as `central-portal agents` shows it")
        return cls(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded. Nothing in it is a value of anybody's data.

    `fields` counts how often each path of the allow-list occurs in the payload; `size` and `digest` (hex SHA-256)
    are those of the message as it leaves; `about` is an identifier that the centre made or knows: a workspace, an
    order. The person is recorded as a pseudonym.
    """

    verb: str
    kind: Kind = Kind.SENT
    person: Subject | None = None
    outcome: str = ""
    about: str = ""
    fields: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    digest: str = ""


class Egress(Protocol):
    """The log, as whoever sends or does something sees it."""

    @property
    def head(self) -> Head:
        """The last record that is durable."""
        ...

    @property
    def fault(self) -> str:
        """What keeps it from being written, for the operator; empty when nothing does."""
        ...

    async def record(self, *entries: Entry) -> None:
        """Record these, durable before it returns. Raises BackendUnavailable; then nothing of it may leave."""
        ...

    async def hash_of(self, sequence: int) -> str:
        """The hash of this record as the files hold it now, empty when they do not. Raises BackendUnavailable."""
        ...


def unrecorded() -> BackendUnavailable:
    """The log cannot be written. This sentence is all that leaves then: it names nobody and nothing."""
    return BackendUnavailable(
        "The facility cannot record what it would send, so it sends nothing; try again later."
    )


class NoEgress:
    """Implements `Egress` where nothing is recorded: a link by itself, in tests and benchmarks of it."""

    head, fault = Head(), ""

    async def record(self, *entries: Entry) -> None:
        """Nothing."""

    async def hash_of(self, sequence: int) -> str:
        """No record is there."""
        return ""
