"""Accounts from one TOML file: argon2 hashes, uid, gid, groups, home, proposals. Changes take effect at once."""

from __future__ import annotations

import asyncio
import time
import tomllib
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, ConfigDict, Field

from facility_agent.plugins import Site
from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account, Directory
from facility_agent.ports.sign_on import Attempts, PasswordSignOn
from shared.errors import AccessDenied, BackendUnavailable, IdentityRefused, NotFound

AT_ONCE = 2


class AccountTable(BaseModel):
    """One account of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

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


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    accounts: tuple[AccountTable, ...]


class FileAccountsSettings(BaseModel):
    """Settings of the adapter `file`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="The accounts' file; not writable by group or others.")


@dataclass(frozen=True, slots=True)
class _Loaded:
    stamp: tuple[int, int, int]
    accounts: dict[str, AccountTable]


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
            if stat.st_mode & 0o022:
                raise BackendUnavailable("The facility's accounts cannot be read.")
            tables = _File.model_validate(tomllib.loads(self._path.read_text())).accounts
        except (OSError, ValueError) as error:  # TOML, text and the model's own mistakes are ValueErrors
            raise BackendUnavailable("The facility's accounts cannot be read.") from error
        accounts = {table.username: table for table in tables}
        if len(accounts) != len(tables) or len({t.immutable_id for t in tables}) != len(tables):
            raise BackendUnavailable("The facility's accounts cannot be read.")
        self._loaded = _Loaded(stamp, accounts)
        return accounts

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
