"""Bringing data back from a SciCat's archive: by its jobs.

A job is made by `POST /api/v4/jobs` and read by `GET /api/v4/jobs?filter=` (scicat-backend-next, jobs.v4.controller and
jobs.controller.utils): a list has no limit of its own, and `limits.sort` sorts nothing. That data are back is said by the
dataset's life cycle alone (`isOnCentralDisk`), which the archive's own system writes.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from facility_agent.adapters.catalogue import scicat_records as records
from facility_agent.adapters.catalogue import values
from facility_agent.adapters.catalogue.scicat import NO_DATASET, Scicat
from facility_agent.adapters.catalogue.scicat_client import NAME
from facility_agent.adapters.catalogue.scicat_records import Record
from facility_agent.adapters.http import listed, unusable
from facility_agent.ports.catalogue import Reader, RestorableCatalogue
from shared.catalogue import ArchiveState
from shared.errors import NotFound, Unsupported

JOBS = 1000
LIFE, LAG = 14 * 86_400.0, 900.0
"""Seconds after which a job that never ended counts for nothing, and for which one that ended may precede its life cycle."""


class RestorableScicat(Scicat, RestorableCatalogue):
    """A SciCat whose archive brings data back. Jobs are made one after the other, so that nobody makes a second one."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._making = asyncio.Lock()

    async def restore(self, pid: str, reader: Reader) -> ArchiveState:
        """Make a job, unless the data are there or a job is under way."""
        async with self._making:
            row = await self._row(pid, reader)
            state = await self._standing(row)
            if state in (ArchiveState.ONLINE, ArchiveState.RESTORING):
                return state
            if state is not ArchiveState.ARCHIVED or not isinstance(row.get("ownerGroup"), str):
                raise Unsupported("The facility's archive cannot bring this dataset back.")
            wanted = [{"pid": row["pid"], "files": []}]
            job = {
                "type": self._settings.retrieve_job, "jobParams": {**self._settings.retrieve_parameters, "datasetList": wanted},
                "ownerUser": self._client.username, "ownerGroup": row["ownerGroup"],
            }  # fmt: skip
            made = await self._client.post("/api/v4/jobs", job)
            if not isinstance(made, dict) or not isinstance(made.get("id"), str):
                raise unusable(NAME, "is no job")
            return ArchiveState.RESTORING

    async def restore_state(self, pid: str) -> ArchiveState:
        """By the dataset's life cycle, then by its jobs."""
        raw = values.raw_pid(pid)
        asked = {"where": {"pid": raw}, "fields": ["pid", "datasetlifecycle"], "limits": {"limit": 1, "skip": 0}}
        said = listed(NAME, await self._client.all("/api/v4/datasets", {"filter": asked}), 1) if raw else []
        if not said or said[0].get("pid") != raw:
            raise NotFound(NO_DATASET)
        return await self._standing(said[0])

    async def _standing(self, row: Record) -> ArchiveState:
        state = records.state(row.get("datasetlifecycle"), self._fields.restoring, time.time())
        if state in (ArchiveState.ONLINE, ArchiveState.RESTORING):
            return state
        where = {"type": self._settings.retrieve_job, "jobParams.datasetList.pid": row["pid"]}
        asked = {"where": where, "fields": ["id", "statusCode", "createdAt", "updatedAt"]}
        jobs = listed(NAME, await self._client.all("/api/v4/jobs", {"filter": asked}), JOBS)
        under_way = any(self._is_under_way(job, time.time()) for job in jobs)
        return ArchiveState.RESTORING if under_way else state

    def _is_under_way(self, job: dict[str, Any], now: float) -> bool:
        """Whether data may still come of a job. One that failed is over at once."""
        made, changed = values.time_of(job.get("createdAt")), values.time_of(job.get("updatedAt"))
        code = job.get("statusCode")
        if made is None or not isinstance(code, str):
            raise unusable(NAME, "has a job without a state")
        if code not in self._settings.retrieve_ended:
            return now - made < LIFE
        return code == self._settings.retrieve_ended[0] and changed is not None and now - changed < LAG
