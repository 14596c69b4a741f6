"""What a person should know of the data that a workspace shows: that some are in the archive, or that a folder is empty."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence

from facility_agent.core.catalogue import Catalogue
from facility_agent.ports.compute import Mount
from facility_agent.ports.directory import Account
from facility_agent.ports.places import FolderCheck
from shared.catalogue import ArchiveState, SearchPage, SearchQuery
from shared.errors import ParasolError
from shared.limits import LIMITS

log = logging.getLogger(__name__)
WITHIN = 3.0
FOLDERS = 20
_AWAY = frozenset({ArchiveState.ARCHIVED, ArchiveState.RESTORING})


class Caveats:
    """Looks for at most three seconds, at no more than one page of datasets and 20 folders. What cannot be told is not said."""

    def __init__(self, catalogue: Catalogue, folders: FolderCheck) -> None:
        self._catalogue, self._folders = catalogue, folders

    async def of(self, proposals: tuple[str, ...], account: Account, mounts: Sequence[Mount]) -> str:
        """One or two sentences for the person; empty when there is nothing to say. Never raises: it keeps nothing from starting."""
        said = await asyncio.gather(
            self._quiet(self._archived(proposals, account)), self._quiet(self._empty(mounts))
        )
        return " ".join(each for each in said if each)

    async def _quiet(self, question: Awaitable[str]) -> str:
        try:
            async with asyncio.timeout(WITHIN):
                return await question
        except (ParasolError, TimeoutError) as error:
            log.info("what a workspace shows is not known in full: %s", error)
        except Exception:  # an adapter's fault must not keep a workspace from starting
            log.exception("what a workspace shows is not known in full")
        return ""

    async def _archived(self, proposals: tuple[str, ...], account: Account) -> str:
        if not proposals:
            return ""
        page = await self._catalogue.answer(SearchQuery(proposals=proposals, limit=LIMITS.page), account)
        assert isinstance(page, SearchPage)
        away = sum(dataset.state in _AWAY for dataset in page.datasets)
        whole = not page.next and page.complete
        which = f"{len(page.datasets)} datasets" if whole else f"the newest {len(page.datasets)} datasets"
        return f"In the archive, and so not on disk: {away} of {which}." if away else ""

    async def _empty(self, mounts: Sequence[Mount]) -> str:
        data = [mount for mount in mounts if mount.within == "proposals"][:FOLDERS]
        seen = [(mount.name, await self._folders.is_empty(mount.folder)) for mount in data]
        names = [name for name, is_empty in seen if is_empty]
        return f"Nothing lies in {', '.join(names)}." if names else ""
