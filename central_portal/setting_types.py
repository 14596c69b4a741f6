"""Kinds of settings: addresses as the centre wants them, each refused with one sentence."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from shared.wire.addresses import is_loopback, parse_address


def _on_this_machine(host: str) -> bool:
    return is_loopback(host) or host.endswith(".localhost")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query or parts.fragment or not parts.hostname or parts.username:
        raise ValueError("must be an origin such as https://portal.example.org, without a path")
    if parts.scheme != "https" and not (parts.scheme == "http" and _on_this_machine(parts.hostname)):
        raise ValueError("must be https; http is for loopback and *.localhost only")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _provider_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://login.example.org, as the provider writes it")
    if parts.scheme != "https" and not (parts.scheme == "http" and _on_this_machine(parts.hostname)):
        raise ValueError("must be https; http is for loopback and *.localhost only")
    return url


def _listen(value: str) -> str:
    parse_address(value)
    return value


def _reachable(value: str) -> str:
    if parse_address(value).host in ("0.0.0.0", "::"):
        raise ValueError("must be an address that web processes can reach")
    return value


def _private(value: str) -> str:
    if not parse_address(value).is_loopback:
        raise ValueError("must be on loopback: metrics are for this machine's own collector")
    return value


def _redis_url(value: str) -> str:
    if urlsplit(value).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must be redis://host:port/number, rediss:// or unix://")
    return value


Origin = Annotated[str, AfterValidator(_origin)]
ProviderUrl = Annotated[str, AfterValidator(_provider_url)]
Listen = Annotated[str, AfterValidator(_listen)]
MaybeProviderUrl = Annotated[str, AfterValidator(lambda value: value and _provider_url(value))]
MaybeListen = Annotated[str, AfterValidator(lambda value: value and _listen(value))]
MaybeReachable = Annotated[str, AfterValidator(lambda value: value and _reachable(value))]
MaybePrivate = Annotated[str, AfterValidator(lambda value: value and _private(value))]
MaybeRedis = Annotated[str, AfterValidator(lambda value: value and _redis_url(value))]
