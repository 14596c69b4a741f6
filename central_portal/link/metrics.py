"""What the centre's processes count of the links, for Prometheus. No label names a person."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

SESSIONS = Gauge("parasol_sessions", "Sessions that are open at this hub.")
EPOCH = Gauge("parasol_session_epoch", "The epoch of the session that this hub holds.", ["facility"])
RTT = Gauge("parasol_session_rtt_seconds", "Round trip of the heartbeats of a session.", ["facility"])
CONNECTS = Counter("parasol_connects", "Sessions admitted, by how the agent's previous one had ended.", ["after"])
ENDINGS = Counter("parasol_session_endings", "Sessions that ended, by how.", ["ending"])
QUARANTINES = Counter(
    "parasol_quarantines", "Sessions refused because two agents claim one facility.", ["facility"]
)
EGRESS_COMPLAINTS = Counter(
    "parasol_egress_complaints", "Contradictions in what agents say of their egress logs.", ["facility"]
)
FENCED = Counter("parasol_fenced_writes", "Writes of a session that a newer one had overtaken.", ["what"])
LEASES = Counter("parasol_lease_renewals", "Rounds in which leases were renewed, by outcome.", ["outcome"])
ASKS = Histogram(
    "parasol_ask_seconds", "Asks of facilities by verb and outcome.", ["verb", "outcome"], buckets=SECONDS
)
ORDERS = Counter("parasol_orders_ended", "Orders that ended, by verb and outcome.", ["verb", "outcome"])
RELAY_RETRIES = Counter("parasol_relay_retries", "Asks sent again because the facility had moved.", ["why"])
WAKES = Counter("parasol_wakes", "Hints to other processes, sent or lost.", ["fate"])
