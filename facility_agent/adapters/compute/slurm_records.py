"""What the agent keeps of each workspace, as files; a look at a thousand of them reads only what has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from facility_agent.adapters.compute.supervisor import read_record
from shared.workspaces import is_workspace_id


class Records:
    """`<id>.json`, `<id>.stop` and `<id>.exit` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._text = folder, str(folder)
        self._kept: dict[str, tuple[tuple[int, int, int], dict[str, Any]]] = {}

    def file(self, name: str, ending: str) -> Path:
        """Where it lies."""
        return self._folder / f"{name}{ending}"

    def read(self, handle: str, ending: str) -> dict[str, Any] | None:
        """None when there is none. Not to be changed: it may be the one that was read before. Raises OSError, ValueError."""
        if not is_workspace_id(handle):
            return None
        path = f"{self._text}/{handle}{ending}"
        try:
            found = os.stat(path)  # noqa: PTH116 (a Path costs more than this)
        except FileNotFoundError:
            return None
        seal = found.st_ino, found.st_mtime_ns, found.st_size
        kept = self._kept.get(path)
        if kept is not None and kept[0] == seal:
            return kept[1]
        record = read_record(Path(path))
        if record is not None and ending == ".json":
            self._kept[path] = seal, record
        return record

    def forget(self, name: str) -> None:
        """It is not looked at any more."""
        self._kept.pop(f"{self._text}/{name}.json", None)

    def owned(self) -> dict[str, str]:
        """All whose end was not seen. Raises OSError."""
        known = [path.stem for path in self._folder.glob("*.json") if is_workspace_id(path.stem)]
        return {name: name for name in known if not self.file(name, ".exit").exists()}
