"""A search as conditions in ICAT's query language, and what the language cannot say. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from facility_agent.adapters.catalogue.icat_map import dataset
from facility_agent.adapters.catalogue.icat_query import ROW, like, moment, one_of
from facility_agent.adapters.catalogue.icat_rules import OWN
from shared.catalogue import SearchQuery
from shared.techniques import narrower, spellings


def asked(query: SearchQuery, zone: ZoneInfo) -> tuple[str, list[str]]:
    """The joins and conditions of a question; relations that may be missing are joined, as a path would drop rows."""
    joins, conditions = "", list[str]()
    if query.proposals:
        conditions.append(f"{ROW}.investigation.name {one_of(query.proposals)}")
    if query.instruments:
        joins += f" JOIN {ROW}.datasetInstruments AS {OWN}1 JOIN {OWN}1.instrument AS {OWN}2"
        conditions.append(f"{OWN}2.name {one_of(query.instruments)}")
    if query.techniques:
        wanted = sorted({s for t in query.techniques for n in narrower(t) for s in spellings(n)})
        joins += f" JOIN {ROW}.datasetTechniques AS {OWN}3 JOIN {OWN}3.technique AS {OWN}4"
        conditions.append(f"({OWN}4.pid {one_of(wanted)} OR {OWN}4.name {one_of(wanted)})")
    if query.sample.split():
        joins += f" JOIN {ROW}.sample AS {OWN}5"
        conditions += [words(word, f"{OWN}5.name") for word in query.sample.split()]
    if query.text.split():
        joins += f" LEFT JOIN {ROW}.sample AS {OWN}6"
        joins += f" LEFT JOIN {ROW}.datasetInstruments AS {OWN}7 LEFT JOIN {OWN}7.instrument AS {OWN}8"
    conditions += [words(word, *_TEXT) for word in query.text.split()]
    if query.since is not None:
        conditions.append(f"{ROW}.startDate >= {moment(query.since, zone, up=False)}")
    if query.until is not None:
        conditions.append(f"{ROW}.startDate <= {moment(query.until, zone, up=True)}")
    return joins.strip(), conditions


_TEXT = (
    f"{ROW}.name", f"{ROW}.description", f"{ROW}.type.name", f"{ROW}.investigation.name", f"{ROW}.investigation.title",
    f"{OWN}6.name", f"{OWN}8.name",
)  # fmt: skip


def words(word: str, *paths: str) -> str:
    """That a word occurs in one of these."""
    return "(" + " OR ".join(f"LOWER({path}) {like(word)}" for path in paths) + ")"


def within(query: SearchQuery, rank: float) -> bool:
    """Whether a key's time is among those asked for, to the fraction of a second."""
    return (query.since is None or -rank >= query.since) and (query.until is None or -rank <= query.until)


def still_found(query: SearchQuery, row: Mapping[str, Any]) -> bool:
    """Whether a row is found by what is its own, when the reader may not see its investigation."""
    own = dataset(row, is_open=False)
    said = f"{own.title} {row.get('description', '')} {own.definition} {own.instrument}".lower()
    asks_more = bool(query.proposals or query.sample.split())
    return not asks_more and all(word.lower() in said for word in query.text.split())
