"""What the gateway needs of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from facility_agent.clients import ClientTable
from facility_agent.config import Located
from shared.oidc import OidcProvider


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`origin` and `portal` are exact origins; `zone` is the workspace zone with its port, if any.

    `takes_places`: people may enter where data lie. `token_audience`: whom access tokens of `sign_on` must be for.
    """

    facility_name: str
    origin: str
    portal: str
    zone: str
    host: str
    port: int
    socket: Path
    token_file: Path
    umbrella: OidcProvider
    sign_on: OidcProvider | None
    sign_on_title: str
    username_claim: str
    takes_places: bool = False
    token_audience: str = ""

    @property
    def scheme(self) -> str:
        """Http on loopback, else https."""
        return urlsplit(self.origin).scheme

    @property
    def redirect_uri(self) -> str:
        """The portal's, the only one that a code is ever sent to."""
        return f"{self.portal}/connect/callback"

    def workspace_origin(self, workspace_id: str) -> str:
        """The origin of one workspace."""
        return f"{self.scheme}://{workspace_id}.{self.zone}"


def gateway_settings(located: Located) -> GatewaySettings:
    """Read the secrets and make the clients. Raises ConfigError."""
    config = located.config
    gateway = config.gateway
    host, _, port = gateway.listen.rpartition(":")
    sign_on = gateway.sign_on
    return GatewaySettings(
        facility_name=config.facility.name,
        origin=gateway.url,
        portal=config.centre.portal.rstrip("/"),
        zone=gateway.workspace_zone,
        host=host or "127.0.0.1",
        port=int(port),
        socket=located.path(config.agent.socket),
        token_file=located.path(config.agent.state) / "socket.token",
        umbrella=_client(located, gateway.umbrella, f"{gateway.url}/umbrella/callback"),
        sign_on=_client(located, sign_on, f"{gateway.url}/sign-on/callback", sign_on.token_scope)
        if sign_on
        else None,
        sign_on_title=sign_on.title if sign_on else "",
        username_claim=sign_on.username_claim if sign_on else "",
        token_audience=sign_on.token_audience if sign_on else "",
        takes_places=bool(config.archive.entered_below),
    )


def _client(located: Located, table: ClientTable, redirect_uri: str, scope: str = "") -> OidcProvider:
    return OidcProvider(
        issuer=table.issuer,
        discovery_url=table.discovery_url,
        client_id=table.client_id,
        client_secret=located.secret(table.client_secret_file),
        redirect_uri=redirect_uri,
        algorithms=table.algorithms,
        scope=f"openid profile {scope}".strip(),
    )
