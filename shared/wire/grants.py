"""Grants: their parameters and payloads on the wire."""

from __future__ import annotations

import re

from shared.commands import Done, Redeem, Redeemed, Release, Unlink
from shared.errors import InvalidRequest
from shared.identity import Scope
from shared.wire.gen.parasol.grants.v1 import grants_pb2 as pb
from shared.wire.parse import parse
from shared.wire.text import LARGEST, Malformed, identifier

_BYTES = 4096
_HASH = re.compile(r"[0-9a-f]{64}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_LONGEST_MS = 366 * 86_400_000


def encode_redeem(value: Redeem) -> bytes:
    """The bytes of the parameters."""
    return pb.Redeem(code_hash=value.code_hash, verifier=value.verifier).SerializeToString()


def decode_redeem(data: bytes) -> Redeem:
    """The parameters. Raises InvalidRequest or Malformed."""
    message = parse(pb.Redeem, data, _BYTES)
    if not _HASH.fullmatch(message.code_hash) or not _VERIFIER.fullmatch(message.verifier):
        raise InvalidRequest("A code is redeemed with its SHA-256 and a verifier of 43 to 128 characters.")
    return Redeem(message.code_hash, message.verifier)


def encode_redeemed(value: Redeemed) -> bytes:
    """The bytes of the payload."""
    return pb.Redeemed(
        grant_id=value.grant_id,
        scopes=[scope.value for scope in value.scopes],
        lifetime_ms=value.lifetime_ms,
        agent_now_ms=value.agent_now_ms,
    ).SerializeToString()


def decode_redeemed(data: bytes) -> Redeemed:
    """The payload; scopes that this version does not know are left out. Raises Malformed."""
    message = parse(pb.Redeemed, data, _BYTES)
    if not 0 < message.lifetime_ms <= _LONGEST_MS or not 0 < message.agent_now_ms <= LARGEST - _LONGEST_MS:
        raise Malformed("A grant has a lifetime and the agent's time.")
    scopes = tuple(scope for scope in Scope if scope.value in message.scopes)
    return Redeemed(identifier(message.grant_id), scopes, message.lifetime_ms, message.agent_now_ms)


def encode_release(_: Release) -> bytes:
    """The bytes of the parameters."""
    return pb.Release().SerializeToString()


def decode_release(data: bytes) -> Release:
    """The parameters. Raises Malformed."""
    parse(pb.Release, data, _BYTES)
    return Release()


def encode_unlink(_: Unlink) -> bytes:
    """The bytes of the parameters."""
    return pb.Unlink().SerializeToString()


def decode_unlink(data: bytes) -> Unlink:
    """The parameters. Raises Malformed."""
    parse(pb.Unlink, data, _BYTES)
    return Unlink()


def encode_done(_: Done) -> bytes:
    """The bytes of the payload."""
    return pb.Done().SerializeToString()


def decode_done(data: bytes) -> Done:
    """The payload. Raises Malformed."""
    parse(pb.Done, data, _BYTES)
    return Done()
