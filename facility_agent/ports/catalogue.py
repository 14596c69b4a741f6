"""The facility's catalogue."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from facility_agent.ports.directory import Account
from shared.catalogue import ArchiveState, Dataset, FilePage, ProposalPage, ProposalQuery, SearchPage, SearchQuery
from shared.commands import GetFiles


@dataclass(frozen=True, slots=True)
class Location:
    """Where a proposal's data lie on the site's file system: an existing, resolved, absolute folder.

    Beside these the site may have folders `within` another name, perhaps of no proposal.
    """

    proposal: str
    folder: Path
    within: str = "proposals"
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: an account, and the proposals that the facility's rules give to it; without an account, a stranger."""

    account: Account | None = None
    proposals: Set[str] = frozenset()


STRANGER = Reader()


class CatalogueBackend(ABC):
    """Datasets, their proposals and files, and where they are.

    A reader sees what is open and what belongs to `reader.proposals`; where the catalogue itself keeps rules for each
    person, what those give to `reader.account`, and then `reader.proposals` says nothing. The adapter returns nothing
    else, not even its existence. Injection-shaped text is data. Implementations are safe to call concurrently from one event
    loop and never block it. Every method raises BackendUnavailable when the catalogue cannot be read.
    """

    proposals_give_data: ClassVar[bool] = True
    """Whether whom it shows a proposal that is not open may read all of that proposal's data."""

    @abstractmethod
    async def search(self, query: SearchQuery, reader: Reader) -> SearchPage:
        """One page in the order of `shared.catalogue.sort_key`, or as `query.order` says where the catalogue can.

        A technique also finds its narrower ones (`shared.techniques.narrower`). Following `next` repeats nothing
        and drops nothing while the catalogue does not change. Raises InvalidRequest for an `after` that this
        catalogue did not give.
        """

    @abstractmethod
    async def get(self, pid: str, reader: Reader) -> Dataset:
        """One dataset. Raises NotFound when it does not exist or may not be read."""

    @abstractmethod
    async def proposals(self, query: ProposalQuery, reader: Reader) -> ProposalPage:
        """One page of proposals, ascending by pid; `after` as in `search`. `query.own` never comes here: the core asks by name."""

    @abstractmethod
    async def files(self, wanted: GetFiles, reader: Reader) -> FilePage:
        """One page of a dataset's files, ascending by path; `after` as in `search`. Raises NotFound as `get` does."""

    @abstractmethod
    async def locate(self, proposal: str) -> Location:
        """The proposal's folder. Raises NotFound when it has none. The caller has checked access."""

    @abstractmethod
    async def instruments(self) -> tuple[str, ...]:
        """The instruments of open datasets, sorted: what anyone may know."""

    @abstractmethod
    async def open_proposals(self) -> Set[str]:
        """Proposals whose data anyone may read."""


class RestorableCatalogue(ABC):
    """What a catalogue also is whose archive can be asked to bring data back to disk.

    A dataset that it has archived is ARCHIVED in `get` and `search`, and only ONLINE there once its files can be read.
    Both methods are bounded in time: what takes hours is only begun. Raise BackendUnavailable when the archive
    does not answer.
    """

    @abstractmethod
    async def restore(self, pid: str, reader: Reader) -> ArchiveState:
        """Have it brought back; RESTORING, or ONLINE when it is there already.

        Idempotent, also across a crash of the agent and when others asked: the archive's own records are looked at first,
        and what is on its way is not asked for again. Raises NotFound as `CatalogueBackend.get` does, AccessDenied when
        the archive does not allow it, Unsupported for data that cannot be brought back.
        """

    @abstractmethod
    async def restore_state(self, pid: str) -> ArchiveState:
        """Where its data are now, read from the archive and not remembered. The caller has checked access.

        RESTORING from a `restore` on until its end; ARCHIVED again when that failed; UNKNOWN when the archive cannot
        tell. Once this says ONLINE, so does `get`. Raises NotFound when there is no such dataset any more.
        """
