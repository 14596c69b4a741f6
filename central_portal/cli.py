"""`central-portal`: run the centre or a part of it, migrate its database, look after facilities and agents."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from pathlib import Path

from shared import resolver, trace

SHAPES = {
    "serve": "run the whole centre in one process",
    "web": "run a web process: portal, GraphQL, WebSocket; any number beside others",
    "hub": "run a hub process: agents connect here; any number beside others",
}


def main() -> None:
    """Entry point."""
    arguments = _parser().parse_args()
    resolver.install()
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # what begins says in one sentence what is wrong
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central_portal.settings")
    from central_portal.database import Unusable
    from central_portal.link.hub import HubMisconfigured
    from central_portal.settings import SettingsError, centre_settings, federation, refuse_unknown_variables

    try:
        refuse_unknown_variables()
        centre_settings(), federation()
        if arguments.command != "check":
            _make_data_folder(centre_settings().data)
        import django

        django.setup()
        sys.exit(_run(arguments))
    except (SettingsError, HubMisconfigured, Unusable) as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    from central_portal.enrolment.cli import add_commands

    parser = argparse.ArgumentParser(prog="central-portal", description="The centre of a Parasol federation.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, meaning in SHAPES.items():
        commands.add_parser(name, help=meaning)
    commands.add_parser("migrate", help="bring the database up to date")
    commands.add_parser("check", help="only read the configuration")
    agents = commands.add_parser("agents", help="show the facilities' agents")
    agents.add_argument("--json", action="store_true", help="for programs")
    actions = agents.add_subparsers(dest="action", metavar="action")
    for name, meaning in (
        ("release", "end a facility's quarantine: the next agent to come is believed"),
        ("accept-head", "forget the head of a facility's egress log, which it began anew"),
    ):
        actions.add_parser(name, help=meaning).add_argument("facility")
    actions.add_parser("heads", help="show the head that is kept of each egress log")
    add_commands(commands)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from central_portal.enrolment import cli as enrolment

    if arguments.command == "check":
        return _check()
    if arguments.command == "migrate":
        return _migrate()
    if arguments.command in SHAPES:
        return _serve(arguments.command)
    _ready()
    if arguments.command in enrolment.COMMANDS:
        from central_portal.composition import hub_settings
        from central_portal.settings import centre_settings, federation

        settings = centre_settings()
        enrolment.run(arguments, settings, federation(), hub_settings(settings))
        return 0
    return _agents(arguments)


def _agents(arguments: argparse.Namespace) -> int:
    from django.db import DatabaseError

    from central_portal.agents import accept_head, release, show, show_heads
    from central_portal.database import Unusable, why

    try:
        if arguments.action == "release":
            return release(arguments.facility)
        if arguments.action == "accept-head":
            return accept_head(arguments.facility)
        return show_heads() if arguments.action == "heads" else show(as_json=arguments.json)
    except DatabaseError as error:
        raise Unusable(why(error)) from None


def _make_data_folder(folder: Path) -> None:
    from central_portal.settings import SettingsError

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"PARASOL_DATA: {folder}: {error.strerror}") from None


def _check() -> int:
    from central_portal.composition import hub_settings
    from central_portal.facilities.registry import FacilityRegistry
    from central_portal.settings import centre_settings, federation, secret_of

    settings, members = centre_settings(), federation()
    hub = hub_settings(settings)
    hub.address(), hub.mutual_address(), hub.websocket_address()
    if hub.certificate is None and not hub.plaintext:
        hub.dialled()
    FacilityRegistry(members)
    for provider in members.providers:
        secret_of(provider)
    print(f"{settings.origin}: {len(members.providers)} providers, {len(members.facilities)} facilities")
    return 0


def _migrate() -> int:
    from django.core.management import call_command
    from django.db import DatabaseError

    from central_portal.database import Unusable, why

    try:
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        raise Unusable(why(error)) from None
    return 0


def _ready() -> None:
    """The tables are there: a centre in one process makes its own, others were migrated. Raises Unusable."""
    from central_portal.database import judge_schema
    from central_portal.settings import centre_settings

    if centre_settings().database:
        judge_schema()
    else:
        _migrate()


def _serve(command: str) -> int:
    trace.log_to_stderr()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from central_portal.composition import Shape, compose
    from central_portal.enrolment.members import refuse_clashes
    from central_portal.running import run
    from central_portal.settings import SettingsError, centre_settings, federation

    settings, shape = centre_settings(), Shape(command)
    if shape is Shape.EMBEDDED:
        _migrate()
    elif not settings.database:
        raise SettingsError(f"central-portal {command} needs PostgreSQL: set PARASOL_DATABASE, or use serve.")
    else:
        _ready()
    refuse_clashes(federation())
    logging.getLogger("psycopg.pool").setLevel(logging.WARNING)
    import uvloop

    centre = compose(settings, federation(), shape)
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again and again
    uvloop.run(run(centre, settings, shape))
    return 0


if __name__ == "__main__":
    main()
