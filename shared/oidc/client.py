"""One OpenID provider, pinned: what its metadata may widen is intersected with what we allow.

Closes holes that general clients leave open: an id_token is required; `alg` comes from our list, not from the
metadata alone; `aud` must be ours alone or name us with `azp` ours; RFC 9207's `iss` is checked; leeway is 30 s.
Every method blocks on the network: call it in a thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from shared.identity import Subject
from shared.wire.proof import nonce_of, verifier_of

LEEWAY = 30
METADATA_LIFE = 3600.0
TIMEOUT = 5.0
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class OidcError(Exception):
    """Sign-in did not succeed. `reason` is stable; nothing of the provider's answer is shown to people."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in. `id_token` is needed to sign out at the provider; `claims` are those of the ID token. `access_token` is as the
    provider gave it; `OidcProvider.access_until` checks it.
    """

    subject: Subject
    sid: str
    name: str
    id_token: str
    claims: Mapping[str, Any]
    access_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SignedOut:
    """A checked logout token: `sub` and `sid` may be empty, not both."""

    issuer: str
    sub: str
    sid: str
    jti: str


class OidcProvider:
    """A provider and our registration there. Metadata and keys are fetched when first needed, then kept for an hour."""

    def __init__(
        self,
        *,
        issuer: str,
        discovery_url: str,
        client_id: str,
        client_secret: str,
        redirect_uri: str,
        algorithms: Sequence[str] = ("ES256", "RS256", "PS256"),
        scope: str = "openid profile",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.issuer, self.client_id, self.redirect_uri = issuer, client_id, redirect_uri
        self._discovery_url, self._secret, self._scope = discovery_url, client_secret, scope
        self._allowed, self._clock = tuple(algorithms), clock
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched = float("-inf")
        self._keys_fetched = float("-inf")
        self._seen: dict[str, float] = {}

    def authorization_url(self, state: str, attempt: str, **extra: str) -> str:
        """Where to send the browser. Verifier and nonce are derived from the attempt's cookie and the state."""
        with self._session() as session:
            url, _ = session.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=state,
                code_verifier=verifier_of(attempt, state),
                nonce=nonce_of(attempt, state),
                **extra,
            )
        return str(url)

    def finish(self, query: Mapping[str, str], state: str, attempt: str) -> SignedIn:
        """Redeem the provider's answer. Raises OidcError; its reason is the provider's own for a refusal."""
        self._check_issuer(query)
        if "error" in query:
            known = {"login_required", "interaction_required", "consent_required", "access_denied"}
            raise OidcError(query["error"] if query["error"] in known else "provider_error")
        if not query.get("code"):
            raise OidcError("no_code")
        try:
            with self._session() as session:
                token = session.fetch_token(
                    self._endpoint("token_endpoint"),
                    code=query["code"],
                    code_verifier=verifier_of(attempt, state),
                    timeout=TIMEOUT,
                )
        except (AuthlibBaseError, requests.RequestException, ValueError) as error:
            raise OidcError("token_refused") from error
        raw = token.get("id_token")
        if not isinstance(raw, str):
            raise OidcError("no_id_token")
        claims = self._claims(raw, nonce={"essential": True, "value": nonce_of(attempt, state)})
        self._check_audience(claims)
        sub, sid = claims.get("sub"), claims.get("sid")
        if not isinstance(sub, str) or not 1 <= len(sub) <= 255:
            raise OidcError("no_subject")
        name = claims.get("name")
        if not isinstance(name, str):
            name = self._name_from_userinfo(token, sub)
        subject, sid, access = (
            Subject(self.issuer, sub),
            sid if isinstance(sid, str) else "",
            token.get("access_token"),
        )
        return SignedIn(subject, sid, name[:120], raw, claims, access if isinstance(access, str) else "")

    def access_until(self, done: SignedIn, audience: str = "") -> float:
        """Until when the access token is good, in POSIX seconds: one that others can check too, as RFC 9068 has it.

        Raises OidcError unless it is a JWT by RS256 and a key of the provider's, of the person who signed in, not expired and, when
        `audience` is given, for that audience.
        """
        raw = done.access_token
        if not 1 <= len(raw) <= 16_384:
            raise OidcError("no_access_token")
        try:
            claims = jwt.decode(raw, self._key_set(), algorithms=["RS256"]).claims
            more: dict[str, Any] = {"aud": {"essential": True, "value": audience}} if audience else {}
            jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self.issuer},
                sub={"essential": True, "value": done.subject.sub},
                exp={"essential": True},
                **more,
            ).validate(claims)
            return float(claims["exp"])
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OidcError("bad_access_token") from error

    def logout_token(self, raw: str) -> SignedOut:
        """Check a back-channel logout token (OpenID Back-Channel Logout 1.0 §2.6). Raises OidcError."""
        claims = self._claims(raw, jti={"essential": True}, iat={"essential": True})
        self._check_audience(claims)
        events, sub, sid, jti = (claims.get(key) for key in ("events", "sub", "sid", "jti"))
        now = self._clock()
        if not isinstance(events, dict) or LOGOUT_EVENT not in events or "nonce" in claims:
            raise OidcError("no_logout_token")
        if not (isinstance(sub, str) or isinstance(sid, str)) or not isinstance(jti, str):
            raise OidcError("no_logout_token")
        if abs(now - float(claims["iat"])) > 300:
            raise OidcError("stale_logout_token")
        with self._lock:
            self._seen = {key: until for key, until in self._seen.items() if until > now}
            if jti in self._seen:
                raise OidcError("replayed_logout_token")
            self._seen[jti] = now + 600
        return SignedOut(self.issuer, sub or "", sid or "", jti)

    def end_session_url(self, id_token: str, return_to: str) -> str:
        """Where to send the browser to sign out at the provider; `return_to` itself when it offers none."""
        try:
            endpoint = self._endpoint("end_session_endpoint")
        except OidcError:
            return return_to
        return f"{endpoint}?{urlencode({'id_token_hint': id_token, 'post_logout_redirect_uri': return_to})}"

    # --- inside

    def _session(self) -> OAuth2Session:
        return OAuth2Session(
            self.client_id,
            self._secret,
            scope=self._scope,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
        )

    def _endpoint(self, name: str) -> str:
        value = self._fetch_metadata().get(name)
        if not isinstance(value, str):
            raise OidcError("provider_incomplete")
        return value

    def _fetch_metadata(self) -> dict[str, Any]:
        if self._clock() - self._fetched < METADATA_LIFE:
            return self._metadata
        metadata = self._get_json(self._discovery_url)
        if metadata.get("issuer") != self.issuer:
            raise OidcError("wrong_issuer")
        self._metadata, self._fetched = metadata, self._clock()
        return metadata

    def _get_json(self, url: str, **headers: str) -> dict[str, Any]:
        try:
            answer = requests.get(url, headers=headers, timeout=TIMEOUT, allow_redirects=False)
            answer.raise_for_status()
            body = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise OidcError("provider_unreachable") from error
        if not isinstance(body, dict):
            raise OidcError("provider_incomplete")
        return body

    def _key_set(self, *, again: bool = False) -> KeySet:
        age = self._clock() - self._keys_fetched
        if self._keys is None or age > METADATA_LIFE or (again and age > 10):
            body = self._get_json(self._endpoint("jwks_uri"))
            try:
                self._keys = KeySet.import_key_set(body)  # type: ignore[arg-type]
            except (JoseError, KeyError, ValueError) as error:
                raise OidcError("provider_incomplete") from error
            self._keys_fetched = self._clock()
        return self._keys

    def _claims(self, raw: str, **extra: Any) -> dict[str, Any]:
        offered = self._fetch_metadata().get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [name for name in self._allowed if name in offered]
        if not algorithms or len(raw) > 16_384:
            raise OidcError("bad_token")
        try:
            try:
                claims = jwt.decode(raw, self._key_set(), algorithms=algorithms).claims
            except (JoseError, ValueError):
                claims = jwt.decode(raw, self._key_set(again=True), algorithms=algorithms).claims
            registry = jwt.JWTClaimsRegistry(
                now=lambda: int(self._clock()),
                leeway=LEEWAY,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self.client_id},
                exp={"essential": "nonce" in extra},
                **extra,
            )
            registry.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OidcError("bad_token") from error
        return claims

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        audience, azp = claims.get("aud"), claims.get("azp")
        several = isinstance(audience, list) and len(audience) > 1
        if (azp is not None and azp != self.client_id) or (several and azp != self.client_id):
            raise OidcError("bad_token")

    def _check_issuer(self, query: Mapping[str, str]) -> None:
        promised = self._fetch_metadata().get("authorization_response_iss_parameter_supported") is True
        given = query.get("iss")
        if (given is not None or promised) and given != self.issuer:
            raise OidcError("wrong_issuer")

    def _name_from_userinfo(self, token: Mapping[str, Any], sub: str) -> str:
        """Many providers give names at userinfo only (eduTEAMS); a failure costs the name, never the sign-in."""
        try:
            url = self._endpoint("userinfo_endpoint")
            info = self._get_json(url, authorization=f"Bearer {token.get('access_token', '')}")
        except OidcError:
            return ""
        name = info.get("name") or info.get("preferred_username")
        return name if info.get("sub") == sub and isinstance(name, str) else ""
