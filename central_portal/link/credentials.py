"""The hub's TLS, from configured files or from the centre's own authority, renewed while it runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from central_portal.link.ports import HubAuthority
from central_portal.link.settings import HubMisconfigured, HubSettings

log = logging.getLogger(__name__)
Pair = tuple[bytes, bytes]


def server_credentials(settings: HubSettings, authority: HubAuthority | None, *, mutual: bool) -> Any:
    """TLS for one port; with `mutual` it demands a client certificate. Raises HubMisconfigured.

    gRPC for Python either demands a client certificate or does not ask for one, hence the two ports.
    """
    pair = _files(settings) or (_own(settings, authority) if authority else None)
    if pair is None:
        raise HubMisconfigured("Set PARASOL_HUB_CERTIFICATE and PARASOL_HUB_KEY (or, on loopback, PLAINTEXT).")
    roots = authority.trust() if mutual and authority else None

    def configured(found: Pair) -> Any:
        return grpc.ssl_server_certificate_configuration([found], root_certificates=roots)

    first = pair()
    assert first is not None
    return grpc.dynamic_ssl_server_credentials(configured(first), _fetcher(pair, configured), mutual)


def _fetcher(pair: Callable[[], Pair | None], configured: Callable[[Pair], Any]) -> Callable[[], Any]:
    """What gRPC calls at each handshake, in a thread of its own: None while nothing has changed."""

    def fetch() -> Any:
        try:
            found = pair()
        except Exception:  # the present certificate still works
            log.exception("The hub's next certificate cannot be had.")
            return None
        return None if found is None else configured(found)

    return fetch


def _files(settings: HubSettings) -> Callable[[], Pair | None] | None:
    """The configured files, read again when one of them was written."""
    certificate, key = settings.certificate, settings.key
    if certificate is None or key is None:
        return None
    seen: list[tuple[int, int]] = []

    def look() -> Pair | None:
        times = (_written(key), _written(certificate))
        if seen and seen[-1] == times:
            return None
        seen[:] = [times]
        return _content(key), _content(certificate)

    return look


def _own(settings: HubSettings, authority: HubAuthority) -> Callable[[], Pair | None]:
    """A certificate of the centre's authority, in memory alone, made anew at half its life."""
    until = 0.0

    def look() -> Pair | None:
        nonlocal until
        if time.time() < until:
            return None
        made = authority.server_identity(settings.dialled().host)
        until = made.renew_at
        return made.key, made.chain

    return look


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise HubMisconfigured(f"{path} cannot be read: {error.strerror}.") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise HubMisconfigured(f"{path} cannot be read: {error.strerror}.") from error
