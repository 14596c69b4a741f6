"""Entered places: where a person says that the data of a dataset lie, when neither catalogue nor archive can tell.

Kept per account and dataset. A folder that a person names is checked like every path, when it is entered and at each use; it never
leaves the site.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from facility_agent.ports.directory import Account
from facility_agent.ports.places import FolderCheck
from facility_agent.ports.store import EnteredRow, LinkRow, Store, Transaction
from shared.errors import AccountNotLinked, InvalidRequest, NotFound, QuotaExceeded

LONGEST = 1024
MOST = 200
FORGOTTEN = 86_400.0


@dataclass(frozen=True, slots=True)
class Entered:
    """One of an account's, as it was entered."""

    pid: str
    folder: str
    entered_at: float


def parsed(text: str) -> PurePosixPath:
    """The path that a person typed, blanks around it aside. Raises InvalidRequest for what is no plain absolute path. Pure."""
    text = text.strip(" ")
    if not text.startswith("/") or text.startswith("//"):
        raise InvalidRequest("A folder is written from its beginning, with one slash in front.")
    if len(text.encode(errors="replace")) > LONGEST:
        raise InvalidRequest(f"A folder's path has at most {LONGEST:,} bytes.")
    if not text.isprintable():
        raise InvalidRequest("A folder's path has no line breaks, control characters or invisible ones here.")
    if ".." in text.split("/"):
        raise InvalidRequest("A folder is written without .. in its path.")
    return PurePosixPath(text)


class EnteredPlaces:
    """The rules of them. `folders` judges what people name; `clock` is this machine's POSIX time."""

    def __init__(self, store: Store, folders: FolderCheck, clock: Callable[[], float]) -> None:
        self._store, self._folders, self._clock = store, folders, clock

    @property
    def roots(self) -> Sequence[Path]:
        """The site's folders below which one may lie; none when the site wants none entered."""
        return self._folders.roots

    async def find(self, account: Account, pid: str) -> Path | None:
        """The folder that this account entered for this dataset, checked anew; None without one, or when it is not allowed any more.

        One that is not found for a day is forgotten. Raises BackendUnavailable when the file system does not say.
        """
        if not self.roots:
            return None
        row = await self._store.transact(lambda tx: tx.entered(account.immutable_id, pid))
        if row is None:
            return None
        folder = await self._folders.allowed(PurePosixPath(row.folder), account)
        # What was resolved once leads elsewhere only through a link that was put there since.
        if folder is not None and str(folder) != row.folder:
            folder = None
        await self._noted(row, missing=folder is None)
        return folder

    async def _noted(self, row: EnteredRow, *, missing: bool) -> None:
        now = self._clock()
        is_over = missing and row.missed_at is not None and now - row.missed_at >= FORGOTTEN
        if missing is (row.missed_at is not None) and not is_over:
            return

        def work(tx: Transaction) -> None:
            if tx.entered(row.immutable_id, row.pid) != row:
                return  # entered anew, or taken back meanwhile
            if is_over:
                tx.drop_entered(row.immutable_id, row.pid)
            else:
                tx.put_entered(replace(row, missed_at=now if missing else None))

        await self._store.transact(work)

    async def enter(self, link: LinkRow, account: Account, pid: str, path: str) -> None:
        """Keep it, in place of an earlier one. The caller has checked that the account may read the dataset.

        Raises InvalidRequest; NotFound, which never tells what lies at a path that is not allowed; AccountNotLinked when the link
        has changed since; QuotaExceeded; BackendUnavailable.
        """
        folder = await self._folders.allowed(parsed(path), account)
        if folder is None or not str(folder).isprintable():
            raise NotFound(
                "At this path is no folder that your account may read and that lies below the folders named here."
            )
        row = EnteredRow(account.immutable_id, pid, str(folder), self._clock())

        def work(tx: Transaction) -> None:
            if tx.link_of(link.subject) != link:
                raise AccountNotLinked("The account link changed meanwhile; begin again.")
            known = tx.all_entered(row.immutable_id)
            if len(known) >= MOST and all(each.pid != pid for each in known):
                raise QuotaExceeded(f"You have entered {MOST} places already; take one back first.")
            tx.put_entered(row)

        await self._store.transact(work)

    async def forget(self, account: Account, pid: str) -> None:
        """Take one back; no error when there is none."""
        if pid:
            await self._store.transact(lambda tx: tx.drop_entered(account.immutable_id, pid))

    async def of(self, account: Account) -> Sequence[Entered]:
        """All of an account's, newest first, as they were entered."""
        rows = await self._store.transact(lambda tx: tx.all_entered(account.immutable_id))
        return [Entered(row.pid, row.folder, row.entered_at) for row in rows]
