"""Query.openDatasets: the mirror as harvesters read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import GraphQLResolveInfo

from central_portal.api import render, render_data
from central_portal.api.context import Context
from central_portal.api.ids import global_id, parse
from central_portal.api.selected import selects
from central_portal.database import in_database
from central_portal.mirror import store
from shared import cursors
from shared.errors import InvalidRequest
from shared.limits import LIMITS

_BEGINNING = (0.0, 0)


async def open_datasets(
    _: Any, info: GraphQLResolveInfo, facilities: list[str] | None = None, first: int | None = None,
    after: str | None = None, updatedSince: float | None = None,  # noqa: N803 (GraphQL's name)
) -> render.Data:  # fmt: skip
    """Query.openDatasets."""
    context: Context = info.context
    count = 50 if first is None else first
    if not 1 <= count <= LIMITS.page:
        raise InvalidRequest(f"A page holds 1 to {LIMITS.page} entries.")
    homes = await context.homes()
    chosen = {context.services.facilities.get(parse("Facility", text)[0]).slug for text in facilities or ()}
    slugs = sorted(chosen or homes)
    found, total = await in_database(store.changed)(slugs, updatedSince, _place(after), count + 1)
    page = found[:count]
    edges = [_edge(change, homes[change.facility]) for change in page]
    standings = await in_database(store.standings)(slugs)
    facets = await _facets(context, slugs, homes) if selects(info, "facets") else None
    return {
        "edges": edges,
        "pageInfo": {
            "hasNextPage": len(found) > count, "hasPreviousPage": False,
            "startCursor": edges[0]["cursor"] if edges else None, "endCursor": edges[-1]["cursor"] if edges else after,
        },
        "totalCount": total,
        "mirrors": [
            {"facility": homes[s.facility], "ageSeconds": s.age, "isComplete": s.complete} for s in standings
        ],
        "facets": facets,
    }  # fmt: skip


async def _facets(context: Context, slugs: list[str], homes: Mapping[str, render.Data]) -> render.Data:
    counted = await in_database(context.services.open_counts.facets)(slugs)
    return {
        "facilities": render_data.facility_facets(counted.facilities, homes),
        "instruments": render_data.plain_facets(counted.instruments),
        "techniques": render_data.technique_facets(counted.techniques),
        "years": render_data.plain_facets(counted.years),
    }


def _edge(change: store.Change, home: render.Data) -> render.Data:
    cursor = cursors.write(change.changed_at, change.place)
    return {
        "id": global_id("Dataset", change.facility, change.pid), "cursor": cursor, "changedAt": change.changed_at,
        "isGone": change.dataset is None, "node": render_data.dataset(change.dataset, home) if change.dataset else None,
    }  # fmt: skip


def _place(after: str | None) -> tuple[float, int]:
    if not after:
        return _BEGINNING
    at, place = cursors.read(after, float, int)
    if not 0 <= at < 1e12 or not 0 <= place < 2**63:
        raise InvalidRequest(cursors.FOREIGN)
    return at, place
