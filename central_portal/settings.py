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
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from central_portal.django_database import database_table
from central_portal.federation import Federation, ProviderTable, origin_of
from shared.limits import LIMITS
from shared.wire.addresses import parse_address


class CentreSettings(BaseSettings):
    """Everything that the environment says; `PARASOL_` before each name in upper case."""

    model_config = SettingsConfigDict(
        env_prefix="PARASOL_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    origin: str = "http://portal.localhost:8000"
    listen: str = "127.0.0.1:8000"
    data: Path = Path("parasol-data")
    database: str = ""
    database_password_file: Path | None = None
    redis: str = ""
    relay_key_file: Path | None = None
    metrics: str = ""
    federation: Path | None = None
    hub_listen: str = "127.0.0.1:7443"
    hub_mutual_listen: str = "127.0.0.1:7444"
    hub_address: str = ""
    hub_audience: str = "parasol-hub"
    hub_certificate: Path | None = None
    hub_key: Path | None = None
    hub_ca: Path | None = None
    hub_plaintext: bool = False
    hub_advertise: str = ""
    hub_name: str = ""
    hub_lease: float = Field(default=30.0, gt=0, le=600)
    hub_heartbeat: float = Field(default=LIMITS.heartbeat_every, ge=0.1, le=60)
    hub_dead_after: float = Field(default=LIMITS.dead_after, ge=0.3, le=300)
    certificate_hours: float = Field(default=48.0, ge=24, le=72)
    query_deadline: float = Field(default=5.0, gt=0, le=60)
    crash_at: str = ""
    session_hours: float = Field(default=12.0, gt=0, le=168)

    @field_validator("origin")
    @classmethod
    def _portal(cls, value: str) -> str:
        return origin_of(value)

    @field_validator("listen", "hub_mutual_listen", "hub_address")
    @classmethod
    def _listen(cls, value: str, info: ValidationInfo) -> str:
        if value or info.field_name == "listen":
            parse_address(value)
        return value

    @field_validator("hub_advertise")
    @classmethod
    def _reachable(cls, value: str) -> str:
        if value and parse_address(value).host in ("0.0.0.0", "::"):
            raise ValueError("must be an address that web processes can reach")
        return value

    @field_validator("metrics")
    @classmethod
    def _private(cls, value: str) -> str:
        if value and not parse_address(value).is_loopback:
            raise ValueError("must be on loopback: metrics are for this machine's own collector")
        return value

    @field_validator("redis")
    @classmethod
    def _redis_url(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
            raise ValueError("must be redis://host:port/number, rediss:// or unix://")
        return value

    @model_validator(mode="after")
    def _database_url(self) -> Self:
        self.database_table()
        return self

    @model_validator(mode="after")
    def _beats(self) -> Self:
        if self.hub_dead_after < 2 * self.hub_heartbeat:
            raise ValueError("PARASOL_HUB_DEAD_AFTER must be at least twice PARASOL_HUB_HEARTBEAT")
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
