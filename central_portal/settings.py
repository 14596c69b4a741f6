"""The centre's settings: environment variables in one frozen class, the federation in one TOML file.

This module is also Django's settings module; what Django wants is derived from the class below.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from central_portal.django_database import database_table
from central_portal.setting_types import (
    Listen,
    MaybeListen,
    MaybePrivate,
    MaybeProviderUrl,
    MaybeReachable,
    MaybeRedis,
    Origin,
    ProviderUrl,
)
from shared.facilities import is_facility_id

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
    workspace_zone: str = Field(min_length=1, max_length=253)

    @field_validator("id")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not is_facility_id(value):
            raise ValueError("must be a slug: lower-case letters, digits and hyphens, at most 40")
        return value

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


class CentreSettings(BaseSettings):
    """Everything that the environment says; `PARASOL_` before each name in upper case."""

    model_config = SettingsConfigDict(
        env_prefix="PARASOL_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    origin: Origin = "http://portal.localhost:8000"
    listen: Listen = "127.0.0.1:8000"
    data: Path = Path("parasol-data")
    database: str = ""
    database_password_file: Path | None = None
    redis: MaybeRedis = ""
    relay_key_file: Path | None = None
    metrics: MaybePrivate = ""
    federation: Path | None = None
    hub_listen: str = "127.0.0.1:7443"
    hub_mutual_listen: MaybeListen = "127.0.0.1:7444"
    hub_address: MaybeListen = ""
    hub_audience: str = "parasol-hub"
    hub_certificate: Path | None = None
    hub_key: Path | None = None
    hub_ca: Path | None = None
    hub_plaintext: bool = False
    hub_advertise: MaybeReachable = ""
    hub_name: str = ""
    hub_drain: float = Field(default=10.0, ge=0, le=120)
    hub_lease: float = Field(default=30.0, gt=0, le=600)
    certificate_hours: float = Field(default=48.0, ge=24, le=72)
    query_deadline: float = Field(default=5.0, gt=0, le=60)
    session_hours: float = Field(default=12.0, gt=0, le=168)

    @model_validator(mode="after")
    def _database_url(self) -> Self:
        self.database_table()
        return self

    def database_table(self) -> dict[str, Any]:
        """What Django needs to know of the database."""
        return database_table(self.database, self.database_password_file, self.data)


class SettingsError(Exception):
    """A mistake in the environment or in federation.toml, as one sentence."""


def explain(error: ValidationError, where: str) -> str:
    """The first mistake of a validation as one sentence that names the key; a misspelt key before a missing one."""
    mistakes = error.errors()
    first = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    key = ".".join(str(part) for part in first["loc"]) or "the file"
    what = (
        "is not a known key" if first["type"] == "extra_forbidden" else first["msg"].removeprefix("Value error, ")
    )
    return f"{where}: {key}: {what}"


def read_settings() -> CentreSettings:
    """The settings as the environment has them now. Raises SettingsError."""
    try:
        return CentreSettings()
    except ValidationError as error:
        raise SettingsError(explain(error, "environment (PARASOL_…)")) from None


@cache
def centre_settings() -> CentreSettings:
    """The settings of this process. Raises SettingsError."""
    return read_settings()


@cache
def federation() -> Federation:
    """The federation's file; an empty federation when none is named. Raises SettingsError."""
    path = centre_settings().federation
    return Federation() if path is None else read_federation(path)


def read_federation(path: Path) -> Federation:
    """A federation's file. Raises SettingsError."""
    try:
        tables = tomllib.loads(path.read_text())
        loaded = Federation.model_validate(tables)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {error}") from None
    except ValidationError as error:
        raise SettingsError(explain(error, str(path))) from None
    for kind, ids in (
        ("provider", [p.id for p in loaded.providers]),
        ("facility", [f.id for f in loaded.facilities]),
    ):
        if len(ids) != len(set(ids)):
            raise SettingsError(f"{path}: two tables have the same {kind} id")
    return loaded


def secret_of(provider: ProviderTable) -> str:
    """The client secret of a provider; relative paths are relative to federation.toml. Raises SettingsError."""
    base = (centre_settings().federation or Path()).parent
    path = base / provider.client_secret_file
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    if not secret:
        raise SettingsError(f"{path}: is empty; it holds the client secret of provider {provider.id}")
    return secret


def refuse_unknown_variables(environment: Mapping[str, str] = os.environ) -> None:
    """A `PARASOL_` variable that nobody reads is a typo. Raises SettingsError naming it and its likeness."""
    known = {f"PARASOL_{name.upper()}" for name in CentreSettings.model_fields}
    for name in sorted(environment):
        if name.startswith("PARASOL_") and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingsError(f"environment: {name} is not a known variable{hint}")


try:
    _settings = centre_settings()
except SettingsError as _error:
    sys.stderr.write(f"{_error}\n")
    sys.exit(2)

SECRET_KEY = "unused-by-design"  # noqa: S105 (nothing is signed with it: no Django sessions, no password resets)
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
ALLOWED_HOSTS = ["*"]  # the door in front has judged the host
ROOT_URLCONF = "central_portal.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "central_portal.enrolment",
    "central_portal.facilities",
    "central_portal.identity",
    "central_portal.link",
    "central_portal.workspaces",
]
MIDDLEWARE: list[str] = []
DATABASES = {"default": _settings.database_table()}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
LOGGING_CONFIG = None
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"
