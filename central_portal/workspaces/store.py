"""Short, atomic, synchronous functions on the table of workspaces."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from central_portal.bulk import insert_rows, lock_rows, read_rows, update_rows
from central_portal.workspaces.logic import Step, WorkspaceView
from central_portal.workspaces.models import Workspace
from shared.workspaces import StepName, WorkspaceState

_FINAL = [state.value for state in WorkspaceState if state.is_final]


Decide = Callable[[WorkspaceView], WorkspaceView]
_COLUMNS = (
    "id", "person_id", "facility", "environment", "environment_title", "flavour", "proposals", "dataset", "title",
    "lifetime_s", "state", "sequence", "steps", "reason", "message", "requested_at", "changed_at", "seen_at", "ends_at",
    "stop_requested_at",
)  # fmt: skip
_ASKED = (
    "id", "person_id", "facility", "environment", "environment_title", "flavour", "proposals", "dataset", "title",
    "lifetime_s", "requested_at",
)  # fmt: skip
_MUTABLE = (
    "state", "sequence", "steps", "reason", "message", "changed_at", "seen_at", "ends_at", "stop_requested_at",
)  # fmt: skip


def _views(rows: QuerySet[Workspace]) -> list[WorkspaceView]:
    """Rows as values. Made of tuples: a model's instance costs as much as its query."""
    return [_view(row) for row in rows.values_list(*_COLUMNS)]


def _view(row: tuple[Any, ...]) -> WorkspaceView:
    key, *said, proposals, dataset, title, lifetime_s, state, sequence, steps = row[:13]
    entered = tuple(Step(StepName(name), at, detail) for name, at, detail in steps)
    values = (*said, tuple(proposals), dataset, title, lifetime_s, WorkspaceState(state), sequence, entered)
    return WorkspaceView(str(key), *values, *row[13:])


def _steps(view: WorkspaceView) -> list[list[object]]:
    return [[step.name.value, step.entered_at, step.detail] for step in view.steps]


def _mutable(view: WorkspaceView) -> tuple[object, ...]:
    return (
        view.state.value, view.sequence, _steps(view), view.reason, view.message, view.changed_at, view.seen_at,
        view.ends_at, view.stop_requested_at,
    )  # fmt: skip


def insert(views: Iterable[WorkspaceView]) -> None:
    """Store new rows. Raises IntegrityError when an id was used."""
    insert_rows(
        Workspace, (*_ASKED, *_MUTABLE),
        [
            (
                uuid.UUID(v.id), v.person_id, v.facility, v.environment, v.environment_title, v.flavour,
                list(v.proposals), v.dataset, v.title, v.lifetime_s, v.requested_at, *_mutable(v),
            )
            for v in views
        ],
    )  # fmt: skip


def change_all(decisions: Sequence[tuple[str, Decide]]) -> list[tuple[WorkspaceView, bool] | None]:
    """Read, decide and write rows in one transaction; of each (row, whether it changed), None when there is none."""
    keys = {uuid.UUID(workspace_id) for workspace_id, _ in decisions}
    done: list[tuple[WorkspaceView, bool] | None] = []
    with transaction.atomic(savepoint=False):
        rows = map(_view, lock_rows(Workspace, _COLUMNS, keys))
        views, written = {view.id: view for view in rows}, {}
        for workspace_id, decide in decisions:
            before = views.get(workspace_id)
            if before is None:
                done.append(None)
                continue
            after = views[workspace_id] = decide(before)
            done.append((after, after != before))
            if after != before:
                written[uuid.UUID(workspace_id)] = _mutable(after)
        update_rows(Workspace, _MUTABLE, written)
    return done


def change(workspace_id: str, decide: Decide) -> tuple[WorkspaceView, bool] | None:
    """The same for one row."""
    return change_all([(workspace_id, decide)])[0]


def changed(workspace_id: str, decide: Decide) -> list[WorkspaceView]:
    """Like `change`: the row in a list when it changed, an empty list otherwise."""
    done = change(workspace_id, decide)
    return [done[0]] if done is not None and done[1] else []


def get(workspace_id: str) -> WorkspaceView | None:
    """One row."""
    return next(map(_view, read_rows(Workspace, _COLUMNS, {"id": (uuid.UUID(workspace_id),)})), None)


def of_person(
    person_id: int, first: int, offset: int, facilities: Collection[str]
) -> tuple[list[WorkspaceView], int]:
    """A person's rows at these facilities, newest first, and how many there are."""
    rows = Workspace.objects.filter(person_id=person_id, facility__in=facilities).order_by("-requested_at", "id")
    return _views(rows[offset : offset + first]), rows.count()


def living(facility: str | None = None, person_id: int | None = None) -> list[WorkspaceView]:
    """Rows that have not ended, of one facility or one person."""
    rows = Workspace.objects.exclude(state__in=_FINAL)
    if facility is not None:
        rows = rows.filter(facility=facility)
    if person_id is not None:
        rows = rows.filter(person_id=person_id)
    return _views(rows.order_by("requested_at", "id"))


def changed_since(person_ids: Collection[int], since: float) -> list[WorkspaceView]:
    """Rows of these persons that changed after an instant, in the order in which they did."""
    rows = Workspace.objects.filter(changed_at__gte=since, person_id__in=person_ids)
    return _views(rows.order_by("changed_at", "id"))
