"""Access rules made of others: an account stays the accounts' matter, its proposals may be somebody else's word."""

from __future__ import annotations

from collections.abc import Set

from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import CatalogueBackend, Reader
from facility_agent.ports.directory import Account
from shared.catalogue import ProposalQuery
from shared.errors import BackendError
from shared.limits import LIMITS

PAGES = 50


class Both(AccessRules):
    """`accounts` says whether an account still is what it was; `office` must let it in too, and gives the proposals."""

    def __init__(self, accounts: AccessRules, office: AccessRules) -> None:
        self._accounts, self._office = accounts, office

    async def may_use(self, account: Account) -> bool:
        """Whether both say so."""
        return await self._accounts.may_use(account) and await self._office.may_use(account)

    async def proposals(self, account: Account) -> Set[str]:
        """The office's, for an account that still holds."""
        if not await self._accounts.may_use(account):
            return frozenset()
        return await self._office.proposals(account)


class CatalogueRules(AccessRules):
    """The proposals that a catalogue with rules for each person shows to the account and not to everybody."""

    def __init__(self, catalogue: CatalogueBackend) -> None:
        self._catalogue = catalogue

    async def may_use(self, account: Account) -> bool:
        """A catalogue keeps nobody out."""
        return True

    async def proposals(self, account: Account) -> Set[str]:
        """All of them. Raises BackendError when there are too many to be known for certain."""
        found, after, reader = set[str](), "", Reader(account)
        for _ in range(PAGES):
            page = await self._catalogue.proposals(ProposalQuery(limit=LIMITS.page, after=after), reader)
            found |= {proposal.pid for proposal in page.proposals if not proposal.is_open}
            after = page.next
            if not after:
                return frozenset(found)
        raise BackendError("The facility's catalogue gives this account too many proposals.")
