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

from pydantic import (
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from central_portal.django_database import database_table
from central_portal.federation import Federation, ProviderTable
from central_portal.setting_types import Listen, MaybeListen, MaybePrivate, MaybeReachable, MaybeRedis, Origin
from shared.limits import LIMITS


class CentreSettings(BaseSettings):
    """Everything that the environment says; `PARASOL_` before each name in upper case."""

    model_config = SettingsConfigDict(
        env_prefix="PARASOL_", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    origin: Origin = Field(default="http://portal.localhost:8000", description="The portal as browsers reach it.")
    listen: Listen = Field(
        default="127.0.0.1:8000", description="host:port of the web server; TLS ends in front of it."
    )
    data: Path = Field(default=Path("parasol-data"), description="Private folder: SQLite, authority, keys.")
    database: str = Field(default="", description="postgresql://…; empty for SQLite in the data folder.")
    database_password_file: Path | None = Field(default=None, description="Its password, in a private file.")
    redis: MaybeRedis = Field(
        default="", description="redis://… for hints between processes; not needed by `serve`."
    )
    relay_key_file: Path | None = Field(
        default=None, description="Shared by web and hub processes; made in the data folder by default."
    )
    metrics: MaybePrivate = Field(
        default="", description="host:port on loopback for Prometheus and health; empty for none."
    )
    federation: Path | None = Field(default=None, description="Path of federation.toml.")
    hub_listen: str = Field(
        default="127.0.0.1:7443", description="Where agents enrol, and connect with signed tokens."
    )
    hub_mutual_listen: MaybeListen = Field(
        default="127.0.0.1:7444", description="Where agents connect with certificates."
    )
    hub_websocket_listen: MaybeListen = Field(
        default="", description="host:port on loopback for agents behind HTTP/1.1 proxies; empty for none."
    )
    hub_address: MaybeListen = Field(
        default="", description="`hub_listen` as agents reach it; goes into enrolment tokens."
    )
    hub_audience: str = Field(default="parasol-hub", description="What agents' signed tokens are for.")
    hub_certificate: Path | None = Field(
        default=None, description="PEM; without it the centre's own authority gives the hub one."
    )
    hub_key: Path | None = Field(default=None, description="Its key, PEM.")
    hub_ca: Path | None = Field(default=None, description="The authority that signed it, PEM.")
    hub_plaintext: bool = Field(default=False, description="No TLS; only on loopback.")
    hub_advertise: MaybeReachable = Field(
        default="", description="This hub as web processes reach it; where it listens by default."
    )
    hub_name: str = Field(
        default="", description="The name in the hubs' certificate, when web processes dial another."
    )
    hub_session_age: float = Field(
        default=3600.0, gt=0, description="After about how long an agent opens its next session, in seconds."
    )
    hub_drain: float = Field(
        default=10.0,
        ge=0,
        le=120,
        description="How long a stopping hub answers what is under way, in seconds; `serve` waits 2 at most.",
    )
    hub_lease: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="How long a session counts as alive when its hub is silent, in seconds.",
    )
    hub_heartbeat: float = Field(
        default=LIMITS.heartbeat_every,
        ge=0.1,
        le=60,
        description="How often both ends of a link say so, in seconds.",
    )
    hub_dead_after: float = Field(
        default=LIMITS.dead_after, ge=0.3, le=300, description="Silence after which both give it up, in seconds."
    )
    certificate_hours: float = Field(default=48.0, ge=24, le=72, description="Life of an agent's certificate.")
    query_deadline: float = Field(
        default=5.0, gt=0, le=60, description="How long one facility may take, in seconds."
    )
    mirror_every: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="Pause between two looks at a facility's open metadata, in seconds.",
    )
    crash_at: str = Field(
        default="", description="For tests alone: the moment at which this process kills itself."
    )
    session_hours: float = Field(default=12.0, gt=0, le=168, description="Life of a person's portal session.")

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
    "central_portal.mirror",
    "central_portal.workspaces",
]
MIDDLEWARE: list[str] = []
DATABASES = {"default": _settings.database_table()}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
LOGGING_CONFIG = None
FORM_RENDERER = "django.forms.renderers.DjangoTemplates"
