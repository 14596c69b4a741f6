"""The plugin authn.oidc as its source has it (icatproject/authn.oidc 8c7641ff, Apache-2.0; the words of its errors are from there).

What surprises in it is kept: `aud`, `azp` and `typ` are not looked at, so any token of the issuer that is signed by RS256 is taken,
whomever it is for, and one without `exp` for ever; the scope is read before the signature is checked; and a claim `x/y`
names a user of another mechanism.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from tests.standins.icat.errors import Refused
from tests.standins.icat.world import Authenticator


def oidc(issuer: str, keys: Mapping[str, RSAKey], clock: Callable[[], float], **more: Any) -> Authenticator:
    """The plugin with `more` of `_Plugin`; `keys` are the provider's by their kid, `clock` is POSIX seconds."""
    return Authenticator(("token",), _Plugin(issuer, keys, clock, **more).check)


@dataclass(frozen=True)
class _Plugin:
    issuer: str
    keys: Mapping[str, RSAKey]
    clock: Callable[[], float]
    claim: str = "icatUser"
    mechanism: str = ""
    scope: str = ""
    needs_claim: bool = False
    prepend: bool = False

    def check(self, given: Mapping[str, str]) -> str:
        head, claims = _decoded(given["token"])
        if self.scope:
            self._scoped(claims)
        if "iss" not in claims:
            raise _forbidden("The token is missing the iss claim")
        if claims["iss"] != self.issuer:
            raise _forbidden("The iss claim of the token does not match the configured issuer")
        self._verified(given["token"], head)
        if "exp" in claims and claims["exp"] <= self.clock():
            raise _forbidden("The token has expired")
        return self._user(claims)

    def _scoped(self, claims: Mapping[str, Any]) -> None:
        if "scope" not in claims:
            raise _forbidden("The token is missing the scope claim")
        if self.scope not in str(claims["scope"]).split():
            raise _forbidden(f"The token is missing the required scope {self.scope}")

    def _verified(self, token: str, head: Mapping[str, Any]) -> None:
        if not isinstance(head.get("kid"), str):
            raise _forbidden("The token is missing a kid")
        if head["kid"] not in self.keys:
            raise _forbidden("Unable to find a public key matching the kid")
        try:
            jws.deserialize_compact(token, self.keys[head["kid"]], algorithms=["RS256"])
        except (JoseError, ValueError) as error:
            raise _forbidden("The token is invalid") from error

    def _user(self, claims: Mapping[str, Any]) -> str:
        said = claims.get(self.claim)
        if said is None and self.needs_claim:
            raise _forbidden("The token is missing an ICAT username")
        if said is None or self.prepend:
            return "/".join(
                part for part in (self.mechanism, str(claims["sub"] if said is None else said)) if part
            )
        return str(said)


def _decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        head, body, _ = token.split(".")
        parts = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body)]
        if not all(isinstance(part, dict) for part in parts):
            raise ValueError("no object")
    except ValueError as error:
        raise _forbidden("The token could not be decoded") from error
    return parts[0], parts[1]


def _forbidden(message: str) -> Refused:
    """The plugin answers 403, which icat.server tells on with its code SESSION."""
    return Refused("SESSION", message)
