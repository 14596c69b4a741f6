"""Directories for the accounts' suites."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from argon2 import PasswordHasher

from facility_agent.adapters.accounts.file import FileAccounts
from facility_agent.testing.accounts_world import AccountsWorld, Person
from facility_agent.testing.memory_accounts import MemoryAccounts

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class MemoryWorld(AccountsWorld):
    """Accounts in memory."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.backend = MemoryAccounts(lambda: self.now)
        self.directory = self.sign_on = self.rules = self.backend

    def put(self, person: Person) -> None:
        self.backend.put(person)

    def remove(self, username: str) -> None:
        self.backend.remove(username)

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.backend.down = True
        yield
        self.backend.down = False

    def wait(self, seconds: float) -> None:
        self.now += seconds


class FileWorld(AccountsWorld):
    """Accounts in a file, as an operator edits it."""

    def __init__(self, folder: Path) -> None:
        self.now, self._path = 1000.0, folder / "accounts.toml"
        self._kept: dict[str, Person] = {}
        self._write()
        self.directory = self.sign_on = self.rules = FileAccounts(self._path, lambda: self.now)

    def put(self, person: Person) -> None:
        self._kept[person.username] = person
        self._write()

    def remove(self, username: str) -> None:
        self._kept.pop(username, None)
        self._write()

    def _write(self) -> None:
        tables = "\n".join(_table(person) for person in self._kept.values()) or "accounts = []\n"
        fresh = self._path.with_suffix(".new")
        fresh.write_text(tables)
        fresh.chmod(0o600)
        fresh.rename(self._path)

    @contextmanager
    def outage(self) -> Iterator[None]:
        aside = self._path.with_suffix(".aside")
        self._path.rename(aside)
        yield
        aside.rename(self._path)

    def wait(self, seconds: float) -> None:
        self.now += seconds


def _table(person: Person) -> str:
    values = {
        "username": person.username, "immutable_id": person.immutable_id, "display_name": person.display_name,
        "password": CHEAP.hash(person.password) if person.password else "", "uid": person.uid, "gid": person.gid,
        "groups": list(person.groups), "home": person.home, "proposals": list(person.proposals),
        "enabled": person.enabled,
    }  # fmt: skip
    return "[[accounts]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items() if v is not None)


@asynccontextmanager
async def memory_accounts(_: Path) -> AsyncIterator[AccountsWorld]:
    yield MemoryWorld()


@asynccontextmanager
async def file_accounts(folder: Path) -> AsyncIterator[AccountsWorld]:
    yield FileWorld(folder)
