"""Entries into records: the person becomes a pseudonym, then the log takes it."""

from __future__ import annotations

from collections.abc import Callable

from facility_agent.egress.chain import record_of
from facility_agent.egress.log import EgressLog
from facility_agent.egress.people import Pseudonyms
from facility_agent.ports.egress import Entry, Head, unrecorded
from shared.errors import BackendUnavailable


class Recorder:
    """Implements `ports.egress.Egress`. `clock` is this machine's POSIX time."""

    def __init__(self, log: EgressLog, people: Pseudonyms, clock: Callable[[], float]) -> None:
        self._log, self._people, self._clock = log, people, clock

    @property
    def head(self) -> Head:
        """The last record that is durable."""
        return self._log.head

    @property
    def fault(self) -> str:
        """What keeps it from being written."""
        return self._log.fault

    async def hash_of(self, sequence: int) -> str:
        """The hash of a record as the files hold it now."""
        return await self._log.hash_of(sequence)

    async def record(self, *entries: Entry) -> None:
        """Record these, in one group."""
        try:
            names = [await self._people.of(entry.person) if entry.person else "" for entry in entries]
        except BackendUnavailable as error:
            raise unrecorded() from error
        now = self._clock()
        await self._log.append([record_of(entry, name, now) for entry, name in zip(entries, names, strict=True)])
