"""Where a proposal's data lie: catalogues know paths of other machines, so the site says it by a template."""

from __future__ import annotations

import asyncio
from errno import ENAMETOOLONG
from pathlib import Path

from facility_agent.ports.catalogue import Location
from shared.errors import BackendUnavailable, NotFound

NO_DATA = "The data of this proposal are not on this facility's disks."


def folder_template(value: str) -> str:
    """A proposal's folder below a root, for settings. Raises ValueError."""
    parts = value.split("/")
    if "{proposal}" not in parts[-1] or "{proposal}" in "/".join(parts[:-1]) or {"", ".", ".."} & set(parts):
        raise ValueError("a relative path without `..` whose last part contains {proposal}")
    return value


class Folders:
    """`template`, with `{proposal}` in its last part, below `root`; without a root nothing can be located."""

    def __init__(self, root: Path | None, template: str) -> None:
        self._root, self._template = root, template

    async def locate(self, proposal: str) -> Location:
        """The folder. Raises NotFound when there is none, or when it is not below the root once links are followed."""
        if (
            self._root is None
            or not proposal.isprintable()
            or "/" in proposal
            or proposal.startswith(".")
            or not proposal
        ):
            raise NotFound(NO_DATA)
        return Location(proposal, await asyncio.to_thread(self._found, self._root, proposal))

    def _found(self, root: Path, proposal: str) -> Path:
        try:
            whole = root.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise BackendUnavailable("The facility cannot read its folder of data at the moment.") from error
        try:
            folder = (whole / self._template.replace("{proposal}", proposal)).resolve(strict=True)
            good = folder != whole and folder.is_relative_to(whole) and folder.is_dir()
        except (FileNotFoundError, NotADirectoryError, RuntimeError, ValueError):
            good = False
        except OSError as error:
            if error.errno == ENAMETOOLONG:
                raise NotFound(NO_DATA) from None
            raise BackendUnavailable("The facility cannot read its folder of data at the moment.") from error
        if not good:
            raise NotFound(NO_DATA)
        return folder
