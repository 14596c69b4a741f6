"""Hostile text in each filter of a catalogue, asked by a stranger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from facility_agent.ports.catalogue import STRANGER, CatalogueBackend
from facility_agent.probing import rules
from facility_agent.probing.results import FAULT, Place
from shared.catalogue import SearchQuery
from shared.errors import InvalidRequest, NotFound, ParasolError

PAGE, AT_ONCE = 50, 4
PATIENCE = 0.7
"""The part of its time after which a probe of many questions asks no more of them."""


async def hostile(backend: CatalogueBackend, place: Place, seconds: float) -> None:
    """It finds nothing that is not open, and nothing by a name that nothing has; afterwards what was there still is."""
    questions, end = rules.strange_questions(), time.monotonic() + PATIENCE * seconds
    before, asked = await _first(backend), 0
    for begin in range(0, len(questions), AT_ONCE):
        if time.monotonic() > end:
            break
        part = questions[begin : begin + AT_ONCE]
        for broken in await asyncio.gather(*(_answered(backend, name, query) for name, query in part)):
            if broken:
                place.fail("hostile text", broken, FAULT)
                return
        asked += len(part)
    await _still_there(backend, before, place)
    if asked < len(questions):
        said = f"Only {asked} of {len(questions)} questions could be asked in the time."
        place.warn("hostile text", said, "Probe again with a larger --within.")
    place.ok("hostile text", f"{asked} questions with text such as {rules.STRANGE[0]!r} are only text.")


async def _still_there(backend: CatalogueBackend, before: Sequence[str], place: Place) -> None:
    after = set(await _first(backend))
    for pid in [pid for pid in before if pid not in after][:AT_ONCE]:
        try:
            await backend.get(pid, STRANGER)
        except NotFound:
            said = f"{pid!r} was there before these questions and is not any more."
            place.warn("hostile text", said, "See whether somebody removed it just now.")


async def _first(backend: CatalogueBackend) -> list[str]:
    return [d.pid for d in (await backend.search(SearchQuery(limit=PAGE), STRANGER)).datasets]


async def _answered(backend: CatalogueBackend, name: str, query: SearchQuery) -> str:
    """What is wrong with the answer, empty for nothing."""
    try:
        page = await backend.search(query, STRANGER)
    except InvalidRequest:
        return ""
    except ParasolError as error:
        said = getattr(query, name)
        text = said if isinstance(said, str) else said[0]
        return f"The filter `{name}` with {text!r} ends in {error.reason}: {error.message}"
    return next(rules.of_strange(name, query, page), "")
