"""Where a proposal's data lie: catalogues know paths of other machines, so the site says it by a template."""

from __future__ import annotations

import asyncio
from pathlib import Path

from facility_agent.adapters.places.contained import contained
from facility_agent.ports.catalogue import Location
from shared.errors import NotFound

NO_DATA = "The data of this proposal are not on this facility's disks."


class Folders:
    """`template`, with `{proposal}` in its last part, below `root`; without a root nothing can be located."""

    def __init__(self, root: Path | None, template: str) -> None:
        self._root, self._template = root, template

    async def locate(self, proposal: str) -> Location:
        """The folder. Raises NotFound when there is none, or when it is not below the root once links are followed."""
        named = proposal.isprintable() and "/" not in proposal and not proposal.startswith(".")
        if self._root is None or not named or not proposal:
            raise NotFound(NO_DATA)
        folder = await asyncio.to_thread(contained, self._root, self._template.replace("{proposal}", proposal))
        if folder is None:
            raise NotFound(NO_DATA)
        return Location(proposal, folder)
