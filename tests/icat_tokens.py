"""A facility's sign-on as ICAT's authn.oidc knows it, and what the agent holds of it for its accounts."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from facility_agent.ports.tokens import HeldToken, Tokens
from tests.standins.icat import Icat
from tests.standins.icat.oidc import oidc

ISSUER, PLUGIN = "https://sso.example.org", "oidc"


@cache
def key(kid: str = "k1") -> RSAKey:
    return RSAKey.generate_key(2048, parameters={"kid": kid})


def trusting(icat: Icat, **more: Any) -> Icat:
    """The ICAT, which now takes the sign-on's tokens too."""
    icat.authenticators[PLUGIN] = oidc(ISSUER, {"k1": key()}, lambda: icat.clock().timestamp(), **more)
    return icat


def token(icat: Icat, user: str, **changes: Any) -> str:
    """A good one for a user of ICAT's, but for `changes`; None removes a claim."""
    now = int(icat.clock().timestamp())
    claims = {"iss": ISSUER, "aud": "icat", "sub": f"sub of {user}", "icatUser": user, "iat": now, "exp": now + 300,
              "jti": secrets.token_hex(8)} | changes  # fmt: skip
    return jwt.encode({"alg": "RS256", "kid": "k1"}, {k: v for k, v in claims.items() if v is not None}, key())


class Purse(Tokens):
    """What is held, by an account's immutable id."""

    def __init__(self) -> None:
        self.tokens: dict[str, HeldToken] = {}

    def put(self, immutable_id: str, text: str) -> None:
        self.tokens[immutable_id] = HeldToken(secrets.token_hex(8), text)

    def over(self, immutable_id: str) -> None:
        """It has expired, and its grant lives on."""
        self.tokens[immutable_id] = HeldToken(self.tokens[immutable_id].mark, "")

    async def held(self, immutable_id: str) -> HeldToken | None:
        return self.tokens.get(immutable_id)
