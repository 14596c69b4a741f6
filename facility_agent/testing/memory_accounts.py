"""Accounts in memory: all three account ports, for authors of adapters and for benchmarks."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from pathlib import Path

from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account, Directory
from facility_agent.ports.sign_on import Attempts, PasswordSignOn
from facility_agent.testing.accounts_world import Person
from shared.errors import AccessDenied, BackendUnavailable, IdentityRefused, NotFound

_COST = 2**4  # of scrypt: what it guards is gone with the process


@dataclass(frozen=True, slots=True)
class _Kept:
    person: Person  # without the password
    salt: bytes
    digest: bytes


class MemoryAccounts(Directory, PasswordSignOn, AccessRules):
    """`down` says that the source cannot be read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.down = False
        self._kept: dict[str, _Kept] = {}
        self._attempts = Attempts(clock)
        self._nobody = _kept(Person())

    def put(self, person: Person) -> None:
        """Create or change the account of this username."""
        self._kept[person.username] = _kept(person)

    def remove(self, username: str) -> None:
        """Delete it; no error when there is none."""
        self._kept.pop(username, None)

    async def account(self, username: str) -> Account:
        """The account of a username."""
        kept = self._asked().get(username)
        if kept is None or not kept.person.enabled:
            raise NotFound("The facility has no such account.")
        p = kept.person
        if p.uid is None or p.gid is None or p.home is None:
            raise IdentityRefused("The facility's account has no usable numeric identity.")
        return Account(p.username, p.immutable_id, p.uid, p.gid, p.groups, Path(p.home), p.display_name)

    async def check(self, username: str, password: str) -> str:
        """The username when the password is right."""
        kept = self._asked().get(username)
        self._attempts.begin(username)
        usable = kept is not None and kept.person.enabled and kept.digest != b""
        stored = kept if kept is not None and usable else self._nobody
        if not hmac.compare_digest(_digest(password, stored.salt), stored.digest) or not usable:
            raise AccessDenied("Username or password is wrong.")
        self._attempts.succeeded(username)
        return username

    async def may_use(self, account: Account) -> bool:
        """Whether the account is here, enabled and still the same."""
        return self._usable(account) is not None

    async def proposals(self, account: Account) -> Set[str]:
        """The proposals that were given to the account."""
        person = self._usable(account)
        return frozenset(person.proposals if person else ())

    def _usable(self, account: Account) -> Person | None:
        kept = self._asked().get(account.username)
        if kept is None or not kept.person.enabled or kept.person.immutable_id != account.immutable_id:
            return None
        return kept.person

    def _asked(self) -> dict[str, _Kept]:
        if self.down:
            raise BackendUnavailable("The facility's accounts cannot be read.")
        return self._kept


def _kept(person: Person) -> _Kept:
    salt = os.urandom(16)
    return _Kept(replace(person, password=""), salt, _digest(person.password, salt) if person.password else b"")


def _digest(password: str, salt: bytes) -> bytes:
    whole = hashlib.sha256(password.encode(errors="surrogatepass")).digest()  # scrypt ignores NULs at the end
    return hashlib.scrypt(whole, salt=salt, n=_COST, r=8, p=1)
