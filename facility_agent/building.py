"""The adapters that a configuration names, built from its tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from facility_agent.config import ConfigError, Located, adapter_settings, explain
from facility_agent.core.access import Both, CatalogueRules
from facility_agent.plugins import GROUPS, Site, find
from facility_agent.ports.access_rules import AccessRules


@dataclass(frozen=True, slots=True)
class Adapters:
    """The facility's own systems; `access` is None where accounts or catalogue have the word on it."""

    catalogue: Any
    compute: Any
    accounts: Any
    access: Any = None

    @property
    def isolation(self) -> str:
        """As whom workspaces run: `account`, or `none` for the agent's own user."""
        return getattr(self.compute, "isolation", "account")

    def rules(self, named: str) -> AccessRules:
        """The access rules that `[access] adapter` names."""
        accounts: AccessRules = self.accounts
        if named == "accounts":
            return accounts
        return Both(accounts, CatalogueRules(self.catalogue) if named == "catalogue" else self.access)


OTHERS_WORD = ("accounts", "catalogue")
"""Values of `[access] adapter` that name no adapter of their own."""


def adapters(located: Located, below: Path | None = None) -> Adapters:
    """Build the adapters, whose own folders are `below`, the agent's state by default. Raises ConfigError."""
    config, made = located.config, {}
    below = below or located.path(config.agent.state)
    for port in GROUPS:
        name, settings = adapter_settings(getattr(config, port), port)
        if port == "access" and name in OTHERS_WORD:
            if settings:
                raise ConfigError(f'access.{name}: adapter = "{name}" has no settings of its own')
            continue
        try:
            plugin = find(port, name)
            parsed = plugin.settings.model_validate(settings)
        except LookupError as error:
            raise ConfigError(f"{port}.adapter: {error}") from None
        except ValidationError as error:
            raise ConfigError(explain(error, f"{port}.{name}")) from None
        state = below / f"{port}-{name}"
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            made[port] = plugin.build(parsed, Site(config.facility.id, state, located.folder))
        except ValueError as error:
            raise ConfigError(f"{port}.{name}: {error}") from None
    if config.access["adapter"] == "catalogue" and not made["catalogue"].proposals_give_data:
        raise ConfigError("access.adapter: this catalogue shows proposals to people who may not read their data")
    return Adapters(**made)
