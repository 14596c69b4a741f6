"""Who takes part in the federation: the tables of `federation.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from central_portal.setting_types import MaybeProviderUrl, Origin, ProviderUrl
from shared.facilities import is_facility_id
from shared.wire.addresses import parse_zone

Algorithm = Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "Ed25519"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ProviderTable(_Table):
    """An OpenID provider that people sign in with."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")
    title: str = Field(min_length=1, max_length=80)
    issuer: ProviderUrl
    discovery: MaybeProviderUrl = ""
    client_id: str = Field(min_length=1)
    client_secret_file: Path
    algorithms: tuple[Algorithm, ...] = Field(default=("ES256", "RS256", "PS256"), min_length=1)

    @property
    def discovery_url(self) -> str:
        """Where its metadata are."""
        return self.discovery or self.issuer.rstrip("/") + "/.well-known/openid-configuration"


class FacilityTable(_Table):
    """A facility that may connect."""

    id: str
    name: str = Field(min_length=1, max_length=120)
    public_key: str = Field(
        default="", description="Only for an agent that is not enrolled: the output of `facility-agent key`."
    )
    gateway: Origin
    workspace_zone: str

    @field_validator("id")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not is_facility_id(value):
            raise ValueError("must be a slug: lower-case letters, digits and hyphens, at most 40")
        return value

    @field_validator("workspace_zone")
    @classmethod
    def _zone(cls, value: str, info: ValidationInfo) -> str:
        zone = parse_zone(value)
        gateway, domain = urlsplit(info.data.get("gateway", "")).hostname or "", zone.partition(":")[0]
        if gateway and (f".{gateway}".endswith("." + domain) or domain.endswith("." + gateway)):
            raise ValueError("it and the gateway lie in one another; they need two registrable domains")
        return zone

    def workspace_url(self, workspace_id: str) -> str:
        """The address of one workspace, on the gateway's scheme."""
        return f"{urlsplit(self.gateway).scheme}://{workspace_id}.{self.workspace_zone}/"


class Federation(_Table):
    """Who takes part: `federation.toml`."""

    providers: tuple[ProviderTable, ...] = ()
    facilities: tuple[FacilityTable, ...] = ()

    def facility(self, facility_id: str) -> FacilityTable | None:
        """The facility of a slug."""
        return next((f for f in self.facilities if f.id == facility_id), None)

    def provider(self, provider_id: str) -> ProviderTable | None:
        """The provider of an id."""
        return next((p for p in self.providers if p.id == provider_id), None)
