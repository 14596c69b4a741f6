"""A small OpenID provider of a test: strict about codes and PKCE, and as hostile in its tokens as a test asks."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import OctKey, RSAKey

LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
Claims = dict[str, Any]


@dataclass
class Visit:
    """One authorization request and who answers it."""

    query: dict[str, str]
    sub: str
    sid: str


@dataclass
class Op:
    """The provider. `change` may rewrite the claims of ID tokens; `sign` the way they are signed."""

    port: int = 0
    client_id: str = "portal"
    client_secret: str = "a-secret-of-the-test"
    person: tuple[str, str] = ("ada", "sid-ada")
    metadata: dict[str, Any] = field(default_factory=dict)
    change: Callable[[Claims], None] = lambda claims: None
    sign: Callable[[Op, Claims], str] | None = None
    token: Callable[[dict[str, Any]], None] = lambda answer: None
    fetched: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = RSAKey.generate_key(2048, parameters={"kid": "k1"})
        self.visits: dict[str, Visit] = {}

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calm(self) -> None:
        """An honest provider again, that nobody has visited."""
        self.visits.clear()
        self.metadata, self.change, self.sign, self.token = {}, lambda claims: None, None, lambda answer: None
        self.person = ("ada", "sid-ada")

    def answer(self, authorization_url: str, **changes: str) -> str:
        """What the provider sends the browser back with: the person has signed in."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        code = secrets.token_urlsafe(16)
        self.visits[code] = Visit(query, *self.person)
        back = {"code": code, "state": query["state"], "iss": self.issuer} | changes
        return f"{query['redirect_uri']}?{urlencode({k: v for k, v in back.items() if v})}"

    def claims(self, visit: Visit) -> Claims:
        now = int(time.time())
        return {
            "iss": self.issuer, "aud": self.client_id, "sub": visit.sub, "sid": visit.sid, "name": visit.sub.title(),
            "nonce": visit.query.get("nonce"), "iat": now, "exp": now + 600,
        }  # fmt: skip

    def signed(self, claims: Claims, typ: str = "JWT") -> str:
        return jwt.encode({"alg": "RS256", "kid": "k1", "typ": typ}, claims, self.key)

    def logout_token(self, **changes: Any) -> str:
        """A good one for the person, but for `changes`; None removes a claim."""
        claims = {
            "iss": self.issuer, "aud": self.client_id, "iat": int(time.time()), "exp": int(time.time()) + 120,
            "jti": secrets.token_urlsafe(8), "events": {LOGOUT: {}}, "sid": self.person[1], "sub": self.person[0],
        } | changes  # fmt: skip
        return self.signed({k: v for k, v in claims.items() if v is not None}, "logout+jwt")

    def redeem(self, form: dict[str, str]) -> dict[str, Any] | str:
        """The token endpoint; an error's name when it refuses."""
        visit = self.visits.pop(form.get("code", ""), None)
        if visit is None or form.get("redirect_uri") != visit.query["redirect_uri"]:
            return "invalid_grant"
        made = urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if visit.query.get("code_challenge_method") != "S256" or made.decode() != visit.query["code_challenge"]:
            return "invalid_grant"
        claims = self.claims(visit)
        self.change(claims)
        claims = {name: value for name, value in claims.items() if value is not None}
        token = (self.sign or Op.signed)(self, claims)
        answer = {"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": token}
        self.token(answer)
        return answer

    def document(self, path: str) -> dict[str, Any] | None:
        """What is at a GET address."""
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "end_session_endpoint": f"{self.issuer}/end",
                "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
                "authorization_response_iss_parameter_supported": True,
            } | self.metadata
        if path == "/jwks":
            return {"keys": [self.key.as_dict(private=False, use="sig")]}
        if path == "/userinfo":
            return {"sub": self.person[0], "name": "Ada of Userinfo"}
        return None


def unsigned(op: Op, claims: Claims) -> str:
    """`alg: none`."""
    head, body = ({"alg": "none"}, claims)
    return ".".join(urlsafe_b64encode(json.dumps(x).encode()).rstrip(b"=").decode() for x in (head, body)) + "."


def by_client_secret(op: Op, claims: Claims) -> str:
    """`alg: HS256` under the client's secret."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(op.client_secret))


def by_public_key(op: Op, claims: Claims) -> str:
    """`alg: HS256` under the bytes of the provider's public key, for those who confuse the two."""
    pem = op.key.as_pem(private=False)
    registry = jws.JWSRegistry(algorithms=["HS256"])
    head = {"alg": "HS256", "kid": "k1"}
    return jws.serialize_compact(head, json.dumps(claims).encode(), OctKey.import_key(hashlib.sha256(pem).digest()), registry=registry)  # fmt: skip


def by_another_key(op: Op, claims: Claims) -> str:
    """Signed with a key of the attacker under the provider's key id."""
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, RSAKey.generate_key(2048))


@contextmanager
def serving(op: Op) -> Iterator[Op]:
    """The provider on a port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Says nothing."""

        def tell(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            op.fetched.append(self.path)
            found = op.document(urlsplit(self.path).path)
            self.tell(404 if found is None else 200, found)

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"])).decode()
            answer = op.redeem({name: values[0] for name, values in parse_qs(raw).items()})
            if isinstance(answer, str):
                op.refused.append(answer)
                self.tell(400, {"error": answer})
            else:
                self.tell(200, answer)

    server = ThreadingHTTPServer(("127.0.0.1", op.port), Handler)
    server.daemon_threads = True
    op.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield op
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
