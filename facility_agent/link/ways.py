"""How the next stream to the hub is opened: where, with which TLS, and with which proof."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, Protocol

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from facility_agent.link.keys import load_or_create_key
from facility_agent.link.settings import LinkMisconfigured, LinkSettings
from facility_agent.link.token import signed_token


@dataclass(frozen=True, slots=True)
class Way:
    """The arguments of `open_stream`, and which identity they stand for. `credentials` None means plaintext.

    They are gRPC's for `host:port`, an SSLContext for a wss:// URL.
    """

    target: str
    credentials: Any
    metadata: tuple[tuple[str, str], ...]
    serial: int = 0


class Ways(Protocol):
    """Gives a way for each stream. Both methods may read files: call them in a thread."""

    def prepare(self) -> None:
        """Reads what is needed. Raises LinkMisconfigured, before anything was opened, when it cannot be used."""
        ...

    def way(self) -> Way:
        """For the next stream; a signed token in it is good once. Raises LinkMisconfigured."""
        ...

    def opened(self, way: Way) -> None:
        """A session was opened on this way."""
        ...

    def seconds_left(self) -> float | None:
        """How long the agent's certificate is still good for; None without one."""
        ...


class ByHand:
    """Implements `Ways` from settings that an operator wrote: a signed token per stream, the CA from a file."""

    def __init__(self, settings: LinkSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock
        self._key: Ed25519PrivateKey | None = None
        self._targets: list[str] = []
        self._next = 0
        self._credentials: grpc.ChannelCredentials | None = None
        self._tls: ssl.SSLContext | None = None

    def prepare(self) -> None:
        """See `Ways.prepare`."""
        settings = self._settings
        self._targets = [str(address) for address in settings.addresses()]
        self._key = load_or_create_key(settings.key_file)
        if settings.ca_file is not None:
            try:
                authority = settings.ca_file.read_bytes()
            except OSError as error:
                raise LinkMisconfigured(f"{settings.ca_file} cannot be read: {error.strerror}.") from error
            self._credentials = grpc.ssl_channel_credentials(root_certificates=authority)
        if not settings.plaintext:
            self._tls = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)

    def way(self) -> Way:
        """See `Ways.way`."""
        assert self._key is not None, "prepare comes first"
        token = signed_token(self._key, self._settings.facility_id, self._settings.audience, self._clock())
        if self._next == 0:
            SystemRandom().shuffle(self._targets)  # each in its turn, and not every agent in the same order
        target = self._targets[self._next]
        self._next = (self._next + 1) % len(self._targets)
        return Way(target, self._tls if "://" in target else self._credentials, bearer(token))

    def opened(self, way: Way) -> None:
        """Nothing changes with it."""

    def seconds_left(self) -> float | None:
        """There is no certificate."""
        return None


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """The metadata that carry a signed token."""
    return (("authorization", f"Bearer {token}"),)
