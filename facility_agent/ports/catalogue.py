"""The facility's catalogue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from shared.catalogue import Dataset, SearchPage, SearchQuery


@dataclass(frozen=True, slots=True)
class Location:
    """Where a proposal's data lie on the site's file system: an existing, resolved, absolute folder."""

    proposal: str
    folder: Path


class CatalogueBackend(ABC):
    """Datasets and where they are.

    `readable` is the set of proposals that the asker may read *in addition to* open ones; the
    adapter returns nothing of any other proposal, not even its existence. Injection-shaped text is
    data. Implementations are safe to call concurrently from one event loop and never block it.
    """

    @abstractmethod
    async def search(self, query: SearchQuery, readable: Set[str]) -> SearchPage:
        """One page in the order of `shared.catalogue.sort_key`.

        Following `next` repeats nothing and drops nothing while the catalogue does not change.
        Raises InvalidRequest for an `after` that this catalogue did not give, BackendUnavailable.
        """

    @abstractmethod
    async def get(self, pid: str, readable: Set[str]) -> Dataset:
        """One dataset. Raises NotFound when it does not exist or may not be read."""

    @abstractmethod
    async def locate(self, proposal: str) -> Location:
        """The proposal's folder. Raises NotFound when it has none. The caller has checked access."""

    @abstractmethod
    async def instruments(self) -> tuple[str, ...]:
        """The instruments of open datasets, sorted: what anyone may know."""

    @abstractmethod
    async def open_proposals(self) -> Set[str]:
        """Proposals whose data anyone may read."""
