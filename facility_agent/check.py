"""Everything that can be wrong with a configuration before it is used, each with its mend."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from facility_agent.config import ConfigError, Located


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem. A fatal one keeps agent or gateway from starting or working."""

    key: str
    what: str
    mend: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{'ERROR' if self.fatal else 'WARNING'} {self.key}: {self.what} {self.mend}"


def problems(located: Located) -> list[Finding]:
    """Every problem found, fatal ones first."""
    found = [
        *_user(),
        *_secrets(located),
        *_key(located),
        *_certificate(located, time.time()),
        *_adapters(located),
        *_places(located),
        *_environments(located),
        *_domains(located),
    ]
    return sorted(found, key=lambda finding: not finding.fatal)


def _user() -> Iterator[Finding]:
    if os.getuid() == 0:
        yield Finding("user", "This is root.", "Run agent, gateway and this check as an ordinary user.")


def _secrets(located: Located) -> Iterator[Finding]:
    gateway = located.config.gateway
    clients = [
        ("gateway.umbrella", gateway.umbrella),
        *([("gateway.sign_on", gateway.sign_on)] if gateway.sign_on else []),
    ]
    for key, client in clients:
        try:
            located.secret(client.client_secret_file)
        except ConfigError as error:
            yield Finding(
                f"{key}.client_secret_file", str(error) + ".", "Put the client's secret there, mode 0600."
            )


def _key(located: Located) -> Iterator[Finding]:
    path = located.agent_key()
    try:
        mode = path.stat().st_mode
    except PermissionError:
        yield Finding("centre.key_file", f"{path} cannot be read.", "Give it to this user, mode 0600.")
    except OSError:
        if located.config.centre.hub:
            yield Finding(
                "centre.key_file",
                "The agent has no key yet.",
                "Run `facility-agent key` and send the public half.",
            )
    else:
        if mode & 0o077:
            yield Finding("centre.key_file", "The agent's key is open to other users.", f"Run `chmod 600 {path}`.")


def _certificate(located: Located, now: float) -> Iterator[Finding]:
    """What is wrong with the enrolled identity; nothing is asked of an agent that was set up by hand."""
    from facility_agent.composition import certificates
    from facility_agent.link.settings import LinkMisconfigured

    kept = certificates(located)
    if kept is None:
        return
    try:
        kept.prepare()
        identity = kept.newest()
    except LinkMisconfigured as error:
        what, _, mend = str(error).partition("; ")
        yield Finding("centre", f"{what.rstrip('.')}.", f"{mend[:1].upper()}{mend[1:]}")
        return
    if identity is None or not identity.mutual:
        return
    clock = "Compare this machine's clock with the time; "
    if now < identity.begins:
        yield Finding(
            "centre",
            "The agent's certificate is not valid yet.",
            "Mend this machine's clock: it is behind the centre's.",
        )
    elif now >= identity.ends:
        yield Finding(
            "centre",
            f"The agent's certificate expired {(now - identity.ends) / 3600:.0f} hours ago.",
            f"{clock}a running agent recovers by itself, and its log says so; else enrol again.",
            fatal=False,
        )
    elif kept.overdue():
        yield Finding(
            "centre",
            f"The agent's certificate ends in {(identity.ends - now) / 3600:.0f} hours and was not renewed.",
            "Look at the agent's log: it says what keeps it from renewing.",
            fatal=False,
        )


def _adapters(located: Located) -> Iterator[Finding]:
    from facility_agent.building import adapters

    state = located.path(located.config.agent.state)
    if not _can_write(state):
        yield Finding("agent.state", f"{state} cannot be written.", "Create it for this user, mode 0700.")
        return
    try:
        made = adapters(located)
    except ConfigError as error:
        yield Finding("adapters", f"{error}.", "Mend that table.")
        return
    if located.config.gateway.sign_on is None and not getattr(made.accounts, "takes_passwords", True):
        yield Finding(
            "gateway.sign_on",
            "These accounts have no password that can be asked here.",
            "Name your own OpenID service there.",
        )
    yield from _tokens(located, made.catalogue)
    for port in fields(made):
        adapter, table = getattr(made, port.name), getattr(located.config, port.name)
        for fault in adapter.faults() if hasattr(adapter, "faults") else ():
            key = f"{port.name}.{table['adapter']}.{fault.setting}"
            yield Finding(key, fault.what, fault.mend, fault.fatal)


def _tokens(located: Located, catalogue: object) -> Iterator[Finding]:
    """Whether what gives tokens and what takes them belong together."""
    from facility_agent.ports.tokens import PersonalCatalogue, PersonSession

    wish = catalogue.person_session if isinstance(catalogue, PersonalCatalogue) else PersonSession.NEVER
    sign_on = located.config.gateway.sign_on
    if wish is not PersonSession.NEVER and sign_on is None:
        yield Finding(
            f"catalogue.{located.config.catalogue['adapter']}.person_session",
            "There is no sign-on of which it could get a token for anybody.",
            "Name your own OpenID service in [gateway.sign_on], the one that the catalogue trusts.",
            fatal=wish is PersonSession.REQUIRED,
        )
    if wish is PersonSession.NEVER and sign_on is not None and (sign_on.token_scope or sign_on.token_audience):
        yield Finding(
            "gateway.sign_on.token_scope",
            "The catalogue takes no tokens of the sign-on.",
            "Set person_session of the adapter icat, or take token_scope and token_audience out.",
            fatal=False,
        )


def _places(located: Located) -> Iterator[Finding]:
    tables = [
        *(("places", table) for table in located.config.places),
        *(("mounts", table) for table in located.config.mounts),
    ]
    for name, table in tables:
        if not (table.root.is_dir() and os.access(table.root, os.R_OK | os.X_OK)):
            yield Finding(
                f"{name}.root",
                f"{table.root} is no folder that this user can read.",
                "Mount it, or mend the path.",
            )
    for root in located.config.archive.entered_below:
        if not (root.is_dir() and os.access(root, os.X_OK)):
            yield Finding(
                "archive.entered_below",
                f"{root} is no folder that this user can enter.",
                "Mount it, or mend the path.",
            )


def _can_write(path: Path) -> bool:
    """Whether it, or what it would be made in, can be written. A folder that this user cannot enter cannot."""
    while not os.path.lexists(path):
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _environments(located: Located) -> Iterator[Finding]:
    for environment in located.config.environments:
        if shutil.which(environment.command[0]) is None:
            yield Finding(
                f"environments.{environment.id}.command",
                f"{environment.command[0]} is not a program that this user can run.",
                "Install the environment or mend the path.",
            )


def _domains(located: Located) -> Iterator[Finding]:
    gateway = located.config.gateway
    host, zone = urlsplit(gateway.url).hostname or "", gateway.workspace_zone.rsplit(":", 1)[0]
    if host == zone or host.endswith("." + zone) or zone.endswith("." + host):
        yield Finding(
            "gateway.workspace_zone", "It shares an origin with the gateway.", "Use another registrable domain."
        )
    elif not zone.endswith("localhost") and host.split(".")[-2:] == zone.split(".")[-2:]:
        yield Finding(
            "gateway.workspace_zone",
            "It seems to lie on the same registrable domain as the gateway: pages in workspaces could plant cookies there.",
            "Use another registrable domain.",
            fatal=False,
        )
    if not zone.endswith("localhost"):
        yield Finding(
            "gateway.workspace_zone",
            "Sibling workspaces share a site unless the zone is on the Public Suffix List.",
            "Ask for its listing at publicsuffix.org (private section), and for a wildcard certificate and DNS entry.",
            fatal=False,
        )
