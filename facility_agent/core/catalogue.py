"""What a person may find: open data, and the proposals that the facility's rules give to their account."""

from __future__ import annotations

from facility_agent.core.own_proposals import own_proposals
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import STRANGER, CatalogueBackend, Location, Reader
from facility_agent.ports.directory import Account
from shared.catalogue import Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetDataset, GetFiles
from shared.errors import NotFound, ProposalDenied

Question = SearchQuery | GetDataset | GetFiles | ProposalQuery


class Catalogue:
    """Reads in the name of an account, or of nobody."""

    def __init__(self, backend: CatalogueBackend, rules: AccessRules) -> None:
        self._backend, self._rules = backend, rules

    async def answer(
        self, question: Question, account: Account | None
    ) -> SearchPage | Dataset | FilePage | ProposalPage:
        """What the account may see of it; of open data alone without one. Raises as the port does."""
        reader = await self._reader(account)
        match question:
            case SearchQuery():
                return await self._backend.search(question, reader)
            case GetDataset(pid):
                return await self._backend.get(pid, reader)
            case GetFiles():
                return await self._backend.files(question, reader)
            case ProposalQuery(own=True):
                return await own_proposals(self._backend, question, reader)
            case ProposalQuery():
                return await self._backend.proposals(question, reader)

    async def locate(self, proposals: tuple[str, ...], account: Account) -> list[Location]:
        """Where the data of these proposals lie. Raises ProposalDenied, also for a proposal that does not exist."""
        allowed = (await self._reader(account)).proposals | await self._backend.open_proposals()
        for proposal in proposals:
            if proposal not in allowed:
                raise ProposalDenied(
                    f"Your account is not a member of {proposal}.", metadata={"proposal": proposal}
                )
        try:
            return [await self._backend.locate(proposal) for proposal in proposals]
        except NotFound:
            raise NotFound("The data of a proposal are not on this facility's disks.") from None

    async def _reader(self, account: Account | None) -> Reader:
        return Reader(account, await self._rules.proposals(account)) if account is not None else STRANGER
