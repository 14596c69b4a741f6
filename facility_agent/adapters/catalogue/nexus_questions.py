"""Questions to the index: their SQL conditions."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from facility_agent.adapters.catalogue.indexed import narrowed
from shared.catalogue import SearchQuery
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
    if query.techniques:
        asked = frozenset().union(*map(narrower, query.techniques))
        known = [definition for definition, term in TECHNIQUES.items() if term in asked]
        where.append(f"definition in ({','.join('?' * len(known))})")
        values += known
    more, said = narrowed(query)
    return where + more, values + said
