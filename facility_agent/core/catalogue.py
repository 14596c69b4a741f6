"""What a person may find: open data, and the proposals that the facility's rules give to their account."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from facility_agent.core.own_proposals import own_proposals
from facility_agent.core.whereabouts import whereabouts
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.catalogue import STRANGER, CatalogueBackend, Location, Reader
from facility_agent.ports.directory import Account
from facility_agent.ports.places import MountRule, Places, Whereabouts
from shared.catalogue import (
    ArchiveState,
    Dataset,
    FilePage,
    ProposalPage,
    ProposalQuery,
    SearchPage,
    SearchQuery,
)
from shared.commands import GetDataset, GetFiles
from shared.errors import DataNotOnline, NotFound, ProposalDenied
from shared.limits import LIMITS

PAGES = 10
Question = SearchQuery | GetDataset | GetFiles | ProposalQuery


class Catalogue:
    """Reads in the name of an account, or of nobody."""

    def __init__(
        self, backend: CatalogueBackend, rules: AccessRules, places: Places | None = None,
        seen: Callable[[Dataset], Dataset] = lambda dataset: dataset, mounts_unknown: bool = False,
        mounts: Sequence[MountRule] = (),
    ) -> None:  # fmt: skip
        self._backend, self._rules, self._places, self._seen = backend, rules, places, seen
        self._mounts = tuple(mounts)
        self._mountable = {ArchiveState.ONLINE, *([ArchiveState.UNKNOWN] if mounts_unknown else [])}

    async def answer(
        self, question: Question, account: Account | None
    ) -> SearchPage | Dataset | FilePage | ProposalPage:
        """What the account may see of it; of open data alone without one. Raises as the port does."""
        reader = await self._reader(account)
        match question:
            case SearchQuery():
                return await self._backend.search(question, reader)
            case GetDataset(pid):
                return self._seen(await self._backend.get(pid, reader))
            case GetFiles():
                return await self._backend.files(question, reader)
            case ProposalQuery(own=True):
                return await own_proposals(self._backend, question, reader)
            case ProposalQuery():
                return await self._backend.proposals(question, reader)

    async def paths(self, dataset: str, account: Account) -> tuple[list[str], bool]:
        """Its files, relative to its own folder, and whether these are all: a thousand at most. Raises as the port does."""
        reader, found, after = await self._reader(account), list[str](), ""
        for _ in range(PAGES):
            page = await self._backend.files(GetFiles(dataset, LIMITS.page, after), reader)
            found += [file.path for file in page.files]
            after = page.next
            if not after:
                break
        return found, not after

    async def locate(self, proposals: tuple[str, ...], account: Account, dataset: str = "") -> list[Location]:
        """Where the data of these proposals lie, by the site's rules where it has some, else as the catalogue says; and
        what the site shows beside them: of a proposal only when it is the account's own.

        `dataset` is the one of them that they are wanted for, empty for none. Raises ProposalDenied, also for a proposal
        that does not exist; NotFound; DataNotOnline when that dataset is not on disk; BackendUnavailable.
        """
        reader = await self._reader(account)
        allowed = reader.proposals | await self._backend.open_proposals()
        for proposal in proposals:
            if proposal not in allowed:
                raise ProposalDenied(
                    f"Your account is not a member of {proposal}.", metadata={"proposal": proposal}
                )
        if dataset:
            self._require_online(self._seen(await self._backend.get(dataset, reader)))
        try:
            data = [place for proposal in proposals for place in await self._places_of(proposal, reader)]
        except NotFound:
            raise NotFound("The data of a proposal are not on this facility's disks.") from None
        own = [proposal for proposal in proposals if proposal in reader.proposals]
        return [
            *data,
            *[place for rule in self._mounts for place in await self._shown(rule, own, account, reader)],
        ]

    def _require_online(self, dataset: Dataset) -> None:
        """Raises DataNotOnline: an archived file that is mounted looks like an empty or a hanging one."""
        if dataset.state not in self._mountable:
            raise DataNotOnline(_NOT_ONLINE[dataset.state], metadata={"state": dataset.state.value})

    async def _places_of(self, proposal: str, reader: Reader) -> list[Location]:
        if self._places is None:
            return [await self._backend.locate(proposal)]
        folders = await self._folders(self._places, proposal, reader)
        if not folders:
            raise NotFound
        return [Location(proposal, folder) for folder in folders]

    async def _shown(
        self, rule: MountRule, own: Sequence[str], account: Account, reader: Reader
    ) -> list[Location]:
        found: list[Location] = []
        for proposal in own if rule.of_proposals else ("",):
            folders = await self._folders(rule.places, proposal, reader, account.username)
            found += [Location(proposal, folder, rule.name, rule.read_only) for folder in folders]
        return found

    async def _folders(self, places: Places, proposal: str, reader: Reader, username: str = "") -> Sequence[Path]:
        about = Whereabouts(proposal)
        if places.wants_facts:
            about = await whereabouts(self._backend, proposal, reader)
        return await places.find(replace(about, username=username))

    async def _reader(self, account: Account | None) -> Reader:
        return Reader(account, await self._rules.proposals(account)) if account is not None else STRANGER


_NOT_ONLINE = {
    ArchiveState.ARCHIVED: "This dataset is in the archive; have it restored first, and start once it is there.",
    ArchiveState.RESTORING: "This dataset is on its way back from the archive; start once it is there.",
    ArchiveState.UNKNOWN: "The facility cannot tell whether the data of this dataset are on its disks.",
}
