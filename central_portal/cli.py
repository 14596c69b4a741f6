"""`central-portal serve` and `central-portal check`."""

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
    parser = argparse.ArgumentParser(prog="central-portal", description="The centre of a Parasol federation.")
    parser.add_argument(
        "command", choices=("serve", "check"), help="run the centre, or only read its configuration"
    )
    command = parser.parse_args().command
    resolver.install()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central_portal.settings")
    from central_portal.link.hub import HubMisconfigured
    from central_portal.settings import SettingsError, centre_settings, federation, refuse_unknown_variables

    try:
        refuse_unknown_variables()
        settings, members = centre_settings(), federation()
        if command == "check":
            _check()
            print(f"{settings.origin}: {len(members.providers)} providers, {len(members.facilities)} facilities")
            return
        _make_data_folder(settings.data)
        _serve()
    except (SettingsError, HubMisconfigured) as error:
        sys.exit(_mistake(error))


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

    hub_settings(centre_settings()).address()
    FacilityRegistry(federation())
    for provider in federation().providers:
        secret_of(provider)


def _serve() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    import uvloop

    uvloop.run(_run())


async def _run() -> None:
    from central_portal.composition import compose
    from central_portal.settings import centre_settings, federation
    from shared.limits import LIMITS
    from shared.serving import serve
    from shared.wire.addresses import parse_address

    settings = centre_settings()
    centre = compose(settings, federation())
    await centre.facilities.load()
    await centre.hub.start()
    address = parse_address(settings.listen)
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again and again
    try:
        await serve(centre.app, address.host, address.port, grace_s=5, ws_max_size=LIMITS.graphql_bytes)
    finally:
        await asyncio.wait_for(centre.hub.stop(), 10)


if __name__ == "__main__":
    main()
