"""Folders that people name, below the roots that the site allows for that."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from errno import EINVAL, ELOOP, ENAMETOOLONG
from pathlib import Path, PurePosixPath

from facility_agent.adapters.places.readable import ENTER, READ, permits, rights_of
from facility_agent.ports.directory import Account
from facility_agent.ports.places import FolderCheck
from shared.errors import BackendUnavailable

WITHIN = 3.0
_AWAY = "The facility cannot look at its folders at the moment."


class EnteredFolders(FolderCheck):
    """`as_account` says that what is started for an account runs as it: then the kernel decides what cannot be told here.

    Two threads of its own look: a file system that hangs holds up nothing else.
    """

    def __init__(self, roots: Sequence[Path], as_account: bool) -> None:
        self._roots, self._as_account = tuple(roots), as_account
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="entered")

    @property
    def roots(self) -> Sequence[Path]:
        """The site's."""
        return self._roots

    async def allowed(self, path: PurePosixPath, account: Account) -> Path | None:
        """Within 3 s."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WITHIN):
                return await loop.run_in_executor(self._threads, self._allowed, path, account)
        except TimeoutError as error:
            raise BackendUnavailable(_AWAY) from error

    async def is_empty(self, folder: Path) -> bool:
        """Within 3 s."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(WITHIN):
                return await loop.run_in_executor(self._threads, _is_empty, folder)
        except (TimeoutError, OSError):
            return False

    def _allowed(self, path: PurePosixPath, account: Account) -> Path | None:
        roots = self._named_by(path)
        folder = _folder(path) if roots else None
        root = next((each for each in roots if folder and folder != each and folder.is_relative_to(each)), None)
        if folder is None or root is None:
            return None
        return folder if self._may_read(folder, root, account) else None

    def _named_by(self, path: PurePosixPath) -> list[Path]:
        """The roots that it lies below as it is written. Raises BackendUnavailable for one that is not there."""
        whole = {root: _whole(root) for root in self._roots}
        named = [
            root
            for root, real in whole.items()
            if path.is_relative_to(root) or (real and path.is_relative_to(real))
        ]
        found = [whole[root] for root in named]
        if None in found or (not found and None in whole.values()):
            raise BackendUnavailable(_AWAY)
        return [real for real in found if real is not None]

    def _may_read(self, folder: Path, root: Path, account: Account) -> bool:
        """The folder itself, and the way to it from the root on; above the root it is the site's matter."""
        try:
            told = [permits(rights_of(folder), account, READ | ENTER)]
            way = [each for each in folder.parents if each.is_relative_to(root)]
            told += [permits(rights_of(each), account, ENTER) for each in way]
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return False  # it has changed meanwhile
        except OSError as error:
            raise BackendUnavailable(_AWAY) from error
        return False not in told and (self._as_account or None not in told)


def _is_empty(folder: Path) -> bool:
    with os.scandir(folder) as inside:
        return next(inside, None) is None


def _whole(root: Path) -> Path | None:
    """The root with its links followed; None when it is not there: its disk may not be mounted."""
    try:
        return root.resolve(strict=True)
    except (OSError, RuntimeError):
        return None


def _folder(path: PurePosixPath) -> Path | None:
    """What is there, links followed; None when that is no folder, or none that the agent may look at."""
    try:
        folder = Path(path).resolve(strict=True)
        return folder if folder.is_dir() else None
    except (FileNotFoundError, NotADirectoryError, PermissionError, RuntimeError, ValueError):
        return None
    except OSError as error:
        if error.errno in (ENAMETOOLONG, ELOOP, EINVAL):
            return None
        raise BackendUnavailable(_AWAY) from error
