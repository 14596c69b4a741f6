"""The read model of all facilities, in memory, with a version that rises with every change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from central_portal.database import in_database
from central_portal.facilities.models import Facility
from central_portal.settings import FacilityTable, Federation
from shared.errors import NotFound
from shared.facilities import Environment, FacilityDescription, Flavour
from shared.wire.facilities import decode_description, encode_description


@dataclass(frozen=True, slots=True)
class FacilityView:
    """One facility as it stands. Times are POSIX seconds of the centre's clock, None for never."""

    table: FacilityTable
    description: FacilityDescription | None
    described_at: float | None
    online: bool
    state_since: float | None
    epoch: int = 0

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
    """All facilities. Quick, never blocks; the database only remembers over restarts."""

    def __init__(self, federation: Federation, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.version = 0
        self._views = {
            f.id: FacilityView(f, None, None, online=False, state_since=None) for f in federation.facilities
        }
        self._listeners: set[Callable[[str], None]] = set()

    async def load(self) -> None:
        """Read what was known before the last stop. Call once, before anything connects."""
        for slug, description, described_at, since in await in_database(_rows)():
            if slug in self._views:
                known = decode_description(bytes(description)) if description else None
                self._change(slug, description=known, described_at=described_at, state_since=since)

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

    async def connected(self, slug: str, epoch: int, description: FacilityDescription) -> None:
        """Its agent has opened a session. One that a newer session has overtaken is left alone."""
        if slug not in self._views or epoch < self._views[slug].epoch:
            return
        now = self._clock()
        self._change(slug, description=description, described_at=now, online=True, state_since=now, epoch=epoch)
        await self._save(slug)

    async def disconnected(self, slug: str, epoch: int) -> None:
        """The session of this epoch has ended; a newer one is left alone."""
        if slug in self._views and self._views[slug].epoch == epoch and self._views[slug].online:
            self._change(slug, online=False, state_since=self._clock())
            await self._save(slug)

    async def described(self, slug: str, description: FacilityDescription) -> None:
        """It described itself anew."""
        self._change(slug, description=description, described_at=self._clock())
        await self._save(slug)

    def _change(self, slug: str, **fields: object) -> None:
        if slug not in self._views:
            return
        self._views[slug] = replace(self._views[slug], **fields)  # type: ignore[arg-type]
        self.version += 1
        for listener in tuple(self._listeners):
            listener(slug)

    async def _save(self, slug: str) -> None:
        view = self._views[slug]
        body = encode_description(view.description) if view.description else None
        await in_database(_store)(slug, body, view.described_at, view.state_since)


def _rows() -> list[tuple[str, bytes | memoryview | None, float | None, float | None]]:
    return list(Facility.objects.values_list("slug", "description", "described_at", "state_since"))


def _store(slug: str, description: bytes | None, described_at: float | None, state_since: float | None) -> None:
    Facility.objects.update_or_create(
        slug=slug, defaults={"description": description, "described_at": described_at, "state_since": state_since}
    )
