"""The providers of the federation's configuration, ready to use."""

from __future__ import annotations

from central_portal.federation import Federation
from central_portal.settings import secret_of
from shared.oidc import OidcProvider


def providers(federation: Federation, origin: str) -> dict[str, OidcProvider]:
    """Provider id → client. Reads the secrets' files. Raises SettingsError."""
    return {
        table.id: OidcProvider(
            issuer=table.issuer,
            discovery_url=table.discovery_url,
            client_id=table.client_id,
            client_secret=secret_of(table),
            redirect_uri=f"{origin}/signin/callback/{table.id}",
            algorithms=table.algorithms,
        )
        for table in federation.providers
    }
