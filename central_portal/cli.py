"""`central-portal serve | check | facility | agent | authority`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
from pathlib import Path

from shared import resolver


def main() -> None:
    """Entry point."""
    arguments = _parser().parse_args()
    resolver.install()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central_portal.settings")
    from central_portal.enrolment import cli as enrolment
    from central_portal.link.hub import HubMisconfigured
    from central_portal.settings import SettingsError, centre_settings, federation, refuse_unknown_variables

    try:
        refuse_unknown_variables()
        settings, members = centre_settings(), federation()
        if arguments.command == "check":
            _check()
            print(f"{settings.origin}: {len(members.providers)} providers, {len(members.facilities)} facilities")
            return
        _make_data_folder(settings.data)
        _set_up()
        if arguments.command in enrolment.COMMANDS:
            from central_portal.composition import hub_settings

            enrolment.run(arguments, settings, members, hub_settings(settings))
            return
        _serve()
    except (SettingsError, HubMisconfigured) as error:
        sys.exit(_mistake(error))


def _parser() -> argparse.ArgumentParser:
    from central_portal.enrolment.cli import add_commands

    parser = argparse.ArgumentParser(prog="central-portal", description="The centre of a Parasol federation.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the centre")
    commands.add_parser("check", help="only read the configuration")
    add_commands(commands)
    return parser


def _mistake(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 2


def _make_data_folder(folder: Path) -> None:
    from central_portal.settings import SettingsError

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"PARASOL_DATA: {folder}: {error.strerror}") from None


def _check() -> None:
    import django

    django.setup()  # the registry's module knows its tables
    from central_portal.composition import hub_settings
    from central_portal.facilities.registry import FacilityRegistry
    from central_portal.settings import centre_settings, federation, secret_of

    hub = hub_settings(centre_settings())
    hub.address(), hub.mutual_address()
    if hub.certificate is None and not hub.plaintext:
        hub.dialled()
    FacilityRegistry(federation())
    for provider in federation().providers:
        secret_of(provider)


def _set_up() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)


def _serve() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    import uvloop

    from central_portal.enrolment.members import refuse_clashes
    from central_portal.settings import federation

    refuse_clashes(federation())
    uvloop.run(_run())


async def _run() -> None:
    from central_portal.composition import compose
    from central_portal.settings import centre_settings, federation
    from shared.limits import LIMITS
    from shared.serving import serve
    from shared.wire.addresses import parse_address

    settings = centre_settings()
    centre = compose(settings, federation())
    await centre.roster.look()
    await centre.facilities.load()
    await centre.hub.start()
    following = asyncio.create_task(centre.roster.follow())
    address = parse_address(settings.listen)
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again and again
    try:
        await serve(centre.app, address.host, address.port, grace_s=5, ws_max_size=LIMITS.graphql_bytes)
    finally:
        following.cancel()
        await asyncio.wait_for(centre.hub.stop(), 10)


if __name__ == "__main__":
    main()
