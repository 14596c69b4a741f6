"""Addresses: `host:port` of the hub, what loopback is, and which links may be shown to people."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

URL_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port. `localhost` is written 127.0.0.1, so that no resolver can move it.

    A hub that is reached by WebSocket has its `url` too, which is then what it is written as.
    """

    host: str
    port: int
    url: str = ""

    def __str__(self) -> str:
        if self.url:
            return self.url
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


def parse_address(text: str) -> Address:
    """Reads `host:port` or `[v6]:port`; port 0 means any. Raises ValueError with one sentence."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or parts.netloc != text or "@" in text:
        raise ValueError(f"{text!r} is not an address; write host:port.")
    return Address("127.0.0.1" if host == "localhost" else host, port)


def parse_hub(text: str) -> Address:
    """Reads `host:port` of a hub, or the ws:// or wss:// URL of its WebSocket. Raises ValueError with one sentence.

    ws:// is for this machine only.
    """
    if "://" not in text:
        return parse_address(text)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or {"ws": 80, "wss": 443}.get(parts.scheme, 0)
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if not host or parts.scheme not in ("ws", "wss") or parts.username or parts.query or parts.fragment:
        raise ValueError(f"{text!r} is not a hub; write host:port, or wss://host/path.")
    if parts.scheme == "ws" and not is_loopback(host):
        raise ValueError("ws:// is for a hub on this machine; write wss://.")
    return Address(host, port, text)


def is_loopback(host: str) -> bool:
    """Whether `host` is a loopback address or the very name `localhost`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def safe_url(text: str) -> str:
    """`text` when it is https, or http on this machine (`*.localhost` included); otherwise empty.

    Refused are other schemes, credentials, spaces, control characters, backslashes, quotes, angle
    brackets, and more than 2,000 characters.
    """
    if len(text) > URL_LENGTH or any(c in '\\"<>`' or c.isspace() or not c.isprintable() for c in text):
        return ""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host or "@" in parts.netloc:
        return ""
    near = is_loopback(host) or host.endswith(".localhost")
    return text if parts.scheme == "https" or (parts.scheme == "http" and near) else ""
