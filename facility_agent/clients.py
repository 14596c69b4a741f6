"""Registrations of the gateway at OpenID providers, as the configuration has them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from facility_agent.tables import Table


class ClientTable(Table):
    """A registration at an OpenID provider."""

    issuer: str
    discovery: str = Field(default="", description="Where the metadata are when not below the issuer.")
    client_id: str
    client_secret_file: Path
    algorithms: tuple[str, ...] = ("ES256", "RS256", "PS256")

    @property
    def discovery_url(self) -> str:
        """Where its metadata are."""
        return self.discovery or self.issuer.rstrip("/") + "/.well-known/openid-configuration"


class SignOnTable(ClientTable):
    """The facility's own sign-on; without it people use username and password."""

    username_claim: str = Field(default="preferred_username", description="Claim that holds the local username.")
    title: str = Field(default="the facility's sign-on", description="How the gateway's page calls it.")
    token_scope: str = Field(
        default="", pattern=r"^[\x21\x23-\x5b\x5d-\x7e ]*$",
        description="Scopes asked for beside `openid profile`, so that the access token is one that the catalogue takes "
        "(`person_session` of the adapter `icat`).",
    )  # fmt: skip
    token_audience: str = Field(
        default="",
        description="Whom the access token must be for (its `aud`); an address is also asked for as `resource` (RFC 8707). Without it "
        "any audience will do.",
    )  # fmt: skip
