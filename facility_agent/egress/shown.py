"""The log for its operator: records as lines of text, and the verdict on all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from facility_agent.egress.chain import instant
from facility_agent.egress.reading import Verdict, records

_SPAN = re.compile(r"(\d{1,6})(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def since(text: str, now: float) -> str:
    """A moment as records have it: of `2026-11-25`, `2026-11-25T12:00:00Z` (without a zone: UTC), or `2h` ago.

    Raises ValueError.
    """
    span = _SPAN.fullmatch(text)
    try:
        if span:
            return instant(
                (
                    datetime.fromtimestamp(now, UTC) - timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
                ).timestamp()
            )
        moment = datetime.fromisoformat(text)
        return instant((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ValueError("--since is a date, a date and time, or a span such as 30min, 2h or 7d") from None


def chosen(folder: Path, begin: str = "") -> Iterator[dict[str, Any]]:
    """Records from `begin` on, in order."""
    return (record for record in records(folder) if str(record.get("at", "")) >= begin)


def in_words(record: dict[str, Any]) -> str:
    """One record as one line; every character of it can be printed."""
    fields = record.get("fields") or {}
    said = (
        record.get("sequence"), record.get("at"), record.get("kind"), record.get("verb"), record.get("outcome"),
        f"{record['bytes']} B" if record.get("bytes") else "", f"person {record['person']}" if record.get("person") else "",
        record.get("about"), ", ".join(f"{path} {count}" for path, count in fields.items()) if isinstance(fields, dict) else "",
    )  # fmt: skip
    text = "  ".join(str(each) for each in said if each)
    return "".join(char if char.isprintable() else "?" for char in text)


def verdict_in_words(verdict: Verdict, compared: bool) -> str:
    """The verdict; it says so when no head from elsewhere was compared."""
    if verdict.problem:
        return f"The egress log is NOT whole: {verdict.problem}. Good up to {verdict.head}."
    count = verdict.head.sequence - verdict.first + 1
    text = f"The egress log is whole: {count} records, head {verdict.head}."
    if compared:
        return f"{text} The given head is among its records."
    return f"{text} Compare with the head that the centre keeps: --head, from `central-portal agents heads`."
