"""One TOML file for agent and gateway. Unknown keys are mistakes; secrets are files; relative paths start at the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from facility_agent.clients import ClientTable, SignOnTable
from facility_agent.offers import EnvironmentTable, FlavourTable
from facility_agent.places.settings import ArchiveTable, MountTable, PlaceTable
from facility_agent.tables import Table
from shared.facilities import is_facility_id
from shared.wire.addresses import is_loopback, parse_address, parse_hub, parse_zone


class ConfigError(Exception):
    """A mistake in the configuration, as one sentence that names the key."""


def _origin(value: str) -> str:
    parts = urlsplit(value)
    host = parts.hostname or ""
    local = is_loopback(host) or host.endswith(".localhost")
    bare = (parts.path, parts.query, parts.fragment) in (("", "", ""), ("/", "", "")) and "@" not in parts.netloc
    if not host or not bare or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ValueError("must be an https origin without a path; http is for loopback and *.localhost only")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _host_port(value: str) -> str:
    parse_address(value)
    return value


Origin = Annotated[str, AfterValidator(_origin)]
HostPort = Annotated[str, AfterValidator(_host_port)]
HubAddress = Annotated[str, AfterValidator(lambda text: str(parse_hub(text)) if text else text)]


class ServiceTable(Table):
    """A service of the facility itself, shown in the portal."""

    id: str
    title: str
    description: str = ""
    url: str


class FacilityTable(Table):
    """What the facility says of itself; anyone may read it."""

    id: str = Field(description="Short slug, the same as at the centre.")
    name: str = Field(min_length=1, max_length=120)
    place: str = ""
    country: str = Field(default="", pattern=r"^([A-Z]{2})?$", description="ISO 3166-1 alpha-2.")
    description: str = Field(default="", max_length=2000)
    website: str = ""
    data_portal: str = ""
    contact: str = Field(
        default="", description="Where people get help; an address of the facility, not of a person."
    )
    services: tuple[ServiceTable, ...] = ()

    @field_validator("id")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not is_facility_id(value):
            raise ValueError("must be a slug: lower-case letters, digits and hyphens, at most 40")
        return value


class CentreTable(Table):
    """Which centre this facility belongs to."""

    portal: Origin = Field(description="Origin of the portal, the only client of this gateway.")
    hub: HubAddress | tuple[HubAddress, ...] = Field(
        default="",
        description="host:port of the hub, or wss://… of its WebSocket, or a list of them; only without `facility-agent enrol`.",
    )
    audience: str = Field(default="parasol-hub", description="With `hub`: what the agent's token is for.")
    ca_file: Path | None = Field(default=None, description="With `hub`: pins the centre's CA.")
    plaintext: bool = Field(default=False, description="With `hub`: no TLS; only when the hub is on loopback.")
    key_file: Path | None = Field(
        default=None,
        description="Ed25519 private key of the agent, PEM, 0600; `agent.key` in the state folder by default.",
    )

    @model_validator(mode="after")
    def _either(self) -> CentreTable:
        hubs = (self.hub,) if isinstance(self.hub, str) else self.hub
        public = all(hub.startswith("wss://") for hub in hubs)  # then this machine's own authorities will do
        if self.hub and not public and (self.ca_file is None) != self.plaintext:
            raise ValueError("give ca_file, or plaintext = true on loopback")
        if not self.hub and (self.ca_file is not None or self.plaintext):
            raise ValueError("ca_file and plaintext belong to hub; an enrolled agent needs none of them")
        return self


class AgentTable(Table):
    """Where the agent keeps its state and listens."""

    state: Path = Field(description="Store and key file; private to the agent's user.")
    socket: Path = Field(description="Unix socket on which the agent serves the gateway; its folder is private.")
    metrics_listen: str = Field(default="", description="host:port for Prometheus; the socket has them anyway.")
    feed_s: float = Field(
        default=30.0, ge=0.2, le=86_400,
        description="Pause between two looks at the open metadata, in seconds; ten times a look's length when that is more.",
    )  # fmt: skip
    egress_file_mib: int = Field(default=64, ge=1, le=4096, description="Largest file of the egress log, in MiB.")
    egress_policy: Path | None = Field(
        default=None, description="TOML file of fields that stay here all the same."
    )
    metrics_open: bool = Field(
        default=False, description="Allow metrics_listen beyond loopback; anyone may read it."
    )

    @model_validator(mode="after")
    def _metrics(self) -> AgentTable:
        if self.metrics_listen:
            address = parse_address(self.metrics_listen)
            if address.port == 0 or not (address.is_loopback or self.metrics_open):
                raise ValueError("metrics_listen must be host:port on loopback, or set metrics_open = true")
        return self


class LinkTable(Table):
    """How patient the agent is with its link, in seconds; heartbeats and silence within a session are the hub's word."""

    heartbeat_s: float = Field(default=8.0, ge=0.05, le=60, description="How often it looks for results to send.")
    dead_after_s: float = Field(
        default=24.0, ge=0.1, le=300, description="A hub that takes no bytes for so long is dead."
    )
    hello_s: float = Field(default=10.0, gt=0, le=60, description="The longest attempt to open a session.")
    first_pause_s: float = Field(default=0.25, gt=0, le=60, description="The first pause before the next attempt.")
    longest_pause_s: float = Field(default=30.0, gt=0, le=600, description="The longest one.")
    refused_pause_s: float = Field(default=300.0, gt=0, le=3600, description="The longest one while refused.")
    stable_after_s: float = Field(default=60.0, gt=0, le=3600, description="A session that long was a good one.")

    @model_validator(mode="after")
    def _patient(self) -> LinkTable:
        if self.dead_after_s < 2 * self.heartbeat_s:
            raise ValueError("dead_after_s is at least twice heartbeat_s")
        return self


