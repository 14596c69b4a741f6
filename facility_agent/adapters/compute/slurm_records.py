"""What the agent keeps of each workspace, as files; of those that go on a look at a thousand reads none."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute.supervisor import read_record, write_json
from facility_agent.ports.compute import Observation, RunState
from shared.workspaces import is_workspace_id


class Records:
    """`<id>.json`, `<id>.stop` and `<id>.exit` in a folder that only this process writes to."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._open: dict[str, dict[str, Any]] = {}

    def file(self, name: str, ending: str) -> Path:
        """Where it lies."""
        return self._folder / f"{name}{ending}"

    def read(self, handle: str, ending: str) -> dict[str, Any] | None:
        """None when there is none. Raises OSError, ValueError."""
        return read_record(self.file(handle, ending)) if is_workspace_id(handle) else None

    def write(self, name: str, ending: str, value: object) -> None:
        """Replace it. Raises OSError."""
        with self._lock:  # else what was read before could be kept after
            self._open.pop(name, None)
            write_json(self.file(name, ending), value)

    def remove(self, name: str) -> None:
        """What was asked for is there no more. Raises OSError."""
        self._open.pop(name, None)
        self.file(name, ".json").unlink(missing_ok=True)

    def known(self, handle: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """What was asked, and the end that was seen. Not to be changed: they may have been read before. Raises OSError, ValueError."""
        if (still := self._open.get(handle)) is not None:
            return still, None
        with self._lock:
            known, ended = self.read(handle, ".json"), self.read(handle, ".exit")
            if known is not None and ended is None:
                self._open[handle] = known
        return known, ended

    def owned(self) -> dict[str, str]:
        """All whose end was not seen. Raises OSError."""
        known = [path.stem for path in self._folder.glob("*.json") if is_workspace_id(path.stem)]
        return {name: name for name in known if not self.file(name, ".exit").exists()}


def was_never_taken(known: Mapping[str, Any]) -> bool:
    """Of one that Slurm does not know: whether no question for it can be under way any more."""
    return "job" not in known and time.time() - known["tried"] > 60


def end_of(ended: Mapping[str, Any]) -> Observation:
    """What was written down as its end."""
    return Observation(RunState.GONE, ended["reason"], ended["message"], ended["code"])
