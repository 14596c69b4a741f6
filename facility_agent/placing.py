"""Where data lie, wired: the site's rules, and the folders that people may enter."""

from __future__ import annotations

from collections.abc import Callable

from facility_agent.adapters.places.entered import EnteredFolders
from facility_agent.adapters.places.rules import mounts_of, places_of
from facility_agent.config import Config
from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.caveats import Caveats
from facility_agent.core.entered import EnteredPlaces
from facility_agent.core.place_page import PlacePage
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import CatalogueBackend
from facility_agent.ports.store import Store
from shared.catalogue import Dataset


class Placing:
    """The parts of one agent; `as_account` says whether what it starts runs as the account."""

    def __init__(self, config: Config, store: Store, as_account: bool, clock: Callable[[], float]) -> None:
        self._config, self._store = config, store
        self._folders = EnteredFolders(config.archive.entered_below, as_account)
        self._entered = EnteredPlaces(store, self._folders, clock)

    def catalogue(
        self, shelf: CatalogueBackend, rules: AccessRules, seen: Callable[[Dataset], Dataset]
    ) -> Catalogue:
        """The catalogue as people read it, with where its data lie."""
        places, unknown = places_of(self._config.places), self._config.archive.mount_unknown
        return Catalogue(shelf, rules, places, seen, unknown, self._entered, mounts_of(self._config.mounts))

    def caveats(self, catalogue: Catalogue) -> Caveats:
        """What is said of the data of a workspace."""
        return Caveats(catalogue, self._folders)

    def page(self, accounts: Accounts, catalogue: Catalogue) -> PlacePage:
        """What the gateway's page of places does."""
        return PlacePage(self._store, accounts, catalogue, self._entered)
