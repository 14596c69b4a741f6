"""The top-level resolvers. Everything below them is plain data (`render`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from graphql import GraphQLResolveInfo

from central_portal.api import render, render_data
from central_portal.api.context import Context
from central_portal.api.datasets import dataset_changed, find_dataset, restore_dataset
from central_portal.api.ids import global_id, parse, workspace_uuid
from central_portal.api.open_data import open_datasets
from central_portal.api.searches import files, proposal, proposals, search, search_progress, techniques
from central_portal.workspaces.logic import WorkspaceView
from shared.commands import Problem
from shared.errors import InvalidRequest, NotFound, ParasolError
from shared.limits import LIMITS
from shared.workspaces import LaunchRequest


def _page(first: int | None, after: str | None) -> tuple[int, int]:
    count = 50 if first is None else first
    if not 1 <= count <= LIMITS.page:
        raise InvalidRequest(f"A page holds 1 to {LIMITS.page} entries.")
    if after and not (after.isascii() and after.isdigit() and len(after) < 10):
        raise InvalidRequest("This page cursor is not one of ours.")
    return count, int(after or 0)


def _context(info: GraphQLResolveInfo) -> Context:
    context: Context = info.context
    return context


async def me(_: Any, info: GraphQLResolveInfo) -> render.Data | None:
    """Query.me."""
    context = _context(info)
    if context.caller is None:
        return None
    homes = await context.homes()
    provider = context.services.federation.provider(context.caller.provider)
    return {
        "id": global_id("Person", str(context.caller.person_id)),
        "name": context.caller.name or "Signed in",
        "provider": provider.title if provider else context.caller.provider,
        "sessionExpiresAt": context.caller.expires_at,
        "accountLinks": [home["accountLink"] for home in homes.values()],
    }


def sign_in_providers(_: Any, info: GraphQLResolveInfo) -> list[render.Data]:
    """Query.signInProviders."""
    return [
        {"id": p.id, "title": p.title, "url": f"/signin/{p.id}"}
        for p in _context(info).services.federation.providers
    ]


async def facilities(
    _: Any, info: GraphQLResolveInfo, first: int | None = None, after: str | None = None
) -> render.Data:
    """Query.facilities."""
    count, offset = _page(first, after)
    homes = list((await _context(info).homes()).values())
    return render.connection(homes[offset : offset + count], offset, len(homes))


async def facility(_: Any, info: GraphQLResolveInfo, id: str) -> render.Data | None:  # noqa: A002 (GraphQL's name)
    """Query.facility."""
    try:
        slug, _key = parse("Facility", id)
    except NotFound:
        return None
    return (await _context(info).homes()).get(slug)


async def workspaces(
    _: Any, info: GraphQLResolveInfo, first: int | None = None, after: str | None = None
) -> render.Data:
    """Query.workspaces."""
    context, (count, offset) = _context(info), _page(first, after)
    views, total = await context.services.workspaces.page(context.signed_in(), count, offset)
    homes = await context.homes()
    return render.connection([_workspace(context, view, homes) for view in views], offset, total)


def _workspace(context: Context, view: WorkspaceView, homes: Mapping[str, render.Data]) -> render.Data:
    if view.facility not in homes:
        raise render.unknown_facility(view)
    return render.workspace(view, context.services.facilities, homes[view.facility])


async def workspace(_: Any, info: GraphQLResolveInfo, id: str) -> render.Data | None:  # noqa: A002 (GraphQL's name)
    """Query.workspace."""
    context = _context(info)
    try:
        view = await context.services.workspaces.get(context.signed_in(), workspace_uuid(id))
    except NotFound:
        return None
    return _workspace(context, view, await context.homes())


async def workspace_changed(_: Any, info: GraphQLResolveInfo) -> AsyncIterator[render.Data]:
    """Subscription.workspaceChanged."""
    context = _context(info)
    async with aclosing(context.services.workspaces.changes(context.signed_in())) as changes:  # type: ignore[type-var]
        async for view in changes:
            homes = await context.homes()
            if view.facility in homes:
                yield {"workspaceChanged": _workspace(context, view, homes)}


async def node(root: Any, info: GraphQLResolveInfo, id: str) -> render.Data | None:  # noqa: A002 (GraphQL's name)
    """Query.node."""
    context, kind = _context(info), id.partition(":")[0]
    try:
        if kind == "Facility":
            return await facility(root, info, id)
        if kind == "Workspace":
            return await workspace(root, info, id) if context.caller else None
        if kind == "Environment":
            slug, key = parse(kind, id)
            home = (await context.homes()).get(slug)
            return next((e for e in home["environments"] if e["slug"] == key), None) if home else None
        if kind == "Dataset":
            slug, key = parse(kind, id)
            found = await context.services.search.dataset(context.caller, slug, key)
            return render_data.dataset(found, (await context.homes())[slug])
        if kind == "Proposal":
            return await proposal(root, info, id)
    except NotFound:
        return None
    return None


# --- mutations: what is refused is a problem in the payload, so that a form can show it


async def launch_workspace(_: Any, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> render.Data:  # noqa: A002
    """Mutation.launchWorkspace."""
    context = _context(info)
    try:
        caller = context.signed_in()
        slug, environment = parse("Environment", input["environment"])
        if parse("Flavour", input["flavour"])[0] != slug:
            raise InvalidRequest("Environment and size are of different facilities.")
        request = LaunchRequest(
            environment=environment,
            flavour=parse("Flavour", input["flavour"])[1],
            proposals=tuple(dict.fromkeys(input["proposals"])),
            dataset=_dataset_of(slug, input.get("dataset")),
            title=input["title"].strip() or "Workspace",
            lifetime_s=input["lifetimeSeconds"],
        )
        view = await context.services.workspaces.launch(caller, slug, input["id"], request)
    except ParasolError as error:
        return {"workspace": None, "problem": render.problem(Problem.of(error))}
    return {"workspace": _workspace(context, view, await context.homes()), "problem": None}


def _dataset_of(slug: str, text: str | None) -> str:
    if not text:
        return ""
    facility_id, pid = parse("Dataset", text)
    if facility_id != slug:
        raise InvalidRequest("This dataset lies at another facility.")
    return pid


async def stop_workspace(_: Any, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> render.Data:  # noqa: A002
    """Mutation.stopWorkspace."""
    context = _context(info)
    try:
        view = await context.services.workspaces.stop(context.signed_in(), workspace_uuid(input["id"]))
    except ParasolError as error:
        return {"workspace": None, "problem": render.problem(Problem.of(error))}
    return {"workspace": _workspace(context, view, await context.homes()), "problem": None}


async def unlink_account(_: Any, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> render.Data:  # noqa: A002
    """Mutation.unlinkAccount."""
    context = _context(info)
    services = context.services
    try:
        caller = context.signed_in()
        slug = services.facilities.get(parse("Facility", input["facility"])[0]).slug
        done = await services.unlinking.unlink(caller, slug)
    except ParasolError as error:
        return {"facility": None, "waiting": False, "problem": render.problem(Problem.of(error))}
    context._links = None
    return {"facility": (await context.homes())[slug], "waiting": not done, "problem": None}


QUERY = {
    "me": me, "signInProviders": sign_in_providers, "facilities": facilities, "facility": facility, "search": search,
    "files": files, "workspaces": workspaces, "workspace": workspace, "node": node,
    "openDatasets": open_datasets, "proposals": proposals, "proposal": proposal, "techniques": techniques,
    "findDataset": find_dataset,
}  # fmt: skip
MUTATION = {
    "launchWorkspace": launch_workspace, "stopWorkspace": stop_workspace, "unlinkAccount": unlink_account,
    "restoreDataset": restore_dataset,
}  # fmt: skip
SUBSCRIPTION = {
    "searchProgress": search_progress,
    "workspaceChanged": workspace_changed,
    "datasetChanged": dataset_changed,
}
