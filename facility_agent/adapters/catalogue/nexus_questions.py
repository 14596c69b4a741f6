"""Questions to the index: their SQL conditions."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from shared.catalogue import SearchQuery
from shared.limits import LIMITS
from shared.techniques import narrower

TECHNIQUES = {
    "NXsas": "PaNET01124", "NXcanSAS": "PaNET01124", "NXxas": "PaNET01196", "NXarpes": "PaNET01089",
    "NXmonopd": "PaNET01030", "NXtomo": "PaNET01129",
}  # fmt: skip
"""What an application definition that names one technique says of it."""


def conditions(query: SearchQuery, visible: Set[str]) -> tuple[list[str], list[Any]]:
    """SQL conditions for what a question asks for among visible proposals, and their values."""
    chosen = sorted(visible & set(query.proposals) if query.proposals else visible)
    where = ["problem is null", f"proposal in ({','.join('?' * len(chosen))})"]
    values: list[Any] = [*chosen]
    if query.instruments:
        where.append(f"instrument in ({','.join('?' * len(query.instruments))})")
        values += query.instruments
    if query.since is not None:
        where.append("started >= ?")
        values.append(query.since)
    if query.until is not None:
        where.append("started <= ?")
        values.append(query.until)
    if query.techniques:
        asked = frozenset().union(*map(narrower, query.techniques))
        known = [definition for definition, term in TECHNIQUES.items() if term in asked]
        where.append(f"definition in ({','.join('?' * len(known))})")
        values += known
    for column, said in (("text", query.text), ("sample", query.sample)):
        words = _words(said)
        if words:
            where.append("pid in (select pid from words where words match ?)")
            values.append(f"{column}: (" + " AND ".join(words) + ")")
    return where, values


def misses(query: SearchQuery) -> tuple[str, list[Any]]:
    """SQL for how many of the words are not in a title, and its values: the fewer, the better a dataset matches."""
    words = list(dict.fromkeys(_words(query.text)))[: LIMITS.judged_words]
    each = "(pid not in (select pid from words where words match ?))"
    return "+".join(["0", *[each] * len(words)]), [f"title: {word}" for word in words]


def _words(said: str) -> list[str]:
    """Words as FTS5 looks for their beginnings."""
    return ['"' + word.replace('"', '""') + '"*' for word in said.replace("\0", " ").split()]