class GatewayTable(Table):
    """The facility's own web door."""

    listen: HostPort = Field(description="host:port; TLS ends in front of it.")
    url: Origin = Field(description="The gateway's own origin.")
    workspace_zone: str = Field(description="Domain under which each workspace has its own origin.")
    umbrella: ClientTable
    sign_on: SignOnTable | None = None

    @field_validator("workspace_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return parse_zone(value)


class GrantsTable(Table):
    """How long grants hold, in seconds."""

    read_lifetime_s: float = Field(default=604_800, gt=0, le=30 * 86_400)
    run_lifetime_s: float = Field(default=43_200, gt=0, le=7 * 86_400)


class LimitsTable(Table):
    """Limits per account."""

    workspaces_per_account: int = Field(default=4, ge=1, le=1000)


class Config(Table):
    """The whole file."""

    facility: FacilityTable
    centre: CentreTable
    agent: AgentTable
    gateway: GatewayTable
    link: LinkTable = LinkTable()
    grants: GrantsTable = GrantsTable()
    limits: LimitsTable = LimitsTable()
    accounts: dict[str, Any]
    catalogue: dict[str, Any]
    compute: dict[str, Any]
    access: dict[str, Any] = Field(default_factory=lambda: {"adapter": "accounts"})
    places: tuple[PlaceTable, ...] = ()
    mounts: tuple[MountTable, ...] = ()
    archive: ArchiveTable = ArchiveTable()
    flavours: tuple[FlavourTable, ...]
    environments: tuple[EnvironmentTable, ...]

    @model_validator(mode="after")
    def _refers(self) -> Config:
        sizes = {flavour.id for flavour in self.flavours}
        for environment in self.environments:
            unknown = set(environment.flavours) - sizes
            if unknown:
                raise ValueError(
                    f"environment {environment.id} names unknown flavours: {', '.join(sorted(unknown))}"
                )
        for kind, ids in (
            ("flavour", [f.id for f in self.flavours]),
            ("environment", [e.id for e in self.environments]),
        ):
            if len(ids) != len(set(ids)):
                raise ValueError(f"two {kind}s have the same id")
        return self


class Located:
    """A configuration and the folder of its file."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config, self.folder = config, folder

    def path(self, path: Path) -> Path:
        """An absolute path; relative ones start at the configuration's folder."""
        return self.folder / path

    def agent_key(self) -> Path:
        """Where the agent's long-lived key is."""
        return self.path(self.config.centre.key_file or self.config.agent.state / "agent.key")

    def secret(self, path: Path) -> str:
        """The content of a secret's file. Raises ConfigError when it is missing or open to others."""
        full = self.path(path)
        try:
            if full.stat().st_mode & 0o077:
                raise ConfigError(f"{full} is open to other users; make it 0600")
            secret = full.read_text().strip()
        except OSError as error:
            raise ConfigError(f"{full}: {error.strerror}") from None
        if not secret:
            raise ConfigError(f"{full} is empty")
        return secret


def explain(error: ValidationError, where: str) -> str:
    """The first mistake as one sentence that names the key; a key that is not known before one that is missing."""
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    said = {"extra_forbidden": "is not a known key", "missing": "is missing"}
    what = said.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    return ": ".join([where, *([".".join(map(str, first["loc"]))] if first["loc"] else []), what])


def load(path: Path) -> Located:
    """Read a configuration. Raises ConfigError."""
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:  # no TOML, or no text
        raise ConfigError(f"{path}: {error}") from None
    try:
        config = Config.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(explain(error, str(path))) from None
    return Located(config, path.resolve().parent)


def adapter_settings(table: dict[str, Any], where: str) -> tuple[str, dict[str, Any]]:
    """(adapter's name, its settings) of a port's table. Raises ConfigError."""
    name = table.get("adapter")
    if not isinstance(name, str):
        raise ConfigError(f"{where}: adapter: is missing")
    extra = set(table) - {"adapter", name}
    if extra:
        raise ConfigError(f'{where}.{sorted(extra)[0]}: is not a known key beside adapter = "{name}"')
    settings = table.get(name, {})
    if not isinstance(settings, dict):
        raise ConfigError(f"{where}.{name}: must be a table")
    return name, settings
