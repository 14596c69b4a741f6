"""The catalogue port over an ICAT: people are ICAT's own users, and see what ICAT's rules show them."""

from __future__ import annotations

from collections.abc import Set

from facility_agent.adapters.catalogue.folders import Folders
from facility_agent.adapters.catalogue.icat import Icat
from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from shared.catalogue import Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetFiles
from shared.errors import InvalidRequest


class IcatCatalogue(CatalogueBackend):
    """`mnemonic` and an account's username are the user's name in ICAT.

    A stranger is the user `anyone`. A proposal is an investigation's name.
    """

    detail = "Live search of its ICAT."

    def __init__(self, icat: Icat, *, mnemonic: str, anyone: str, folders: Folders) -> None:
        self._icat, self._mnemonic, self._anyone, self._folders = icat, mnemonic, anyone, folders

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """One page, newest first; ICAT's queries know no relevance."""
        return await self._icat.search(query, self._user(reader), reader.proposals)

    async def get(self, pid: str, reader: Reader) -> Dataset:
        """One dataset."""
        return await self._icat.get(pid, self._user(reader), reader.proposals)

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """One page of proposals; without members, which ICAT's rules seldom show."""
        return await self._icat.proposals(query, self._user(reader), reader.proposals)

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """One page of files."""
        return await self._icat.files(wanted, self._user(reader), reader.proposals)

    async def locate(self, proposal: str) -> Location:
        """The folder that the template says; nothing that leads elsewhere."""
        return await self._folders.locate(proposal)

    async def instruments(self) -> tuple[str, ...]:
        """The instruments of what a stranger sees."""
        return await self._icat.instruments()

    async def open_proposals(self) -> Set[str]:
        """The proposals that a stranger sees."""
        found, query = set[str](), ProposalQuery(limit=100)
        while True:
            page = await self._icat.proposals(query, self._anyone)
            found |= {proposal.pid for proposal in page.proposals}
            if not page.next:
                return found
            query = ProposalQuery(limit=100, after=page.next)

    def _user(self, reader: Reader) -> str:
        if reader.account is None:
            return self._anyone
        if not reader.account.username.isprintable():
            raise InvalidRequest("The account's name cannot be a name in the catalogue.")
        return f"{self._mnemonic}/{reader.account.username}"
