"""What came of the orders of a trial: the persons' words and the ledger's lines, judged by `tests.history`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.ledger import STARTED, STOPPED
from tests.chaos.people import Asked
from tests.history import Entry, faults

Shown = Mapping[str, Mapping[str, object] | None]
"""What the portal shows of each workspace in the end; None for one that it does not know."""


@dataclass
class Verdict:
    """Of one trial."""

    orders: int = 0
    lost: int = 0
    doubled: int = 0
    stuck: int = 0
    other: int = 0
    monotone: bool = True
    told: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.monotone and not (self.lost or self.doubled or self.stuck or self.other)


def words_of(view: Mapping[str, object] | None) -> str:
    """What the portal says of a launch, in the history's words; empty for nothing."""
    if view is None:
        return ""
    problem = view["problem"]
    code = problem["code"] if isinstance(problem, Mapping) else ""
    match view["state"], code:
        case "RUNNING", _:
            return "SETTLED OK"
        case "FAILED", "EXPIRED":
            return "EXPIRED"
        case "FAILED", _:
            return "SETTLED REFUSED"
        case "ENDED", "CANCELLED":
            return "CANCELLED"
        case "ENDED", _:
            return "SETTLED ENDED"
        case "UNKNOWN", "STORE_LOST":  # told as it is: it runs, and the facility's records do not know it
            return "SETTLED LOST"
    return ""


def _history(
    asked: Iterable[Asked], shown: Shown, lines: Iterable[str], epochs: Mapping[str, Sequence[int]]
) -> list[Entry]:
    asked = list(asked)
    ids = {a.id for a in asked}
    history = [
        Entry(e["order_id"], e["what"], e["epoch"], e["who"], e["at"])
        for e in map(json.loads, lines)
        if e["order_id"] in ids
    ]
    for one in asked:
        if shown[one.id] is None:
            continue
        history.append(Entry(one.id, "ORDERED", 0, "centre", one.at))
        if words := words_of(shown[one.id]):
            history.append(Entry(one.id, words, 0, "centre", one.at + 1e6))
    for who, opened in epochs.items():
        history += [Entry("", "EPOCH", epoch, who, float(n)) for n, epoch in enumerate(opened)]
    return sorted(history, key=lambda entry: entry.at)


def _stops(asked: Iterable[Asked], shown: Shown, history: Sequence[Entry]) -> Iterator[str]:
    started = {e.order_id for e in history if e.what == STARTED}
    stopped = {e.order_id for e in history if e.what == STOPPED}
    for one in asked:
        view = shown[one.id]
        if view is None:
            if one.told:
                yield f"{one.id}: told {one.told}, and the portal does not know it"
            continue
        if view["state"] == "ENDED" and one.id in started - stopped:
            yield f"{one.id}: told that it ended, and it runs"
        if one.stop_told in ("STOPPING", "ENDED") and view["state"] not in ("ENDED", "FAILED"):
            yield f"{one.id}: told that it stops, and it is {view['state']}: never ended"


def _context(one: Asked, shown: Shown) -> str:
    return f"(told {one.told or one.refused!r}, stop {one.stop_told!r}, in the end {shown[one.id]})"


def judge(
    asked: Sequence[Asked], shown: Shown, lines: Iterable[str], epochs: Mapping[str, Sequence[int]]
) -> Verdict:
    """The verdict on these launches and their stops."""
    history = _history(asked, shown, lines, epochs)
    verdict = Verdict(orders=len(asked) + sum(a.stop_asked for a in asked))
    known = {a.id: a for a in asked}
    for fault in (*faults(history), *_stops(asked, shown, history)):
        one = known.get(fault.partition(":")[0])
        verdict.told.append(f"{fault} {_context(one, shown) if one else ''}")
        if "epoch" in fault:
            verdict.monotone = False
        elif fault.endswith("effects"):
            verdict.doubled += 1
        elif "never ended" in fault:
            verdict.stuck += 1
        elif "without an effect" in fault or "does not know it" in fault:
            verdict.lost += 1
        else:
            verdict.other += 1
    return verdict
