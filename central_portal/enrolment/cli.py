"""`central-portal facility …`, `central-portal agent …` and `central-portal authority`."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

from central_portal.table import columns

if TYPE_CHECKING:  # importing the settings reads the environment, which --help must not need
    from central_portal.federation import Federation
    from central_portal.link.settings import HubSettings
    from central_portal.settings import CentreSettings

COMMANDS = ("facility", "agent", "authority")


def add_commands(commands: Any) -> None:
    """Describe them to argparse."""
    facility = commands.add_parser("facility", help="add, change, list, switch or remove facilities")
    verbs = facility.add_subparsers(dest="verb", required=True)
    for verb, what in (("add", "let a facility take part"), ("set", "change what is pinned of a facility")):
        parser = _of_facility(verbs, verb, what)
        parser.add_argument("--name", required=verb == "add", help="shown until its agent has described itself")
        parser.add_argument("--gateway", required=verb == "add", help="the gateway's origin, https://…")
        parser.add_argument("--workspace-zone", required=verb == "add", help="domain of its workspaces")
    verbs.add_parser("list", help="list every facility")
    _of_facility(verbs, "enable", "let it connect again")
    _of_facility(verbs, "disable", "cut it off, keeping what it is")
    _of_facility(verbs, "remove", "take it out and revoke its agents")
    agent = commands.add_parser("agent", help="enrol and revoke agents")
    verbs = agent.add_subparsers(dest="verb", required=True)
    _of_facility(verbs, "token", "print a token with which its agent may enrol, once, within an hour")
    revoke = _of_facility(verbs, "revoke", "refuse its agents from now on, or one certificate")
    revoke.add_argument("--serial", help="only the certificate of this serial number (hex)")
    commands.add_parser("authority", help="print the centre's certificate authority (PEM)")


def run(arguments: argparse.Namespace, settings: CentreSettings, federation: Federation, hub: HubSettings) -> None:
    """Do one of them. Django is set up and the tables are there. Raises SettingsError."""
    from central_portal.enrolment import operate

    if arguments.command == "authority":
        _authority(settings)
    elif arguments.command == "agent":
        _agent(arguments, settings, federation, hub)
    elif arguments.verb == "add":
        operate.add(federation, arguments.facility, arguments.name, arguments.gateway, arguments.workspace_zone)
        print(f"{arguments.facility} may take part; next: central-portal agent token {arguments.facility}")
    elif arguments.verb == "set":
        given = {key: getattr(arguments, key) for key in ("name", "gateway", "workspace_zone")}
        operate.change(federation, arguments.facility, **{k: v for k, v in given.items() if v is not None})
        print(f"{arguments.facility} is changed; running processes know it within 5 s")
    elif arguments.verb in ("enable", "disable"):
        operate.switch(federation, arguments.facility, enabled=arguments.verb == "enable")
        then = "its agent may connect again" if arguments.verb == "enable" else "its session ends within 5 s"
        print(f"{arguments.facility} is {arguments.verb}d; {then}")
    elif arguments.verb == "remove":
        operate.remove(federation, arguments.facility, time.time())
        print(f"{arguments.facility} is removed and its agents are revoked")
    else:
        rows = [(f.id, f.state, f.name, f.gateway, f.workspace_zone) for f in operate.listed(federation)]
        print(*columns([("FACILITY", "STATE", "NAME", "GATEWAY", "WORKSPACE ZONE"), *rows]), sep="\n")


def _agent(
    arguments: argparse.Namespace, settings: CentreSettings, federation: Federation, hub: HubSettings
) -> None:
    from central_portal.enrolment import operate
    from central_portal.enrolment.authority import authority_of

    if arguments.verb == "revoke":
        count = operate.revoke(arguments.facility, arguments.serial, time.time())
        certificates = "1 certificate" if count == 1 else f"{count} certificates"
        also = "" if arguments.serial else " with its keys and unspent tokens"
        print(f"revoked {certificates} of {arguments.facility}{also}; a session under them ends within 5 s")
        return
    authority, now = authority_of(settings), time.time()
    print(operate.token(settings, hub, federation, authority, arguments.facility, now))
    print("Good once, for an hour: facility-agent enrol -c agent.toml --token …", file=sys.stderr)


def _authority(settings: CentreSettings) -> None:
    from central_portal.enrolment.authority import authority_of

    print(authority_of(settings).trust().decode(), end="")


def _of_facility(verbs: Any, verb: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(verb, help=what)
    parser.add_argument("facility", help="the facility's id")
    return parser
