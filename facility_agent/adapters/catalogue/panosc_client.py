"""A PaNOSC search API as the adapter uses it: anonymous GET requests with `where`-less filters.

Of a filter only what the specification has (https://github.com/panosc-eu/search-api, `doc/query.md`) is used:
`include`, `limit`, `skip`. There is no `order` in it: some servers refuse one and others ignore it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson

from facility_agent.adapters.catalogue.skipping import Moved, pages, whole
from facility_agent.adapters.http import Upstream, listed, unavailable, unusable
from shared.errors import NotFound, Unsupported

NAME = "catalogue"
MOST = 1_000_000
"""Records of one model."""
TRIES = 3
SLACK = 1000
MEMBERS = {"relation": "members", "scope": {"include": [{"relation": "person"}, {"relation": "affiliation"}]}}
RELATED = tuple({"relation": name} for name in ("documents", "techniques", "instrument", "samples", "parameters"))


class Client:
    """Reads one API. Safe to use concurrently. Every method raises BackendUnavailable and BackendError."""

    def __init__(self, upstream: Upstream, page: int, facility: str = "") -> None:
        self._upstream, self._page = upstream, page
        self._narrow = {"facility": facility} if facility else {}

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def count(self, path: str) -> int:
        """How many records there are."""
        said = await self._get(f"{path}/count")
        number = said.get("count") if isinstance(said, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= MOST:
            raise unusable(NAME, f"has no count of {path} from 0 to {MOST}")
        return number

    async def everything(
        self, path: str, counted: int, include: tuple[Any, ...] = ()
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """All records in parts; what came or went meanwhile, or a list without order, may make some come twice.

        Raises BackendError also when there are far more than `counted`.
        """
        for tried in range(TRIES):
            seen = 0
            try:
                async with aclosing(pages(partial(self._list, path, include), _key, self._page)) as parts:
                    async for part in parts:
                        seen += len(part)
                        if seen > 2 * counted + SLACK:
                            raise unusable(NAME, f"to {path} lists {seen} records and more, and counts {counted}")
                        yield part
                return
            except Moved as error:
                if tried == TRIES - 1:
                    raise unusable(NAME, "") from Moved(f"{path}: {error}")

    async def files(self, raw: str, most: int) -> list[dict[str, Any]]:
        """A dataset's files. Raises NotFound, and Unsupported when there are more than `most`."""
        path = f"/Datasets/{quote(raw, safe='')}/files"
        number = await self.count(path)
        if number > most:
            raise Unsupported("This dataset has too many files to be listed here.")
        found = await whole(partial(self._list, path, ()), _key, self._page, most, NAME)
        if len(found) < number:
            raise unusable(NAME, f"lists {len(found)} files and counts {number}")
        return found

    async def members(self, most: int) -> AsyncIterator[list[dict[str, Any]]]:
        """Documents that have members, with these; some may come twice. `most` is how many documents there are.

        An include with a scope joins, and some servers cut a page before they join: so the length of a page says nothing,
        and windows overlap by half.
        """
        for skip in range(0, most, max(self._page // 2, 1)):
            yield await self._list("/Documents", (MEMBERS,), skip, self._page)

    async def _list(self, path: str, include: tuple[Any, ...], skip: int, limit: int) -> list[dict[str, Any]]:
        asked: dict[str, Any] = {"limit": limit, "skip": skip}
        if include:
            asked["include"] = include
        return listed(NAME, await self._get(path, filter=orjson.dumps(asked).decode()), MOST)

    async def _get(self, path: str, **query: str) -> Any:
        """The one place where the API's errors become ours. Raises NotFound too."""
        answer = await self._upstream.send("GET", path, query=query | self._narrow)
        if answer.status == 429 or answer.status >= 500:
            raise unavailable(NAME) from ValueError(f"status {answer.status}")
        if answer.status == 404:
            raise NotFound("There is no such record.")
        said = await answer.json()
        if answer.status != 200:
            error = said.get("error") if isinstance(said, dict) else None
            why = error.get("message") if isinstance(error, dict) else error
            raise unusable(NAME, f"to {path} is a refusal ({answer.status}): {str(why)[:200]!r}")
        return said


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    """What tells a record from the others: its pid; of files the place, since their ids may be for one answer only."""
    names = ("pid",) if isinstance(row.get("pid"), str) else ("path", "name") if "name" in row else ("id",)
    return tuple(str(row.get(name))[:1000] for name in names)
