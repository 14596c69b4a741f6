"""The adapter `icat` as an entry point."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from facility_agent.adapters.catalogue.folders import Folders
from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.adapters.catalogue.icat_client import NAME, IcatClient
from facility_agent.adapters.catalogue.icat_ids import NAME as ARCHIVE
from facility_agent.adapters.catalogue.icat_ids import STATE_BYTES, Ids
from facility_agent.adapters.catalogue.icat_persons import IcatPersons
from facility_agent.adapters.catalogue.icat_restoring import RestorableIcat
from facility_agent.adapters.catalogue.icat_settings import IcatSettings, faults
from facility_agent.adapters.http import Bounds, Upstream
from facility_agent.plugins import Site


class IcatPlugin:
    """The adapter `icat`."""

    settings = IcatSettings

    @staticmethod
    def build(settings: IcatSettings, site: Site) -> IcatCatalogue:
        """The adapter; it asks nothing before it is asked."""
        at = site.config_folder
        trust = at / settings.ca_file if settings.ca_file else None
        bounds = Bounds(settings.timeout_s, settings.answer_bytes)
        icat = Upstream(settings.url, NAME, bounds, ca_file=trust)
        client = IcatClient(icat, settings.authenticator, partial(settings.credentials, at))
        folders = Folders(at / settings.root if settings.root else None, settings.folder)
        parts = (
            settings,
            client,
            folders,
            partial(faults, settings, at),
            IcatPlugin._persons(settings, bounds, trust),
        )
        if settings.ids_url is None:
            return IcatCatalogue(*parts)
        archive = Upstream(settings.ids_url, ARCHIVE, Bounds(settings.timeout_s, STATE_BYTES), ca_file=trust)
        return RestorableIcat(Ids(archive, client, settings.ids_timeout_s), *parts)

    @staticmethod
    def _persons(settings: IcatSettings, bounds: Bounds, trust: Path | None) -> IcatPersons | None:
        if not settings.person_session:
            return None
        upstream = Upstream(settings.url, NAME, bounds, ca_file=trust)
        return IcatPersons(upstream, settings.person_session, settings.person_session_required)
