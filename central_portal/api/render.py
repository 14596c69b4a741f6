"""What the read models hold, as the plain data that the schema describes: dicts with GraphQL's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from central_portal.api.ids import global_id
from central_portal.facilities.services import Facilities, FacilityView
from central_portal.identity.services import AccountLinkInfo
from central_portal.workspaces.logic import WorkspaceView, shown_steps, state_to_show
from shared.commands import Problem
from shared.errors import NotFound
from shared.facilities import Environment, Flavour, UsedAs
from shared.identity import LinkState
from shared.limits import LIMITS
from shared.workspaces import WorkspaceState

Data = dict[str, Any]


def problem(value: Problem | None) -> Data | None:
    """A problem."""
    if value is None:
        return None
    variables = [{"name": name, "value": text} for name, text in sorted(value.metadata.items())]
    return {"code": value.reason, "message": value.message, "retryable": value.retryable, "metadata": variables}


def account_link(facility: Data, slug: str, info: AccountLinkInfo | None) -> Data:
    """What the portal knows of one account link."""
    grant = None
    if info is not None and info.grant_expires_at is not None:
        grant = {"scopes": sorted(s.name for s in info.scopes), "expiresAt": info.grant_expires_at}
    return {
        "__typename": "AccountLink",
        "id": global_id("AccountLink", slug),
        "facility": facility,
        "state": info.state if info else LinkState.UNKNOWN,
        "checkedAt": info.checked_at if info else None,
        "grant": grant,
    }


def facility(view: FacilityView, age_s: int) -> Data:
    """A facility as an anonymous reader sees it, whose capabilities were last said to hold `age_s` ago."""
    said = view.description
    data: Data = {
        "__typename": "Facility",
        "id": global_id("Facility", view.slug),
        "slug": view.slug,
        "name": view.name,
        "place": said.place if said else "",
        "country": said.country if said else "",
        "description": said.description if said else "",
        "website": (said and said.website) or None,
        "dataPortal": (said and said.data_portal) or None,
        "contact": (said and said.contact) or None,
        "state": "ONLINE" if view.online else "OFFLINE",
        "stateSince": view.state_since,
        "agentVersion": (said and said.agent_version) or None,
        "describedAt": view.described_at,
        "capabilities": _capabilities(view, age_s),
        "services": [
            {"id": s.id, "title": s.title, "description": s.description, "url": s.url}
            for s in (said.services if said else ())
        ],
        "instruments": list(said.instruments) if said else [],
        "openProposals": list(said.open_proposals) if said else [],
        "gateway": view.table.gateway,
        "connectUrl": f"/connect/{view.slug}",
    }
    sizes = {f.id: flavour(view.slug, f) for f in (said.flavours if said else ())}
    data["flavours"] = list(sizes.values())
    data["environments"] = [environment(view.slug, e, sizes, data) for e in (said.environments if said else ())]
    data["accountLink"] = None
    return data


def personal_facility(home: Data, info: AccountLinkInfo | None) -> Data:
    """The facility as a person sees it of whose account link `info` is known."""
    data = dict(home)
    data["environments"] = [{**offered, "facility": data} for offered in home["environments"]]
    data["accountLink"] = account_link(data, home["slug"], info)
    return data


def age(view: FacilityView, now: float) -> int:
    """Seconds since a facility's description was last said to hold."""
    # While the link is up, what was said at its start holds: the agent describes itself anew at each change.
    return 0 if view.online else max(0, int(now - (view.state_since or view.described_at or 0.0)))


def _capabilities(view: FacilityView, age_s: int) -> list[Data]:
    return [
        {
            "id": c.id, "kind": c.kind, "title": c.title, "detail": c.detail, "reportedAt": view.described_at,
            "ageSeconds": age_s, "stale": age_s > LIMITS.stale_capability,
        }
        for c in (view.description.capabilities if view.description else ())
    ]  # fmt: skip


def flavour(slug: str, value: Flavour) -> Data:
    """A size."""
    return {
        "id": global_id("Flavour", slug, value.id), "slug": value.id, "title": value.title, "cpus": value.cpus,
        "memory": value.memory, "gpus": value.gpus, "storage": value.storage, "longestSeconds": value.longest_s,
    }  # fmt: skip


def environment(slug: str, value: Environment, sizes: Mapping[str, Data], home: Data) -> Data:
    """Something that can be started."""
    return {
        "__typename": "Environment",
        "id": global_id("Environment", slug, value.id),
        "slug": value.id,
        "title": value.title,
        "description": value.description,
        "usedAs": value.used_as.name,
        "carriedBy": value.carried_by.name,
        "isolation": value.isolation.upper(),
        "software": [{"name": s.name, "version": s.version} for s in value.software],
        "flavours": [sizes[name] for name in value.flavours if name in sizes],
        "recommendedFlavour": sizes.get(value.recommended),
        "facility": home,
    }


def page_info(nodes: list[Data], end: str, *, more: bool, before: bool = False) -> Data:
    """Where a page lies."""
    return {
        "hasNextPage": more, "hasPreviousPage": before, "startCursor": None, "endCursor": end or None if nodes else None,
    }  # fmt: skip


def connection(nodes: list[Data], offset: int, total: int) -> Data:
    """A page of a list whose total is known; cursors are places in it."""
    edges = [{"node": node, "cursor": str(offset + index + 1)} for index, node in enumerate(nodes)]
    end = str(edges[-1]["cursor"]) if edges else ""
    info = page_info(nodes, end, more=offset + len(nodes) < total, before=offset > 0)
    info["startCursor"] = edges[0]["cursor"] if edges else None
    return {"nodes": nodes, "edges": edges, "pageInfo": info, "totalCount": total}


def workspace(value: WorkspaceView, facilities: Facilities, home: Data) -> Data:
    """A workspace; what the facility does not offer any more is null."""
    view = facilities.get(value.facility)
    state = state_to_show(value, view.online)
    environment = _offered(home["environments"], value.environment)
    is_task = environment is not None and environment["usedAs"] == UsedAs.TASK.name
    is_open = value.state is WorkspaceState.RUNNING and not is_task
    return {
        "__typename": "Workspace",
        "id": global_id("Workspace", value.id),
        "uuid": value.id,
        "title": value.title,
        "facility": home,
        "environment": environment,
        "environmentTitle": value.environment_title,
        "flavour": _offered(home["flavours"], value.flavour),
        "proposals": list(value.proposals),
        "state": state,
        "sequence": value.sequence,
        "steps": [
            {"name": s.name, "state": s.state, "detail": s.detail or None, "enteredAt": s.entered_at}
            for s in shown_steps(value.state, value.steps, value.requested_at)
        ],
        "problem": problem(value.problem),
        "requestedAt": value.requested_at,
        "changedAt": value.changed_at,
        "seenAt": value.seen_at,
        "endsAt": value.ends_at,
        "waitsUntil": value.requested_at + LIMITS.order_life if value.state is WorkspaceState.REQUESTED else None,
        "stopRequestedAt": value.stop_requested_at,
        "openUrl": view.table.workspace_url(quote(value.id)) if is_open else None,
    }


def _offered(items: list[Data], slug: str) -> Data | None:
    return next((item for item in items if item["slug"] == slug), None)


def unknown_facility(view: WorkspaceView) -> NotFound:
    """For a row whose facility has left the federation."""
    return NotFound("This facility has left the federation.", metadata={"facility": view.facility})
