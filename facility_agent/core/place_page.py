"""What the page does on which people enter where data lie: implements `ports.doorkeeper.PlaceDoor`."""

from __future__ import annotations

from facility_agent.core.accounts import Accounts
from facility_agent.core.catalogue import Catalogue
from facility_agent.core.entered import EnteredPlaces
from facility_agent.ports.directory import Account
from facility_agent.ports.doorkeeper import PlaceDoor, PlaceSheet
from facility_agent.ports.store import LinkRow, Store
from shared.catalogue import Dataset
from shared.commands import GetDataset
from shared.errors import AccountNotLinked, NotFound, Unsupported
from shared.identity import Subject


class PlacePage(PlaceDoor):
    """In the name of the account that the subject is linked to now."""

    def __init__(self, store: Store, accounts: Accounts, catalogue: Catalogue, entered: EnteredPlaces) -> None:
        self._store, self._accounts, self._catalogue, self._entered = store, accounts, catalogue, entered

    async def places(self, subject: Subject, pid: str) -> PlaceSheet:
        """What was entered."""
        _, account = await self._who(subject)
        dataset = await self._dataset(pid, account) if pid else None
        title, state = (dataset.title or pid, dataset.state.value) if dataset else ("", "")
        entered = tuple((each.pid, each.folder, each.entered_at) for each in await self._entered.of(account))
        return PlaceSheet(title, state, tuple(map(str, self._entered.roots)), entered)

    async def enter_place(self, subject: Subject, pid: str, path: str) -> None:
        """Keep where a dataset's data lie."""
        link, account = await self._who(subject)
        await self._dataset(pid, account)
        await self._entered.enter(link, account, pid, path)

    async def forget_place(self, subject: Subject, pid: str) -> None:
        """Take it back."""
        _, account = await self._who(subject)
        await self._entered.forget(account, pid)

    async def _who(self, subject: Subject) -> tuple[LinkRow, Account]:
        if not self._entered.roots:
            raise Unsupported("This facility does not take places of data.")
        link = await self._store.transact(lambda tx: tx.link_of(subject))
        if link is None:
            raise AccountNotLinked
        return link, await self._accounts.account_by(link, link)

    async def _dataset(self, pid: str, account: Account) -> Dataset:
        found = await self._catalogue.answer(GetDataset(pid), account) if 1 <= len(pid) <= 512 else None
        if not isinstance(found, Dataset):
            raise NotFound("Your account may read no such dataset here.")
        return found


class NoPlaces(PlaceDoor):
    """Where nothing can be entered."""

    async def places(self, subject: Subject, pid: str) -> PlaceSheet:
        """Refuses."""
        raise Unsupported

    async def enter_place(self, subject: Subject, pid: str, path: str) -> None:
        """Refuses."""
        raise Unsupported

    async def forget_place(self, subject: Subject, pid: str) -> None:
        """Refuses."""
        raise Unsupported
