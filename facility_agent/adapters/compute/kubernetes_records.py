"""What the agent itself remembers of each workspace on the cluster: how the proxy gets in, and how it ended. One file each."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

from facility_agent.ports.compute import Observation, RunState
from shared.errors import BackendError, BackendUnavailable


@dataclass(frozen=True, slots=True)
class Record:
    """`namespace`: where it is. `made`: its pod was seen in the cluster. `ending`: that is why it is being ended. `untidy`: something of it may be left."""

    headers: tuple[tuple[str, str], ...] = ()
    made: bool = False
    ending: Observation | None = None
    ended: Observation | None = None
    untidy: bool = False
    namespace: str = ""


class Records:
    """A folder of the agent's alone. Written through to the disk before a call returns; one change of a workspace's at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Record] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def load(self) -> None:
        """Read all. Raises BackendUnavailable."""
        try:
            self._known.update(await asyncio.to_thread(self._read_all))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackendUnavailable("The facility cannot read what it knows of its workspaces.") from error

    def get(self, workspace_id: str) -> Record | None:
        """One."""
        return self._known.get(workspace_id)

    def lasting(self) -> list[tuple[str, Record]]:
        """Those that were made and are not known to have ended."""
        return [(name, record) for name, record in self._known.items() if record.made and record.ended is None]

    def untidy(self) -> list[str]:
        """Those of whom something may be left in the cluster."""
        return [name for name, record in self._known.items() if record.untidy]

    async def put(self, workspace_id: str, record: Record) -> Record:
        """Remember. Raises BackendError; then nothing is remembered."""
        return await self._alone(workspace_id, lambda _: record)

    async def change(self, workspace_id: str, **changes: object) -> Record:
        """Change some of it. Raises as `put`."""
        return await self._alone(workspace_id, lambda record: replace(record, **changes))  # type: ignore[arg-type]

    async def _alone(self, workspace_id: str, changed: Callable[[Record], Record]) -> Record:
        """Whoever asked may be cancelled: what has begun to be written is written before the next change."""
        return await asyncio.shield(asyncio.ensure_future(self._put(workspace_id, changed)))

    async def _put(self, workspace_id: str, changed: Callable[[Record], Record]) -> Record:
        async with self._locks.setdefault(workspace_id, asyncio.Lock()):
            record = changed(self._known.get(workspace_id) or Record())
            try:
                await asyncio.to_thread(self._write, workspace_id, record)
            except OSError as error:
                raise BackendError(
                    "The facility cannot remember its workspaces: its disk does not take them."
                ) from error
            self._known[workspace_id] = record
            return record

    def log(self, workspace_id: str) -> Path:
        """Where its output is kept after its end."""
        return self.folder / f"{workspace_id}.log"

    def socket(self, workspace_id: str) -> Path:
        """Where its relay listens."""
        return self.folder / f"{workspace_id}.s"

    def _read_all(self) -> dict[str, Record]:
        return {path.stem: _record(json.loads(path.read_text())) for path in self.folder.glob("*.json")}

    def _write(self, workspace_id: str, record: Record) -> None:
        path = self.folder / f"{workspace_id}.json"
        partial = path.with_suffix(".new")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(_plain(record), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def _plain(record: Record) -> dict[str, object]:
    return {
        "headers": [list(pair) for pair in record.headers], "made": record.made, "untidy": record.untidy,
        "namespace": record.namespace,
        "ending": _written(record.ending), "ended": _written(record.ended),
    }  # fmt: skip


def _written(end: Observation | None) -> list[object] | None:
    return None if end is None else [end.reason, end.message, end.exit_code]


def _end(value: object) -> Observation | None:
    if not isinstance(value, list | None):
        raise TypeError("no end")
    return None if value is None else Observation(RunState.GONE, *value)


def _record(value: dict[str, object]) -> Record:
    headers = value["headers"]
    if not isinstance(headers, list):
        raise TypeError("no record")
    pairs = tuple((str(name), str(text)) for name, text in headers)
    ends = _end(value["ending"]), _end(value["ended"])
    return Record(pairs, value["made"] is True, *ends, value["untidy"] is True, str(value.get("namespace", "")))
