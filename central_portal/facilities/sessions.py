"""Short, atomic, synchronous functions on the rows of facilities' sessions. Call them through `in_database`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import BooleanField, ExpressionWrapper, F, Q

from central_portal.database import DatabaseClock
from central_portal.facilities.heads import kept
from central_portal.facilities.logic import KnownAgent, judge
from central_portal.facilities.models import Facility, FacilitySession
from central_portal.link.ports import Admission, Beat, HelloFacts, HubPlace

_FREE = (
    " AND slug IN (SELECT slug FROM facilities_facilitysession WHERE hub_id = %s FOR NO KEY UPDATE SKIP LOCKED)"
)
_ALIVE = ExpressionWrapper(Q(lease_until__isnull=False, lease_until__gt=DatabaseClock()), BooleanField())


def admit(facility_id: str, hello: HelloFacts, hub: HubPlace, lease_s: float) -> Admission:
    """See `link.ports.Registry.admit`."""
    with transaction.atomic():
        row = _locked(facility_id)
        if row is None:
            FacilitySession.objects.get_or_create(slug=facility_id)
            row = _locked(facility_id)
        known = KnownAgent(row.instance_id, row.boot_counter, row.store_id, tuple(row.past_instances))
        verdict = judge(known if row.epoch else None, hello)
        row.epoch += 1
        row.version += 1
        row.quarantined_why = row.quarantined_why or verdict.quarantine
        if row.quarantined_why:
            row.hub_id = row.hub_address = row.session_id = ""
            row.lease_until = min(row.lease_until or row.now, row.now)
        else:
            _take(row, verdict.known, hello, hub, lease_s)
            describe(facility_id, hello.description)
        row.save(force_update=True)
    return Admission(row.epoch, verdict.reconcile, row.quarantined_why, kept(facility_id))


def _locked(facility_id: str) -> Any:
    rows = FacilitySession.objects.select_for_update().annotate(now=DatabaseClock(), alive=_ALIVE)
    return rows.filter(slug=facility_id).first()


def describe(facility_id: str, description: bytes) -> None:
    """Keep what a facility says of itself."""
    said = {"description": description, "described_at": DatabaseClock()}
    if not Facility.objects.filter(slug=facility_id).update(**said):
        Facility.objects.update_or_create(slug=facility_id, defaults=said)


def _take(row: Any, agent: KnownAgent, hello: HelloFacts, hub: HubPlace, lease_s: float) -> None:
    if not row.alive:
        row.connected_at = row.now
    if row.session_id:  # nobody has told how the last one ended, so the agent's word counts
        row.last_ending = hello.previous_ending
    row.hub_id, row.hub_address, row.session_id = hub.id, hub.address, hello.session_id
    row.lease_until, row.rtt = row.now + lease_s, None
    row.instance_id, row.boot_counter, row.store_id = agent.instance_id, agent.boot_counter, agent.store_id
    row.past_instances = list(agent.past_instances)
    row.software = hello.software
    row.certificate_until = row.now + hello.certificate_s if hello.certificate_s else None


def renew(hub_id: str, sessions: Mapping[str, Beat], lease_s: float) -> frozenset[str]:
    """See `link.ports.Registry.renew`; one statement, whatever the number of sessions.

    Rows that a writer's fence holds at that moment are renewed one by one afterwards: a statement that holds one row
    and waits for another could wait in a circle with it.
    """
    kept = _renew(hub_id, sessions, lease_s, skip_locked=connection.features.has_select_for_update_skip_locked)
    for slug in sessions.keys() - kept:
        kept |= _renew(hub_id, {slug: sessions[slug]}, lease_s)
    return kept


def _renew(
    hub_id: str, sessions: Mapping[str, Beat], lease_s: float, *, skip_locked: bool = False
) -> frozenset[str]:
    if not sessions:
        return frozenset()
    now = DatabaseClock.POSTGRESQL if connection.vendor == "postgresql" else DatabaseClock.SQLITE
    one = "(%s, CAST(%s AS bigint), CAST(%s AS double precision))"
    statement = (
        f"UPDATE facilities_facilitysession SET lease_until = {now} + %s, rtt = beat.column3"  # noqa: S608
        f" FROM (VALUES {', '.join([one] * len(sessions))}) AS beat"
        f" WHERE slug = beat.column1 AND epoch = beat.column2 AND hub_id = %s{_FREE if skip_locked else ''}"
        " RETURNING slug"
    )
    values = [word for slug, beat in sessions.items() for word in (slug, beat.epoch, beat.rtt)]
    with connection.cursor() as cursor:
        cursor.execute(statement, [lease_s, *values, hub_id, *([hub_id] if skip_locked else [])])
        return frozenset(slug for (slug,) in cursor.fetchall())


def close(facility_id: str, epoch: int, ending: str) -> bool:
    """See `link.ports.Registry.close`; False when the session is not the facility's any more."""
    mine = FacilitySession.objects.filter(slug=facility_id, epoch=epoch).exclude(session_id="")
    return (
        mine.update(
            lease_until=DatabaseClock(), last_ending=ending, session_id="", rtt=None, version=F("version") + 1
        )
        > 0
    )


def end_leases() -> None:
    """No session is alive: of a centre in one process, which has just started."""
    FacilitySession.objects.filter(lease_until__gt=DatabaseClock()).update(
        lease_until=DatabaseClock(), version=F("version") + 1
    )


def release(facility_id: str) -> bool:
    """End a quarantine: the next agent to come is believed. False when there was none."""
    quarantined = FacilitySession.objects.filter(slug=facility_id).exclude(quarantined_why="")
    return quarantined.update(
        quarantined_why="", instance_id="", boot_counter=0, store_id="", past_instances=[], version=F("version") + 1
    ) > 0  # fmt: skip


def touch(facility_id: str, epoch: int) -> bool:
    """Something else of the facility is about to change that is shown; False when `epoch` is not its session's."""
    rows = FacilitySession.objects.filter(slug=facility_id, epoch=epoch)
    return rows.update(version=F("version") + 1) > 0


@dataclass(frozen=True, slots=True)
class Mark:
    """Tells whether a facility's rows have changed: equal marks, equal rows."""

    version: int
    alive: bool


def marks() -> dict[str, Mark]:
    """The mark of every facility: the cheap look."""
    rows = FacilitySession.objects.annotate(alive=_ALIVE).values_list("slug", "version", "alive")
    return {slug: Mark(version, alive) for slug, version, alive in rows}


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A facility's session as it stands. `since` is when it came to be as it is. Times are the database's."""

    slug: str
    mark: Mark
    epoch: int
    hub_id: str
    hub_address: str
    since: float | None
    last_ending: str
    quarantined_why: str
    rtt: float | None
    software: str
    certificate_until: float | None


def rows_of(slugs: list[str] | None = None) -> list[SessionRow]:
    """The sessions of these facilities, or all, by facility."""
    rows = FacilitySession.objects.annotate(alive=_ALIVE).order_by("slug")
    if slugs is not None:
        rows = rows.filter(slug__in=slugs)
    return [
        SessionRow(
            r.slug, Mark(r.version, r.alive), r.epoch, r.hub_id, r.hub_address,
            r.connected_at if r.alive else r.lease_until, r.last_ending, r.quarantined_why, r.rtt, r.software,
            r.certificate_until,
        )
        for r in rows
    ]  # fmt: skip
