"""Every limit that both sides share, in one place. Seconds and bytes unless the name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The federation's limits; an operator may replace single values where a setting offers it."""

    query_deadline: float = 5.0
    hello_deadline: float = 10.0
    heartbeat_every: float = 8.0
    dead_after: float = 24.0
    frame_envelopes: int = 64
    frame_bytes: int = 256 * 1024
    envelope_bytes: int = 3 * 1024 * 1024
    bulk_bytes: int = 32 * 1024 * 1024
    queue_envelopes: int = 1024
    credits_query: int = 64
    credits_order: int = 16
    credits_result: int = 64
    order_life: float = 595.0  # 10 min, less what a facility's clock may drift between grant and order
    order_memory: float = 7 * 86_400.0
    command_ahead: float = 600.0
    token_life: float = 60.0
    page: int = 100
    judged_words: int = 8  # of a text, by which the best match is told; all of them must occur anyway
    workspace_proposals: int = 20
    sign_in_attempt: float = 600.0
    one_time_code: float = 30.0
    grants_per_sign_in: int = 4
    commands_per_second: int = 20
    commands_per_hour: int = 2000
    sid_memory: float = 600.0
    stale_capability: float = 60.0
    cookie_grace: float = 10.0
    graphql_bytes: int = 64 * 1024
    graphql_tokens: int = 1500
    graphql_depth: int = 15
    graphql_aliases: int = 50
    graphql_nodes: int = 2000
    graphql_cost: int = 20_000
    form_bytes: int = 64 * 1024
    proxied_cookie_bytes: int = 8 * 1024


LIMITS = Limits()
