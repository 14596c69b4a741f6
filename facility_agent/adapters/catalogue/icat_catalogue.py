"""The catalogue port over an ICAT: people are ICAT's own users, and see what ICAT's rules show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import replace
from zoneinfo import ZoneInfo

from facility_agent.adapters.catalogue.folders import Folders
from facility_agent.adapters.catalogue.icat import Icat
from facility_agent.adapters.catalogue.icat_client import IcatClient
from facility_agent.adapters.catalogue.icat_open import IcatOpen
from facility_agent.adapters.catalogue.icat_settings import IcatSettings
from facility_agent.adapters.catalogue.remembered import Remembered
from facility_agent.plugins import Fault
from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from shared.catalogue import Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetFiles
from shared.errors import InvalidRequest


class IcatCatalogue(CatalogueBackend):
    """`people` and an account's username are the user's name in ICAT, `people/username`; a stranger is the user `anyone`.

    What a person sees is for ICAT's rules alone to say: `reader.proposals` neither adds to it nor takes from it.
    """

    detail = "Live search of its ICAT."
    proposals_give_data = False  # whoever is shown an investigation may be shown none of its datasets

    def __init__(
        self, settings: IcatSettings, client: IcatClient, folders: Folders, faults: Callable[[], Iterator[Fault]]
    ) -> None:
        self._people, self._anyone, self._folders, self._client = settings.people, settings.anyone, folders, client
        fields, self.faults = settings.fields(), faults
        self._icat = Icat(
            client, anyone=settings.anyone, roots=frozenset(settings.roots), zone=ZoneInfo(settings.zone), fields=fields
        )  # fmt: skip
        open_ = IcatOpen(client, settings.anyone, fields)
        self._instruments = Remembered(open_.instruments, settings.remember_s)
        self._open = Remembered(open_.proposals, settings.remember_s)

    async def __aenter__(self) -> IcatCatalogue:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """One page, newest first; ICAT's queries know no relevance."""
        page = await self._icat.search(query, self._user(reader))
        return replace(page, datasets=await self._placed(page.datasets))

    async def get(self, pid: str, reader: Reader) -> Dataset:
        """One dataset."""
        return (await self._placed([await self._icat.get(pid, self._user(reader))]))[0]

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """One page of proposals; without members, which ICAT's rules seldom show."""
        return await self._icat.proposals(query, self._user(reader))

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """One page of files."""
        return await self._icat.files(wanted, self._user(reader))

    async def locate(self, proposal: str) -> Location:
        """The folder that the template says; nothing that leads elsewhere."""
        return await self._folders.locate(proposal)

    async def instruments(self) -> tuple[str, ...]:
        """The instruments of what a stranger sees."""
        return tuple(sorted(await self._instruments.value()))

    async def open_proposals(self) -> Set[str]:
        """The proposals of which a stranger sees everything."""
        return await self._open.value()

    async def _placed(self, datasets: Sequence[Dataset]) -> Sequence[Dataset]:
        """The datasets with their archive states, which ICAT alone does not know."""
        return datasets

    def _user(self, reader: Reader) -> str:
        if reader.account is None:
            return self._anyone
        name = reader.account.username
        # A slash would make it the name of another authenticator's user, perhaps of one whom ICAT shows everything.
        if not name.isprintable() or "/" in name:
            raise InvalidRequest("The account's name cannot be a name in the catalogue.")
        return f"{self._people}/{name}" if self._people else name
