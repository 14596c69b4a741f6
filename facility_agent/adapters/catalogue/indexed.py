"""An index of datasets in SQLite: the conditions that every such index shares, and positions in the order of pages."""

from __future__ import annotations

from typing import Any

from shared.catalogue import SearchQuery

NO_TIME = 1e300
"""The rank of a dataset without a time: others have their time, negated, so that the newest come first."""
WORDS = """
create virtual table if not exists words using fts5 (text, sample, tokenize = "unicode61 tokenchars '-_.'");
"""
"""Under the `id` of their dataset's row: by anything else a row's words are found only by reading all."""


def rank(started: float | None) -> float:
    """Where a dataset stands; ties are sorted by pid."""
    return -started if started is not None else NO_TIME


def narrowed(query: SearchQuery) -> tuple[list[str], list[Any]]:
    """SQL conditions on columns `instrument`, `started` and `id`, and their values: instruments, dates, text and sample."""
    where, values = list[str](), list[Any]()
    if query.instruments:
        where.append(f"instrument in ({marks(query.instruments)})")
        values += query.instruments
    if query.since is not None:
        where.append("started >= ?")
        values.append(query.since)
    if query.until is not None:
        where.append("started <= ?")
        values.append(query.until)
    for column, said in (("text", query.text), ("sample", query.sample)):
        words = ['"' + word.replace('"', '""') + '"*' for word in said.replace("\0", " ").split()]
        if words:
            where.append("id in (select rowid from words where words match ?)")
            values.append(f"{column}: (" + " AND ".join(words) + ")")
    return where, values


def marks(values: Any) -> str:
    """A question mark for each."""
    return ",".join("?" * len(values))
