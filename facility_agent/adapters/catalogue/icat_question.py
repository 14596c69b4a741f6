"""A search as conditions in ICAT's query language, and the same judged by what a reader is shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from facility_agent.adapters.catalogue.icat_map import FIELDS, Fields, instruments_of, part, techniques_of, text
from facility_agent.adapters.catalogue.icat_query import ROW, like, moment, one_of
from facility_agent.adapters.catalogue.icat_rules import OWN
from shared.catalogue import SearchQuery
from shared.techniques import narrower

INSTRUMENTS = (
    f" LEFT JOIN {ROW}.datasetInstruments AS {OWN}1 LEFT JOIN {OWN}1.instrument AS {OWN}2 JOIN {ROW}.investigation AS {OWN}3"
    f" LEFT JOIN {OWN}3.investigationInstruments AS {OWN}4 LEFT JOIN {OWN}4.instrument AS {OWN}5"
)
"""Relations that may be missing are joined, since a path through one would drop the row."""
WITHOUT_OWN = f"{ROW}.datasetInstruments IS EMPTY"


def asked(
    query: SearchQuery, zone: ZoneInfo, techniques: Sequence[int] = (), fields: Fields = FIELDS
) -> tuple[str, list[str]]:
    """The joins and conditions of a question. `techniques` are the ids of Technique rows, any of which is to be found."""
    joins, conditions = "", list[str]()
    if query.proposals:
        conditions.append(f"{ROW}.investigation.{fields.proposal} {one_of(query.proposals)}")
    if query.instruments or query.text.split():
        joins += INSTRUMENTS
    if query.instruments:
        wanted, name = one_of(query.instruments), fields.instrument
        conditions.append(f"({OWN}2.{name} {wanted} OR ({WITHOUT_OWN} AND {OWN}5.{name} {wanted}))")
    if query.techniques:
        joins += f" JOIN {ROW}.datasetTechniques AS {OWN}6"
        conditions.append(f"{OWN}6.technique.id {one_of(techniques)}")
    if query.sample.split() or query.text.split():
        joins += f" LEFT JOIN {ROW}.sample AS {OWN}7"
    conditions += [words(word, f"{OWN}7.name") for word in query.sample.split()]
    conditions += [_somewhere(word, fields) for word in query.text.split()]
    if query.since is not None:
        conditions.append(f"{ROW}.startDate >= {moment(query.since, zone, up=False)}")
    if query.until is not None:
        conditions.append(f"{ROW}.startDate <= {moment(query.until, zone, up=True)}")
    return joins.strip(), conditions


def _somewhere(word: str, fields: Fields) -> str:
    paths = (
        f"{ROW}.name", f"{ROW}.description", f"{ROW}.type.name", f"{OWN}3.{fields.proposal}", f"{OWN}3.title", f"{OWN}7.name",
        f"{OWN}2.{fields.instrument}",
    )  # fmt: skip
    theirs = f"({WITHOUT_OWN} AND LOWER({OWN}5.{fields.instrument}) {like(word)})"
    return f"({words(word, *paths)} OR {theirs})"


def words(word: str, *paths: str) -> str:
    """That a word occurs in one of these."""
    return "(" + " OR ".join(f"LOWER({path}) {like(word)}" for path in paths) + ")"


def wanted(query: SearchQuery) -> set[str]:
    """The techniques that are asked for and all narrower ones, in canonical spelling."""
    return {term for each in query.techniques for term in narrower(each)}


def within(query: SearchQuery, rank: float) -> bool:
    """Whether a key's time is among those asked for, to the fraction of a second."""
    return (query.since is None or -rank >= query.since) and (query.until is None or -rank <= query.until)


def still_found(query: SearchQuery, row: Mapping[str, Any], fields: Fields = FIELDS) -> bool:
    """Whether a row is found by what the reader is shown of it, when part of it was taken out; times are not looked at."""
    inv, sample = part(row, "investigation"), text(part(row, "sample"), "name").lower()
    instruments = instruments_of(row, fields)
    said = [text(row, "name"), text(row, "description"), text(part(row, "type"), "name"), text(inv, fields.proposal),
            text(inv, "title"), sample, *instruments]  # fmt: skip
    return (
        (not query.proposals or text(inv, fields.proposal) in query.proposals)
        and (not query.instruments or not set(query.instruments).isdisjoint(instruments))
        and (not query.techniques or not wanted(query).isdisjoint(techniques_of(row)))
        and all(word.lower() in sample for word in query.sample.split())
        and all(any(word.lower() in each.lower() for each in said) for word in query.text.split())
    )
