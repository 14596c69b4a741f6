"""The catalogue port over an ICAT: people are ICAT's own users, and see what ICAT's rules show them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar
from zoneinfo import ZoneInfo

from facility_agent.adapters.catalogue.folders import Folders
from facility_agent.adapters.catalogue.icat import Icat
from facility_agent.adapters.catalogue.icat_client import IcatClient
from facility_agent.adapters.catalogue.icat_open import IcatOpen
from facility_agent.adapters.catalogue.icat_persons import IcatPersons
from facility_agent.adapters.catalogue.icat_settings import IcatSettings
from facility_agent.adapters.catalogue.icat_sight import Asking
from facility_agent.adapters.catalogue.remembered import Remembered
from facility_agent.plugins import Fault
from facility_agent.ports.catalogue import CatalogueBackend, Location, Reader
from facility_agent.ports.directory import Account
from facility_agent.ports.tokens import PersonalCatalogue, PersonSession, Tokens
from shared.catalogue import Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetFiles
from shared.errors import BackendError, BackendUnavailable, InvalidRequest

T = TypeVar("T")


class IcatCatalogue(CatalogueBackend, PersonalCatalogue):
    """`people` and an account's username are the user's name in ICAT, `people/username`; a stranger is the user `anyone`.

    What a person sees is for ICAT's rules alone to say: `reader.proposals` neither adds to it nor takes from it.
    """

    detail = "Live search of its ICAT."
    proposals_give_data = False  # whoever is shown an investigation may be shown none of its datasets

    def __init__(
        self, settings: IcatSettings, client: IcatClient, folders: Folders, faults: Callable[[], Iterator[Fault]],
        persons: IcatPersons | None = None,
    ) -> None:  # fmt: skip
        self._session, self._persons = settings.wished(), persons
        self._tending: asyncio.Task[None] | None = None
        self._people, self._anyone, self._folders, self._client = settings.people, settings.anyone, folders, client
        fields, self.faults = settings.fields(), faults
        self._icat = Icat(
            client, anyone=settings.anyone, roots=frozenset(settings.roots), zone=ZoneInfo(settings.zone), fields=fields
        )  # fmt: skip
        open_ = IcatOpen(client, settings.anyone, fields)
        self._instruments = Remembered(open_.instruments, settings.remember_s)
        self._open = Remembered(open_.proposals, settings.remember_s)

    async def __aenter__(self) -> IcatCatalogue:
        if self._persons is not None:
            self._tending = asyncio.create_task(self._persons.watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._tending is not None:
            self._tending.cancel()
            with suppress(asyncio.CancelledError):
                await self._tending
        try:
            if self._persons is not None:
                await self._persons.close()
        finally:
            await self._client.close()

    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """One page, newest first; ICAT's queries know no relevance."""
        user, proposals = self._user(reader), reader.proposals
        page = await self._asked(reader, lambda own: self._icat.search(query, user, proposals, own))
        return replace(page, datasets=await self._placed(page.datasets))

    async def get(self, pid: str, reader: Reader) -> Dataset:
        """One dataset."""
        return (await self._placed([await self._seen(pid, reader)]))[0]

    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """One page of proposals; without members, which ICAT's rules seldom show."""
        user = self._user(reader)
        return await self._asked(reader, lambda own: self._icat.proposals(query, user, own))

    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """One page of files."""
        user = self._user(reader)
        return await self._asked(reader, lambda own: self._icat.files(wanted, user, own))

    async def locate(self, proposal: str) -> Location:
        """The folder that the template says; nothing that leads elsewhere."""
        return await self._folders.locate(proposal)

    async def instruments(self) -> tuple[str, ...]:
        """The instruments of what a stranger sees."""
        return tuple(sorted(await self._instruments.value()))

    async def open_proposals(self) -> Set[str]:
        """The proposals of which a stranger sees everything."""
        return await self._open.value()

    # --- people's own sessions

    @property
    def person_session(self) -> PersonSession:
        """What the settings say."""
        return self._session

    def use(self, tokens: Tokens) -> None:
        """Take tokens from there."""
        if self._persons is not None:
            self._persons.use(tokens)

    async def signed_in(self, account: Account) -> bool:
        """Whether ICAT knows the account in a session of its own."""
        if self._persons is None:
            return False
        try:
            return await self._persons.signed_in(account, self._user(Reader(account)))
        except BackendUnavailable:
            raise
        except (BackendError, InvalidRequest):
            return False

    async def person_fault(self) -> str:
        """Whether ICAT has the authenticator."""
        return await self._persons.fault() if self._persons is not None else ""

    async def _asked(self, reader: Reader, ask: Callable[[Asking | None], Awaitable[T]]) -> T:
        """The answer in the reader's own session where there is one, else the service account's."""
        if reader.account is None or self._persons is None:
            return await ask(None)
        person = await self._persons.of(reader.account, self._user(reader))
        if person is None:
            return await ask(None)
        try:
            return await ask(person.client)
        except BackendError as error:
            self._persons.refused(person, error)
        return await ask(None)

    async def _seen(self, pid: str, reader: Reader) -> Dataset:
        user = self._user(reader)
        return await self._asked(reader, lambda own: self._icat.get(pid, user, own))

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
