"""Accounts from one TOML file: argon2 hashes, uid, gid, groups, home, proposals. Changes take effect at once."""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import Field, ValidationError

from facility_agent.plugins import Fault, Site
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account, Directory
from facility_agent.ports.sign_on import Attempts, PasswordSignOn
from facility_agent.tables import Table
from shared.errors import AccessDenied, BackendUnavailable, IdentityRefused, NotFound

AT_ONCE = 2


class AccountTable(Table):
    """One account of the file."""

    username: str = Field(min_length=1, max_length=64)
    immutable_id: str = Field(min_length=1, max_length=64)
    display_name: str = ""
    password: str = Field(default="", repr=False)
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    home: Path | None = None
    proposals: tuple[str, ...] = ()
    enabled: bool = True


class _File(Table):
    accounts: tuple[AccountTable, ...]


class FileAccountsSettings(Table):
    """Settings of the adapter `file`."""

    path: Path = Field(description="The accounts' file; not writable by group or others.")


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: tuple[int, int, int]
    accounts: dict[str, AccountTable]


def _read(path: Path, mode: int) -> dict[str, AccountTable]:
    """The accounts by username. Raises OSError, or ValueError with one sentence for a file that cannot be trusted."""
    if mode & 0o022:
        raise ValueError("is writable by others than its owner; run chmod go-w on it")
    try:
        tables = _File.model_validate(tomllib.loads(path.read_text())).accounts
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    for key in ("username", "immutable_id"):
        values = [getattr(table, key) for table in tables]
        if len(set(values)) != len(values):
            raise ValueError(f"two accounts have the same {key}")
    return {table.username: table for table in tables}


def _is_hash(text: str) -> bool:
    try:
        extract_parameters(text)
    except InvalidHashError:
        return False
    return True


class FileAccounts(Directory, PasswordSignOn, AccessRules):
    """All three account ports on one file."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._hasher = PasswordHasher()
        self._dummy = self._hasher.hash("nobody has this password")
        self._loaded: _Loaded | None = None
        self._attempts = Attempts(clock)
        self._at_once = asyncio.Semaphore(AT_ONCE)

    def _accounts(self) -> dict[str, AccountTable]:
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._loaded is not None and self._loaded.stamp == stamp:
                return self._loaded.accounts
            accounts = _read(self._path, stat.st_mode)
        except (OSError, ValueError) as error:
            raise BackendUnavailable("The facility's accounts cannot be read.") from error
        self._loaded = _Loaded(stamp, accounts)
        return accounts

    def faults(self) -> Iterator[Fault]:
        """What keeps the file from being read, and accounts that nobody can use."""
        try:
            accounts = _read(self._path, self._path.stat().st_mode)
        except OSError as error:
            yield Fault(
                "path", f"{self._path}: {error.strerror}.", "Put the accounts there, readable by this user."
            )
            return
        except ValueError as error:
            yield Fault("path", f"{self._path}: {error}.", "Until then nobody can link an account.")
            return
        for name, table in accounts.items():
            if not table.uid:
                what = "has no uid" if table.uid is None else "has uid 0"
                yield Fault("path", f"Account {name} {what}, so it is refused.", "Give it its uid.", fatal=False)
            if table.password and not _is_hash(table.password):
                yield Fault(
                    "path", f"The password of account {name} is no argon2 hash, so it lets nobody in.",
                    "Make one with `facility-agent hash-password`.", fatal=False,
                )  # fmt: skip

    async def account(self, username: str) -> Account:
        """The account of a username."""
        table = (await asyncio.to_thread(self._accounts)).get(username)
        if table is None or not table.enabled:
            raise NotFound("The facility has no such account.")
        if table.uid is None or table.gid is None or table.home is None:
            raise IdentityRefused("The facility's account has no usable numeric identity.")
        return Account(
            table.username, table.immutable_id, table.uid, table.gid, table.groups, table.home, table.display_name
        )

    async def check(self, username: str, password: str) -> str:
        """The username when the password is right."""
        table = (await asyncio.to_thread(self._accounts)).get(username)
        self._attempts.begin(username)
        usable = table is not None and table.enabled and table.password != ""
        stored = table.password if table is not None and usable else self._dummy
        async with self._at_once:
            right = await asyncio.to_thread(self._verify, stored, password)
        if not right or not usable:
            raise AccessDenied("Username or password is wrong.")
        self._attempts.succeeded(username)
        return username

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeError):
            return False

    async def may_use(self, account: Account) -> bool:
        """Whether the account is in the file and enabled."""
        return await self._usable(account) is not None

    async def proposals(self, account: Account) -> Set[str]:
        """The proposals that the file gives to the account."""
        table = await self._usable(account)
        return frozenset(table.proposals if table else ())

    async def _usable(self, account: Account) -> AccountTable | None:
        table = (await asyncio.to_thread(self._accounts)).get(account.username)
        same = table is not None and table.immutable_id == account.immutable_id
        return table if table is not None and table.enabled and same else None


class FileAccountsPlugin:
    """The adapter `file`."""

    settings = FileAccountsSettings

    @staticmethod
    def build(settings: FileAccountsSettings, site: Site) -> FileAccounts:
        """The adapter; reads nothing yet."""
        return FileAccounts(site.config_folder / settings.path)
