"""Query.findDataset, Mutation.restoreDataset and Subscription.datasetChanged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from graphql import GraphQLResolveInfo

from central_portal.api import render, render_data
from central_portal.api.context import Context
from central_portal.api.ids import parse
from shared.commands import Problem
from shared.errors import ParasolError


async def find_dataset(
    _: Any, info: GraphQLResolveInfo, pid: str | None = None, doi: str | None = None, facility: str | None = None
) -> render.Data:
    """Query.findDataset."""
    context: Context = info.context
    slug = parse("Facility", facility)[0] if facility else ""
    found = await context.services.finding.find(context.caller, pid or "", doi or "", slug)
    return render_data.dataset(found.dataset, (await context.homes())[found.facility])


async def restore_dataset(_: Any, info: GraphQLResolveInfo, input: Mapping[str, Any]) -> render.Data:  # noqa: A002 (GraphQL's name)
    """Mutation.restoreDataset."""
    context: Context = info.context
    try:
        slug, pid = parse("Dataset", input["dataset"])
        done = await context.services.restoring.restore(context.signed_in(), slug, pid)
    except ParasolError as error:
        return {"dataset": None, "waiting": False, "problem": render.problem(Problem.of(error))}
    return {"dataset": await _seen(context, slug, pid) if done else None, "waiting": not done, "problem": None}


async def _seen(context: Context, slug: str, pid: str) -> render.Data | None:
    """The dataset, None when it cannot be read just now: the order was taken all the same."""
    try:
        found = await context.services.search.dataset(context.caller, slug, pid)
    except ParasolError:
        return None
    return render_data.dataset(found, (await context.homes())[slug])


async def dataset_changed(_: Any, info: GraphQLResolveInfo, dataset: str) -> AsyncIterator[render.Data]:
    """Subscription.datasetChanged."""
    context: Context = info.context
    slug, pid = parse("Dataset", dataset)
    async with aclosing(context.services.restoring.watch(context.caller, slug, pid)) as changes:  # type: ignore[type-var]
        async for found in changes:
            homes = await context.homes()
            if slug in homes:
                yield {"datasetChanged": render_data.dataset(found, homes[slug])}
