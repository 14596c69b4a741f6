"""Where data are, and their restore: the data service beside an ICAT (ids.server 2, org.icatproject.ids.IdsService)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from facility_agent.adapters.catalogue.icat_client import IcatClient
from facility_agent.adapters.http import Answer, Upstream, unavailable, unusable
from shared.catalogue import ArchiveState
from shared.errors import BackendError, NotFound

log = logging.getLogger(__name__)
NAME = "archive"
STATE_BYTES = 64 * 1024
"""The most that an answer may have: one word, or an error."""
_STATES = {state.value: state for state in (ArchiveState.ONLINE, ArchiveState.RESTORING, ArchiveState.ARCHIVED)}


class Ids:
    """Questions in the session of the service account, about datasets that the caller has judged already.

    IDS tells the worst state of all that is asked for. So a page is asked for as a whole, and halved as long as it is not
    all online. `seconds` bounds that; what is not told by then is not known.
    """

    def __init__(self, upstream: Upstream, client: IcatClient, seconds: float = 1.5) -> None:
        self._upstream, self._client, self._seconds = upstream, client, seconds
        self._silent = False

    async def states(self, datasets: Sequence[int]) -> Mapping[int, ArchiveState]:
        """The states that could be told in time. Raises nothing: an archive that fails tells none."""
        found: dict[int, ArchiveState] = {}
        try:
            async with asyncio.timeout(self._seconds):
                await self._halved(datasets, found)
            self._silent = False
        except (BackendError, TimeoutError) as error:
            if not self._silent:
                log.warning("the data service does not tell where data are: %r", error.__cause__ or error)
            self._silent = True
        return found

    async def state(self, dataset: int) -> ArchiveState:
        """Where the data are now. Raises NotFound when there is no such dataset, BackendUnavailable, BackendError."""
        return await self._state([dataset])

    async def restore(self, dataset: int) -> None:
        """Ask for the data to be brought back to disk; asking again changes nothing. Raises BackendUnavailable, BackendError."""
        answer = await self._said("POST", "/restore", dataset)
        if answer.status not in (200, 204):
            raise await _refused(answer)

    async def close(self) -> None:
        """Close the connections."""
        await self._upstream.close()

    async def _halved(self, datasets: Sequence[int], found: dict[int, ArchiveState]) -> None:
        if not datasets:
            return
        try:
            state = await self._state(datasets)
        except NotFound:
            state = None
        if state is ArchiveState.ONLINE or (state is not None and len(datasets) == 1):
            found |= dict.fromkeys(datasets, state)
        elif len(datasets) > 1:
            middle = len(datasets) // 2
            await self._halved(datasets[:middle], found)
            await self._halved(datasets[middle:], found)

    async def _state(self, datasets: Sequence[int]) -> ArchiveState:
        """The worst state among these. Raises NotFound when one of them is not there (any more)."""
        answer = await self._said("GET", "/getStatus", *datasets)
        if answer.status != 200:
            raise await _refused(answer)
        said = answer.body.decode("ascii", "replace").strip()
        if said not in _STATES:
            raise unusable(NAME, f"has the state {said[:40]!r}")
        return _STATES[said]

    async def _said(self, method: str, path: str, *datasets: int) -> Answer:
        session = await self._client.session()
        for again in (True, False):
            given = {"sessionId": session, "datasetIds": ",".join(map(str, datasets))}
            way = {"query": given} if method == "GET" else {"form": given}
            answer = await self._upstream.send(method, path, **way)  # type: ignore[arg-type]
            if answer.status != 403 or not again:
                break
            session = await self._client.session(instead_of=session)
        return answer


async def _refused(answer: Answer) -> BackendError | NotFound:
    """What is said of an error of IDS, by its `code`; its own words may name a session and are not kept."""
    value = await answer.json()
    code = value.get("code") if isinstance(value, dict) else None
    if code == "NotFoundException":
        return NotFound("There is no such dataset.")
    if answer.status >= 500 or code == "InternalException":
        error: BackendError = unavailable(NAME)
    elif code == "InsufficientPrivilegesException":
        error = BackendError("The facility's archive does not let the portal in; its operators can tell more.")
    else:
        error = BackendError("The facility's archive refused a question; its operators can tell more.")
    error.__cause__ = ValueError(f"status {answer.status}, {str(code)[:80]}")
    return error
