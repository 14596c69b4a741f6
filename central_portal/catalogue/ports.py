"""What the catalogue needs to know of open data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.catalogue import Dataset, Proposal, SearchPage, SearchQuery


@dataclass(frozen=True, slots=True)
class OpenPage:
    """A page of open data, and how many seconds ago the facility's catalogue was read for it."""

    page: SearchPage
    age: float


class OpenData(Protocol):
    """Open data without asking the facility; None of each method says that nothing has ever been read of it."""

    async def search(self, slug: str, query: SearchQuery) -> OpenPage | None:
        """One page in the order of the question. Raises InvalidRequest."""
        ...

    async def get(self, slug: str, pid: str) -> Dataset | None:
        """One open dataset. Raises NotFound."""
        ...

    async def proposal(self, slug: str, pid: str) -> Proposal | None:
        """One open proposal. Raises NotFound."""
        ...
