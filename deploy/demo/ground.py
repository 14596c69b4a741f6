"""What Alpha computes on when that is not the demo's own user: a cluster that knows the demo's accounts."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SHARED = 40_000
"""The group of everybody at a facility."""


@dataclass(frozen=True, slots=True)
class Ground:
    """`compute` is TOML, the `[compute]` of agent.toml; `homes` the folder of Alpha's homes; `groups` the gid of each proposal of
    Alpha's, whose members read its data and write what they make of them. `lever` is the Unix socket of whoever set the cluster up. `in_pods`:
    workspaces listen on a port of their own pod, and read their secret from a file.
    """

    compute: str
    homes: Path
    groups: Mapping[str, int]
    lever: Path
    in_pods: bool = False

    def away(self) -> None:
        """The scheduler answers the agent no more; what runs goes on."""
        self._pull("away")

    def back(self) -> None:
        """It answers again."""
        self._pull("back")

    def runs(self, workspace: str) -> int:
        """How often it was started, as the cluster itself tells."""
        return int(self._pull(f"runs {workspace}"))

    def _pull(self, words: str) -> str:
        with socket.socket(socket.AF_UNIX) as far:
            far.settimeout(60)
            far.connect(str(self.lever))
            far.sendall(f"{words}\n".encode())
            return far.makefile().readline().strip()

    def home(self, username: str) -> Path:
        """The home of an account."""
        return self.homes / username

    def groups_of(self, proposals: tuple[str, ...]) -> list[int]:
        """All groups of somebody who has these proposals, but for their own."""
        return [SHARED, *(self.groups[proposal] for proposal in proposals)]

    def share(self, data: Path, processed: Path) -> None:
        """Each proposal's data are read by its group, what its members make of them is written by it, and others see neither."""
        for proposal, gid in self.groups.items():
            folder, own = data / proposal, processed / proposal
            for path in folder.rglob("*"):
                os.chown(path, -1, gid)
                path.chmod(0o440)
            os.chown(folder, -1, gid)
            folder.chmod(0o550)
            os.chown(own, -1, gid)
            own.chmod(0o2770)


def read(path: Path) -> Ground:
    """From its file."""
    said = json.loads(path.read_text())
    return Ground(said["compute"], Path(said["homes"]), said["groups"], Path(said["lever"]), said["in_pods"])
