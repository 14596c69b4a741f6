"""An ICAT with its data service: where data are, and having them brought back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from facility_agent.adapters.catalogue.icat_catalogue import IcatCatalogue
from facility_agent.adapters.catalogue.icat_ids import Ids
from facility_agent.adapters.catalogue.icat_map import id_of
from facility_agent.ports.catalogue import Reader, RestorableCatalogue
from shared.catalogue import ArchiveState, Dataset


class RestorableIcat(IcatCatalogue, RestorableCatalogue):
    """An ICAT whose IDS knows where data are and brings them back."""

    def __init__(self, ids: Ids, *parts: Any) -> None:
        super().__init__(*parts)
        self._ids, self._asking = ids, asyncio.Lock()

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        await self._ids.close()

    async def restore(self, pid: str, reader: Reader) -> ArchiveState:
        """Have a dataset brought back; RESTORING, or ONLINE when it is there already.

        IDS is asked first, one restore after the other, so that what is on its way is not asked for again; it keeps what it was
        asked for across its own restarts and ours. Raises NotFound as `get` does, BackendUnavailable, BackendError.
        """
        number = id_of((await self._seen(pid, reader)).pid)
        async with self._asking:
            state = await self._ids.state(number)
            if state is not ArchiveState.ARCHIVED:
                return state
            await self._ids.restore(number)
            return ArchiveState.RESTORING

    async def restore_state(self, pid: str) -> ArchiveState:
        """Where a dataset's data are now; the caller has checked access.

        Raises NotFound when there is no such dataset any more, BackendUnavailable, BackendError.
        """
        return await self._ids.state(id_of(pid))

    async def _placed(self, datasets: Sequence[Dataset]) -> Sequence[Dataset]:
        """UNKNOWN where IDS tells none in time."""
        states = await self._ids.states([id_of(each.pid) for each in datasets])
        return tuple(replace(each, state=states.get(id_of(each.pid), ArchiveState.UNKNOWN)) for each in datasets)
