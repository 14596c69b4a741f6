"""The resolvers that ask facilities for datasets, proposals and files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from graphql import GraphQLResolveInfo

from central_portal.api import render_data
from central_portal.api.context import Context
from central_portal.api.ids import parse
from central_portal.api.render import Data
from central_portal.catalogue.logic import suggested, terms_of
from shared.catalogue import Order, ProposalQuery, SearchQuery
from shared.commands import GetFiles
from shared.errors import NotFound


def _context(info: GraphQLResolveInfo) -> Context:
    context: Context = info.context
    return context


def _facilities(fields: Mapping[str, Any]) -> list[str]:
    return [parse("Facility", text)[0] for text in fields.get("facilities") or ()]


def _query(fields: Mapping[str, Any], first: int | None) -> SearchQuery:
    return SearchQuery(
        text=fields.get("text") or "",
        proposals=tuple(fields.get("proposals") or ()),
        instruments=tuple(fields.get("instruments") or ()),
        since=fields.get("since"),
        until=fields.get("until"),
        limit=50 if first is None else first,
        sample=fields.get("sample") or "",
        techniques=terms_of(fields.get("techniques") or ()),
        order=Order(fields.get("order") or Order.NEWEST),
    )


async def search(
    _: Any, info: GraphQLResolveInfo, query: Mapping[str, Any], first: int | None = None, after: str | None = None
) -> Data:
    """Query.search."""
    context = _context(info)
    asked = _query(query, first)
    merged = await context.services.search.search(context.caller, asked, _facilities(query), after or "")
    return render_data.search_result(merged, await context.homes())


async def search_progress(
    _: Any, info: GraphQLResolveInfo, query: Mapping[str, Any], first: int | None = None
) -> AsyncIterator[Data]:
    """Subscription.searchProgress."""
    context = _context(info)
    asked = _query(query, first)
    found = context.services.search.progress(context.caller, asked, _facilities(query))
    async with aclosing(found) as slices:  # type: ignore[type-var]
        async for merged in slices:
            yield {"searchProgress": render_data.search_result(merged, await context.homes())}


async def proposals(
    _: Any, info: GraphQLResolveInfo, query: Mapping[str, Any] | None = None, first: int | None = None,
    after: str | None = None,
) -> Data:  # fmt: skip
    """Query.proposals."""
    context, fields = _context(info), query or {}
    asked = ProposalQuery(text=fields.get("text") or "", limit=50 if first is None else first)
    merged = await context.services.search.proposals(context.signed_in(), asked, _facilities(fields), after or "")
    return render_data.proposal_result(merged, await context.homes())


async def proposal(_: Any, info: GraphQLResolveInfo, id: str) -> Data | None:  # noqa: A002 (GraphQL's name)
    """Query.proposal."""
    context = _context(info)
    try:
        slug, pid = parse("Proposal", id)
        found = await context.services.search.proposal(context.caller, slug, pid)
    except NotFound:
        return None
    return render_data.proposal(found, (await context.homes())[slug])


def techniques(_: Any, info: GraphQLResolveInfo, text: str) -> list[Data]:
    """Query.techniques."""
    return [render_data.technique(term) for term in suggested(text)]


async def files(
    _: Any, info: GraphQLResolveInfo, dataset: str, first: int | None = None, after: str | None = None
) -> Data | None:
    """Query.files."""
    context = _context(info)
    count = 50 if first is None else first
    try:
        slug, pid = parse("Dataset", dataset)
        found = await context.services.search.files(context.caller, slug, GetFiles(pid, count, after or ""))
    except NotFound:
        return None
    return render_data.files(found)
