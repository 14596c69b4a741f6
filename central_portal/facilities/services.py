"""The read model of all facilities, in memory, with a version that rises with every change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from django.db import DatabaseError, transaction

from central_portal.database import in_database
from central_portal.facilities import sessions
from central_portal.facilities.models import Facility
from central_portal.facilities.sessions import Mark, SessionRow
from central_portal.federation import FacilityTable, Federation
from central_portal.link.metrics import FENCED
from central_portal.link.ports import HubPlace, Topic, Wakes, Whereabouts
from shared.errors import NotFound
from shared.facilities import Environment, FacilityDescription, Flavour
from shared.wire.facilities import decode_description, encode_description

log = logging.getLogger(__name__)
EVERY, PAUSE = 1.0, 0.05
DRAINED, MOVES_WITHIN = "DRAINED", 10.0


@dataclass(frozen=True, slots=True)
class FacilityView:
    """One facility as it stands. Times are POSIX seconds of the database's clock, None for never."""

    table: FacilityTable
    description: FacilityDescription | None
    described_at: float | None
    online: bool
    state_since: float | None
    epoch: int = 0
    hub_id: str = ""
    hub_address: str = ""
    last_ending: str = ""
    quarantined: bool = False

    @property
    def slug(self) -> str:
        """Its id."""
        return self.table.id

    def environment(self, environment_id: str) -> Environment:
        """An environment that it advertises. Raises NotFound."""
        for environment in self.description.environments if self.description else ():
            if environment.id == environment_id:
                return environment
        raise NotFound(f"{self.name} does not offer this environment.", metadata={"facility": self.slug})

    def flavour(self, flavour_id: str) -> Flavour:
        """A flavour that it advertises. Raises NotFound."""
        for flavour in self.description.flavours if self.description else ():
            if flavour.id == flavour_id:
                return flavour
        raise NotFound(f"{self.name} does not offer this size.", metadata={"facility": self.slug})

    @property
    def name(self) -> str:
        """The name that it gives itself, else the one of the configuration."""
        return self.description.name if self.description and self.description.name else self.table.name


class Facilities:
    """All facilities, as their rows say. Reading is quick and never blocks.

    Every process of the centre has one; `follow` keeps it at most a second behind the rows, whoever writes them.
    An `eager` one also reads at once what this process itself has changed.
    """

    def __init__(self, federation: Federation, wakes: Wakes, *, eager: bool = True) -> None:
        self._wakes, self._eager = wakes, eager
        self.version = 0
        self._views = {
            f.id: FacilityView(f, None, None, online=False, state_since=None) for f in federation.facilities
        }
        self._marks: dict[str, Mark] = {}
        self._listeners: set[Callable[[str], None]] = set()
        self._looking = asyncio.Lock()
        self._hinted = asyncio.Event()

    def adopt(self, tables: Iterable[FacilityTable]) -> None:
        """Take part from now on: these, and no others. What is known of those that stay is kept."""
        before = self._views
        self._views = {
            table.id: replace(before[table.id], table=table)
            if table.id in before
            else FacilityView(table, None, None, online=False, state_since=None)
            for table in tables
        }
        changed = {
            slug for slug in before.keys() | self._views.keys() if before.get(slug) != self._views.get(slug)
        }
        self.version += bool(changed)
        for slug in sorted(changed):
            for listener in tuple(self._listeners):
                listener(slug)

    def all(self) -> list[FacilityView]:
        """Every facility by name."""
        return sorted(self._views.values(), key=lambda view: (view.name.casefold(), view.slug))

    def slugs(self) -> list[str]:
        """The id of each that takes part now."""
        return [view.slug for view in self.all()]

    def get(self, slug: str) -> FacilityView:
        """One facility. Raises NotFound."""
        view = self._views.get(slug)
        if view is None:
            raise NotFound("There is no such facility.", metadata={"facility": slug[:40]})
        return view

    def subscribe(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener(slug)` after each change; returns the unsubscribe."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    # --- what the rows say

    async def follow(self) -> None:
        """Follow the rows for ever: at once when a hint comes, else each second."""
        undo = self._wakes.listen(Topic.FACILITY, lambda _: self._hinted.set())
        try:
            while True:
                self._hinted.clear()
                try:
                    await self.refresh()
                except DatabaseError as error:
                    log.warning("The facilities' rows cannot be read: %s", type(error).__name__)
                await asyncio.sleep(PAUSE)  # when many come at once, one look is for all
                with suppress(TimeoutError):
                    async with asyncio.timeout(EVERY - PAUSE):
                        await self._hinted.wait()
        finally:
            undo()

    async def refresh(self, *slugs: str) -> None:
        """Read what has changed, of these facilities or of all."""
        async with self._looking:
            stale = list(slugs)
            if not slugs:
                marks = await in_database(sessions.marks)()
                stale = [slug for slug, mark in marks.items() if self._marks.get(slug) != mark]
            for row, described in await in_database(_rows)([slug for slug in stale if slug in self._views]):
                self._see(row, described)

    def _see(self, row: SessionRow, described: tuple[bytes, float | None] | None) -> None:
        view = self._views[row.slug]
        body, at = described or (b"", None)
        new = replace(
            view, description=decode_description(body) if body else None, described_at=at, online=row.mark.alive,
            state_since=row.since, epoch=row.epoch, hub_id=row.hub_id, hub_address=row.hub_address,
            last_ending=row.last_ending, quarantined=bool(row.quarantined_why),
        )  # fmt: skip
        self._marks[row.slug] = row.mark
        if new != view:
            self._views[row.slug] = new
            self.version += 1
            for listener in tuple(self._listeners):
                listener(row.slug)

    def place(self, facility_id: str) -> Whereabouts:
        """Where its session is; see `link.ports.Places`."""
        view = self._views.get(facility_id)
        if view is None:
            return Whereabouts(None)
        hub = HubPlace(view.hub_id, view.hub_address) if view.online else None
        lately = time.time() - (view.state_since or 0.0) < MOVES_WITHIN
        return Whereabouts(hub, moving=hub is None and lately and view.last_ending == DRAINED)

    async def look(self, facility_id: str) -> Whereabouts:
        """The same, read anew."""
        await self.refresh(facility_id)
        return self.place(facility_id)

    # --- what the hub of this process reports

    async def changed(self, slug: str) -> None:
        """Its session has begun or ended, and the rows say so."""
        if slug in self._views:
            self._wakes.tell(Topic.FACILITY, slug)
            if self._eager:
                await self.refresh(slug)

    async def described(self, slug: str, epoch: int, description: FacilityDescription) -> None:
        """It described itself anew. What a session says that a newer one has overtaken changes nothing."""
        if slug in self._views:
            await in_database(_describe)(slug, epoch, encode_description(description))
            await self.changed(slug)


def _rows(slugs: list[str]) -> list[tuple[SessionRow, tuple[bytes, float | None] | None]]:
    if not slugs:
        return []
    found = Facility.objects.filter(slug__in=slugs, described_at__isnull=False)
    described = {f.slug: (bytes(f.description or b""), f.described_at) for f in found}
    return [(row, described.get(row.slug)) for row in sessions.rows_of(slugs)]


def _describe(slug: str, epoch: int, description: bytes) -> None:
    with transaction.atomic():
        if sessions.touch(slug, epoch):
            sessions.describe(slug, description)
        else:
            FENCED.labels("description").inc()
