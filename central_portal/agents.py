"""`central-portal agents`: how every facility's agent is connected, from the rows."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from central_portal.enrolment.members import members
from central_portal.facilities import heads, sessions
from central_portal.facilities.heads import HeadRow
from central_portal.facilities.sessions import SessionRow
from central_portal.federation import Federation
from central_portal.link.orders import Queue, queues
from central_portal.settings import federation
from central_portal.table import columns

_COLUMNS = (
    ("facility", "FACILITY"), ("state", "STATE"), ("for", "FOR"), ("hub", "HUB"), ("epoch", "EPOCH"),
    ("rtt_ms", "RTT MS"), ("orders", "ORDERS"), ("oldest_order_s", "OLDEST S"), ("last_ending", "LAST ENDING"), ("software", "SOFTWARE"), ("certificate_days", "CERT DAYS"),
    ("records", "RECORDS"),
)  # fmt: skip
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def show(*, as_json: bool) -> int:
    """Print them; the exit status is 1 when a facility is quarantined or its egress log contradicts itself."""
    agents = listed(federation())
    quarantined = [agent for agent in agents if agent["quarantined"]]
    if as_json:
        print(json.dumps(agents, indent=2))  # noqa: T201
    else:
        for line in _table(agents):
            print(line)  # noqa: T201
        for agent in quarantined:
            print(f"{agent['facility']} is quarantined: {agent['quarantined']}")  # noqa: T201
    contradicted = [agent for agent in agents if agent["egress_complaint"]]
    if not as_json:
        for agent in contradicted:
            print(f"{agent['facility']}: {agent['egress_complaint']}.")  # noqa: T201
    return 1 if quarantined or contradicted else 0


def show_heads() -> int:
    """Print the head that is kept of each egress log, as `facility-agent egress verify --head` takes it."""
    for slug, row in sorted(heads.heads().items()):
        print(f"{slug} {row.head}")  # noqa: T201
    return 0


def accept_head(facility_id: str) -> int:
    """Believe a facility's next head, whatever it is; the exit status is 1 when none was kept."""
    if heads.accept(facility_id):
        print(f"The head of {facility_id} is forgotten: the next one that its agent says is kept.")  # noqa: T201
        return 0
    print(f"No head of {facility_id} is kept.", file=sys.stderr)  # noqa: T201
    return 1


def listed(federation: Federation) -> list[dict[str, Any]]:
    """The agent of every facility, of federation.toml or added, switched off or not."""
    now, known, queued = time.time(), {row.slug: row for row in sessions.rows_of()}, queues()
    kept = heads.heads()
    return [
        described(f, known.get(f), now, enabled=enabled) | _queue(queued.get(f), now) | _head(kept.get(f))
        for f, enabled in _facilities(federation).items()
    ]


def _facilities(federation: Federation) -> dict[str, bool]:
    """Every facility, and whether it is switched on."""
    found = members(federation)
    return dict.fromkeys((table.id for table in found.tables), True) | dict.fromkeys(sorted(found.disabled), False)


def described(facility_id: str, row: SessionRow | None, now: float, *, enabled: bool = True) -> dict[str, Any]:
    """One agent as `--json` shows it."""
    if row is None:
        return dict.fromkeys(
            ("since", "hub", "rtt_ms", "last_ending", "software", "certificate_days", "quarantined")
        ) | {"facility": facility_id, "state": "never connected" if enabled else "disabled", "epoch": 0}
    state = "quarantined" if row.quarantined_why else "online" if row.mark.alive else "offline"
    if not enabled and state == "offline":
        state = "disabled"
    days = None if row.certificate_until is None else round((row.certificate_until - now) / 86_400, 1)
    return {
        "facility": facility_id,
        "state": state,
        "since": row.since,
        "hub": row.hub_address or None,
        "epoch": row.epoch,
        "rtt_ms": None if row.rtt is None else round(row.rtt * 1000, 1),
        "last_ending": row.last_ending or None,
        "software": row.software or None,
        "certificate_days": days,
        "quarantined": row.quarantined_why or None,
    }


def _queue(queue: Queue | None, now: float) -> dict[str, Any]:
    if queue is None:
        return {"orders": 0, "oldest_order_s": None}
    return {"orders": sum(queue.states.values()), "oldest_order_s": round(max(0.0, now - queue.oldest), 1)}


def _head(row: HeadRow | None) -> dict[str, Any]:
    """`egress_head` is what `facility-agent egress verify --head` takes."""
    if row is None:
        return {"records": None, "egress_head": None, "egress_complaint": None}
    return {"records": row.head.sequence, "egress_head": str(row.head), "egress_complaint": row.complaint or None}


def _table(agents: list[dict[str, Any]]) -> list[str]:
    now = time.time()
    rows = [[title for _, title in _COLUMNS]]
    for agent in agents:
        shown = agent | {"for": _ago(agent["since"], now)}
        rows.append(["-" if shown[key] is None else str(shown[key]) for key, _ in _COLUMNS])
    return columns(rows)


def _ago(since: float | None, now: float) -> str | None:
    if since is None:
        return None
    seconds = max(0, int(now - since))
    size, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    return f"{seconds // size} {unit}"


def release(facility_id: str) -> int:
    """End a quarantine; the exit status is 1 when there was none."""
    if sessions.release(facility_id):
        print(f"{facility_id} is released: the next agent to come is believed.")  # noqa: T201
        return 0
    known = facility_id in _facilities(federation())
    said = f"{facility_id} is not quarantined." if known else f"There is no facility {facility_id}."
    print(said, file=sys.stderr)  # noqa: T201
    return 1
