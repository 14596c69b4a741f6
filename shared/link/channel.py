"""What both ends tell gRPC: the method, and options that find a dead peer.

`grpc.keepalive_timeout_ms` alone leaves a frozen peer unnoticed for a minute;
`grpc.http2.ping_timeout_ms` is the one that works. Heartbeats are the first net, this the second.
"""

from __future__ import annotations

from shared.link.terms import MESSAGE_BYTES

SERVICE = "parasol.link.v1.Link"
CONNECT = "Connect"
METHOD = f"/{SERVICE}/{CONNECT}"
SUBPROTOCOL = "parasol.link.v1"

COMMON_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 8_000),
    ("grpc.http2.ping_timeout_ms", 8_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
)
