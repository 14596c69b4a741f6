"""What a person may find: open data, and the proposals that the facility's rules give to their account."""

from __future__ import annotations

from collections.abc import Set

from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import CatalogueBackend, Location
from facility_agent.ports.directory import Account
from shared.catalogue import Dataset, SearchPage, SearchQuery
from shared.errors import NotFound, ProposalDenied


class Catalogue:
    """Searches in the name of an account, or of nobody."""

    def __init__(self, backend: CatalogueBackend, rules: AccessRules) -> None:
        self._backend, self._rules = backend, rules

    async def search(self, query: SearchQuery, account: Account | None) -> SearchPage:
        """One page of what the account may see; of open data alone without one."""
        return await self._backend.search(query, await self._readable(account))

    async def get(self, pid: str, account: Account | None) -> Dataset:
        """One dataset. Raises NotFound when it does not exist or may not be seen."""
        return await self._backend.get(pid, await self._readable(account))

    async def locate(self, proposals: tuple[str, ...], account: Account) -> list[Location]:
        """Where the data of these proposals lie. Raises ProposalDenied, also for a proposal that does not exist."""
        allowed = await self._readable(account) | await self._backend.open_proposals()
        for proposal in proposals:
            if proposal not in allowed:
                raise ProposalDenied(
                    f"Your account is not a member of {proposal}.", metadata={"proposal": proposal}
                )
        try:
            return [await self._backend.locate(proposal) for proposal in proposals]
        except NotFound:
            raise NotFound("The data of a proposal are not on this facility's disks.") from None

    async def _readable(self, account: Account | None) -> Set[str]:
        return await self._rules.proposals(account) if account is not None else frozenset()
