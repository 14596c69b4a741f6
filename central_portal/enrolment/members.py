"""Which facilities take part: those of federation.toml and those that have a row, as one federation that may change."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from central_portal.database import in_database
from central_portal.enrolment import store
from central_portal.enrolment.models import Member
from central_portal.federation import FacilityTable, Federation
from central_portal.settings import SettingsError

log = logging.getLogger(__name__)
LOOK_EVERY = 2.0


@dataclass(frozen=True, slots=True)
class Members:
    """The facilities that may connect, and those that are switched off. `version` changes with anything of it."""

    tables: tuple[FacilityTable, ...]
    disabled: frozenset[str]
    version: str

    def refusal(self, facility_id: str) -> str:
        """Why a facility may not connect, as one sentence; empty when it may."""
        if facility_id in self.disabled:
            return "This facility is switched off at the centre."
        if not any(table.id == facility_id for table in self.tables):
            return "The centre does not know this facility."
        return ""


def members(federation: Federation) -> Members:
    """The facilities as file and database have them now. Where ids clash, the file's is the one."""
    pinned = {table.id for table in federation.facilities}
    rows = store.members()
    for row in rows:
        if row.slug in pinned:
            log.error("Facility %s has a row and a table in federation.toml; the table counts.", row.slug)
    own = [row for row in rows if row.slug not in pinned]
    tables = (*federation.facilities, *(table_of(row) for row in own if row.enabled))
    disabled = frozenset(row.slug for row in own if not row.enabled)
    said = "\n".join([*(table.model_dump_json() for table in tables), *sorted(disabled)])
    return Members(tables, disabled, hashlib.sha256(said.encode()).hexdigest())


def table_of(row: Member) -> FacilityTable:
    """A row as the table that federation.toml would have."""
    return FacilityTable(id=row.slug, name=row.name, gateway=row.gateway, workspace_zone=row.workspace_zone)


def refuse_clashes(federation: Federation) -> None:
    """Raises SettingsError for a facility that has both a row and a table."""
    for row in store.members():
        if federation.facility(row.slug) is not None:
            raise SettingsError(
                f"facility {row.slug} is in federation.toml and was added by `central-portal facility add`; "
                f"take it out of the file, or run `central-portal facility remove {row.slug}`"
            )


class Roster:
    """The facilities as this process knows them, and how it hears of changes that another one made.

    Each of `adopters` is called with the whole federation by the first look and by each that finds a change, before it
    returns: who was let in by a look is known to everybody here.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation, self._version = federation, ""
        self.adopters: list[Callable[[Federation], None]] = []

    async def look(self) -> Members:
        """The facilities now."""
        found = await in_database(members)(self._federation)
        if found.version != self._version:
            self._version = found.version
            now = self._federation.model_copy(update={"facilities": found.tables})
            for adopt in self.adopters:
                adopt(now)
        return found

    async def follow(self, every: float = LOOK_EVERY) -> None:
        """Looks again and again, until cancelled."""
        while True:
            await asyncio.sleep(every)
            try:
                await self.look()
            except Exception:  # a database that is away for a moment changes nothing
                log.exception("The facilities cannot be read.")
