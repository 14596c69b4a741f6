"""The numbers that one end of a link works with."""

from __future__ import annotations

from dataclasses import dataclass

from shared.limits import LIMITS

PROTOCOL = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """Seconds, bytes and counts; the defaults are the federation's limits.

    `outstanding` bounds the queries that a hub holds for one agent, `queue_*` what waits to be written
    of one class, `control_envelopes` the refusals and signs of life among it. `*_credits` are what this
    end grants its peer: queries and orders by the agent, results by the hub. `most_heartbeat` and
    `most_silence` bound what an agent accepts from a hub's Welcome.
    """

    version_min: int = PROTOCOL
    version_max: int = PROTOCOL
    hello_deadline: float = LIMITS.hello_deadline
    heartbeat_every: float = LIMITS.heartbeat_every
    dead_after: float = LIMITS.dead_after
    frame_envelopes: int = LIMITS.frame_envelopes
    frame_bytes: int = LIMITS.frame_bytes
    envelope_bytes: int = LIMITS.envelope_bytes
    queue_envelopes: int = LIMITS.queue_envelopes
    queue_bytes: int = 16 * 1024 * 1024
    control_envelopes: int = 256
    outstanding: int = LIMITS.queue_envelopes
    query_credits: int = LIMITS.credits_query
    order_credits: int = LIMITS.credits_order
    result_credits: int = LIMITS.credits_result
    least_heartbeat: float = 0.05
    most_heartbeat: float = 60.0
    most_silence: float = 300.0


DEFAULT = Terms()
MESSAGE_BYTES = LIMITS.envelope_bytes + LIMITS.frame_bytes
"""The largest gRPC message that either end reads: one envelope may fill a frame by itself."""
