"""Checks an agent's token before anything that it sends is read.

A token is a JWT signed with the agent's Ed25519 key, for this hub, good for at most 60 s, once. Its
times are the agent's, so they are compared with a tolerance of another 60 s: hosts that keep time at
all are within it, and what the tolerance adds is nothing, since each `jti` is remembered for as long
as its token could be used.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from central_portal.link.ports import Registry
from shared.facilities import is_facility_id
from shared.limits import LIMITS
from shared.wire.proof import b64

ALGORITHMS = ["Ed25519"]
SKEW = 60.0
_TOKEN_LENGTH = 2048
_JTI_LENGTH = 64
_REMEMBERED = 256  # per facility: only its own key can fill this, and only its own agent then waits


class TokenRefused(Exception):
    """The token is not good. Why is for the hub's log; the agent hears one constant sentence."""


class TokenCheck:
    """Verifies tokens for one `audience`. `clock` gives POSIX seconds."""

    def __init__(self, audience: str, registry: Registry, clock: Callable[[], float] = time.time) -> None:
        self._audience, self._registry, self._clock = audience, registry, clock
        self._seen: dict[str, OrderedDict[str, float]] = {}

    async def facility_of(self, token: str) -> str:
        """The facility that the token proves; the token is used up. Raises TokenRefused."""
        issuer = _claimed_issuer(token)
        known = await self._registry.key_of(issuer)
        if known is None or known.facility_id != issuer:
            raise TokenRefused("this facility is not enrolled")
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64(known.public_key)})
        try:
            claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError) as error:
            raise TokenRefused(f"the signature is not good ({type(error).__name__})") from error
        self._judge(issuer, claims)
        return issuer

    def _judge(self, issuer: str, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        issued, expires, jti = claims.get("iat"), claims.get("exp"), claims.get("jti")
        if claims.get("iss") != issuer or claims.get("aud") != self._audience:
            raise TokenRefused("the token is for another hub")
        if not _is_number(issued) or not _is_number(expires):
            raise TokenRefused("the token has no times")
        if not 0 < expires - issued <= LIMITS.token_life:
            raise TokenRefused("the token is good for longer than allowed")
        if not issued - SKEW <= now <= expires + SKEW:
            raise TokenRefused("the token has expired, or the clocks differ by more than a minute")
        if not isinstance(jti, str) or not 16 <= len(jti) <= _JTI_LENGTH:
            raise TokenRefused("the token has no usable jti")
        self._use_up(issuer, jti, expires + SKEW, now)

    def _use_up(self, issuer: str, jti: str, until: float, now: float) -> None:
        seen = self._seen.setdefault(issuer, OrderedDict())
        for old in [old for old, end in seen.items() if end < now]:
            del seen[old]
        if jti in seen:
            raise TokenRefused("the token was used before")
        if len(seen) >= _REMEMBERED:
            raise TokenRefused("too many sessions were opened lately")
        seen[jti] = until


def _claimed_issuer(token: str) -> str:
    """Who the token says it is from; nothing is proven yet."""
    if len(token) > _TOKEN_LENGTH:
        raise TokenRefused("the token is too long")
    try:
        issuer = orjson.loads(jws.extract_compact(token.encode("ascii")).payload)["iss"]
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise TokenRefused("this is no token") from error
    if not isinstance(issuer, str) or not is_facility_id(issuer):
        raise TokenRefused("the token names no facility")
    return issuer


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
