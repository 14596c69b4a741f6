"""Judges what happened to orders from the log of events alone: one JSON object a line, from any number of files.

    {"order_id": "…", "what": "EFFECT", "epoch": 3, "who": "agent alpha", "at": 12.5}

`at` is an instant of one clock for all writers, `who` names the writer and means something in EPOCH only. An effect
is written by the effect itself, outside every store. `epoch` is 0 where none is known. Words under `what`:

    ORDERED            the centre has committed the order
    STORED             the agent has committed the order
    ACCEPTED           the centre has heard so; only where STORED is written too
    EFFECT             the order's effect has happened
    SETTLED OK         the centre has committed a result that claims the effect
    SETTLED REFUSED    … or a refusal: nothing has happened
    SETTLED …          … or any other result: CANCELLED, ENDED, FAILED
    CANCELLED          somebody was told that this order had not started and never will
    EXPIRED            the centre has given it up, never accepted
    ACKNOWLEDGED       the agent has heard that its result is committed
    EPOCH              a session was opened; no order

Other words mean nothing here. `python -m tests.history FILE…` prints every fault and fails when there is one.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

OK = "SETTLED OK"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event."""

    order_id: str
    what: str
    epoch: int
    who: str
    at: float

    @property
    def settles(self) -> bool:
        """Whether a result was committed."""
        return self.what.startswith("SETTLED ")

    def line(self) -> str:
        """As it stands in a file."""
        return json.dumps(asdict(self))


def read(lines: Iterable[str]) -> list[Entry]:
    """The entries by time, those of one instant as they came. Raises ValueError for a line that is none."""
    try:
        found = [Entry(**json.loads(line)) for line in lines if line.strip()]
    except TypeError as error:
        raise ValueError(f"a line is no entry: {error}") from error
    return sorted(found, key=lambda entry: entry.at)


def faults(history: Iterable[Entry], *, healed: bool = True, exact: bool = False) -> Iterator[str]:
    """One sentence for each thing that must never happen. `history` is in the order in which it happened.

    With `healed` everything had the time to end, and what did not is a fault. With `exact` no two entries
    can have changed places, so that a result of an epoch that was over when it was committed is one too.
    """
    entries = list(history)
    by_order: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.what != "EPOCH":
            by_order[entry.order_id].append(entry)
    yield from _epochs(entries)
    if exact:
        yield from _fenced(entries)
    for order_id, life in by_order.items():
        for fault in (*_never(life), *(_unended(life) if healed else ())):
            yield f"{order_id}: {fault}"


def _never(life: list[Entry]) -> Iterator[str]:
    words = [entry.what for entry in life]
    ends = [what for what in words if what.startswith("SETTLED ") or what == "EXPIRED"]
    effects = words.count("EFFECT")
    if effects > 1:
        yield f"{effects} effects"
    if effects and "ORDERED" not in words:
        yield "an effect that nobody ordered"
    if effects and "CANCELLED" in words:
        yield "called off as not started, and it has an effect"
    if effects and "SETTLED REFUSED" in words:
        yield "refused, and it has an effect"
    if effects and "EXPIRED" in words:
        yield "expired, and it has an effect"
    if len(ends) > 1:
        yield f"ended {len(ends)} times: {', '.join(ends)}"
    if "ACCEPTED" in words and "STORED" not in words[: words.index("ACCEPTED")]:
        yield "accepted before it was stored"
    if "ACKNOWLEDGED" in words and not any(e.settles for e in life[: words.index("ACKNOWLEDGED")]):
        yield "acknowledged before its result was committed"


def _unended(life: list[Entry]) -> Iterator[str]:
    words = [entry.what for entry in life]
    ended = any(entry.settles for entry in life) or "EXPIRED" in words
    if "ORDERED" in words and not ended and "CANCELLED" not in words:
        yield "never ended"
    if OK in words and "EFFECT" not in words and "CANCELLED" not in words:
        yield "settled as done without an effect"


def _epochs(entries: list[Entry]) -> Iterator[str]:
    newest: dict[str, int] = {}
    for entry in entries:
        if entry.what == "EPOCH":
            if entry.epoch <= newest.get(entry.who, 0):
                yield f"{entry.who}: epoch {entry.epoch} after {newest[entry.who]}"
            newest[entry.who] = max(entry.epoch, newest.get(entry.who, 0))


def _fenced(entries: list[Entry]) -> Iterator[str]:
    newest = 0
    for entry in entries:
        newest = max(newest, entry.epoch)
        if entry.settles and entry.epoch < newest:
            yield f"{entry.order_id}: settled in epoch {entry.epoch}, when {newest} had begun"


def main() -> int:
    """Entry point."""
    history = read(line for name in sys.argv[1:] for line in Path(name).read_text().splitlines())
    found = list(faults(history))
    print("\n".join(found))
    print(f"history: {len(history)} entries, {len({e.order_id for e in history})} orders, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
