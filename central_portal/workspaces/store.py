"""Short, atomic, synchronous functions on the table of workspaces."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import asdict

from django.db import IntegrityError, transaction

from central_portal.workspaces.logic import Step, WorkspaceView
from central_portal.workspaces.models import Workspace
from shared.workspaces import StepName, WorkspaceState

CHUNK = 500
_FINAL = [state.value for state in WorkspaceState if state.is_final]


def view_of(row: Workspace) -> WorkspaceView:
    """A row as a value."""
    return WorkspaceView(
        id=str(row.id), person_id=row.person_id, facility=row.facility, environment=row.environment,
        environment_title=row.environment_title, flavour=row.flavour, proposals=tuple(row.proposals),
        dataset=row.dataset, title=row.title, lifetime_s=row.lifetime_s, state=WorkspaceState(row.state),
        sequence=row.sequence, steps=tuple(Step(StepName(n), at, detail) for n, at, detail in row.steps),
        reason=row.reason, message=row.message, requested_at=row.requested_at, changed_at=row.changed_at,
        seen_at=row.seen_at, ends_at=row.ends_at, stop_requested_at=row.stop_requested_at,
    )  # fmt: skip


def _fields(view: WorkspaceView) -> dict[str, object]:
    fields = asdict(view)
    return fields | {
        "id": uuid.UUID(view.id),
        "state": view.state.value,
        "proposals": list(view.proposals),
        "steps": [[step.name.value, step.entered_at, step.detail] for step in view.steps],
    }


def insert(view: WorkspaceView) -> WorkspaceView | None:
    """Store a new row; the row that is there already when the id was used, None when it was stored."""
    try:
        with transaction.atomic():
            Workspace.objects.create(**_fields(view))
    except IntegrityError:
        row = Workspace.objects.filter(pk=uuid.UUID(view.id)).first()
        if row is None:
            raise
        return view_of(row)
    return None


def change(
    workspace_id: str, decide: Callable[[WorkspaceView], WorkspaceView]
) -> tuple[WorkspaceView, bool] | None:
    """Read, decide and write one row in one transaction; (row, whether it changed), None when there is none."""
    with transaction.atomic():
        row = Workspace.objects.select_for_update().filter(pk=uuid.UUID(workspace_id)).first()
        if row is None:
            return None
        before = view_of(row)
        after = decide(before)
        if after != before:
            Workspace.objects.filter(pk=row.pk).update(**_fields(after))
    return after, after != before


def changed(workspace_id: str, decide: Callable[[WorkspaceView], WorkspaceView]) -> list[WorkspaceView]:
    """Like `change`: the row in a list when it changed, an empty list otherwise."""
    done = change(workspace_id, decide)
    return [done[0]] if done is not None and done[1] else []


def get(workspace_id: str) -> WorkspaceView | None:
    """One row."""
    row = Workspace.objects.filter(pk=uuid.UUID(workspace_id)).first()
    return view_of(row) if row else None


def named(facility: str, ids: Collection[str]) -> list[WorkspaceView]:
    """Those of a facility's rows that have one of these ids."""
    wanted = [uuid.UUID(workspace_id) for workspace_id in ids]
    chunks = (wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK))
    return [view_of(row) for keys in chunks for row in Workspace.objects.filter(facility=facility, pk__in=keys)]


def seen(ids: Collection[str], now: float) -> None:
    """The facility has spoken of these, and nothing has changed."""
    wanted = [uuid.UUID(workspace_id) for workspace_id in ids]
    for start in range(0, len(wanted), CHUNK):
        Workspace.objects.filter(pk__in=wanted[start : start + CHUNK]).update(seen_at=now)


def of_person(
    person_id: int, first: int, offset: int, facilities: Collection[str]
) -> tuple[list[WorkspaceView], int]:
    """A person's rows at these facilities, newest first, and how many there are."""
    rows = Workspace.objects.filter(person_id=person_id, facility__in=facilities).order_by("-requested_at", "id")
    return [view_of(row) for row in rows[offset : offset + first]], rows.count()


def living(facility: str | None = None, person_id: int | None = None) -> list[WorkspaceView]:
    """Rows that have not ended, of one facility or one person."""
    rows = Workspace.objects.exclude(state__in=_FINAL)
    if facility is not None:
        rows = rows.filter(facility=facility)
    if person_id is not None:
        rows = rows.filter(person_id=person_id)
    return [view_of(row) for row in rows.order_by("requested_at", "id")]


def changed_since(person_ids: Collection[int], since: float) -> list[WorkspaceView]:
    """Rows of these persons that changed after an instant, in the order in which they did."""
    rows = Workspace.objects.filter(changed_at__gte=since, person_id__in=person_ids)
    return [view_of(row) for row in rows.order_by("changed_at", "id")]
