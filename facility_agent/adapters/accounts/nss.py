"""Accounts as this machine has them: the name service switch (files, SSSD, LDAP, …). People prove them elsewhere.

There is no identifier beyond the uid, so the uid is the immutable id: a facility must never give one to somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import Field

from facility_agent.adapters.accounts.nss_calls import Entry, look_up
from facility_agent.adapters.accounts.posix import Found, GroupSettings, PosixAccounts
from facility_agent.plugins import Site
from facility_agent.ports.directory import Account
from facility_agent.ports.sign_on import PasswordSignOn
from shared.errors import AccessDenied, BackendUnavailable, IdentityRefused

AT_ONCE = 4


class NssSettings(GroupSettings):
    """Settings of the adapter `nss`."""

    least_uid: int = Field(default=1000, ge=1, description="Accounts below are the system's and refused.")
    locked_shells: tuple[str, ...] = Field(
        default=("/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false"),
        description="Accounts with one of these shells count as disabled.",
    )
    within_s: float = Field(default=5.0, gt=0, le=60, description="How long one look may take.")


class NssAccounts(PosixAccounts, PasswordSignOn):
    """`look_up` is the C library's answer; at most four looks are under way, so that a source that hangs blocks no more."""

    takes_passwords = False

    def __init__(self, settings: NssSettings, look_up: Callable[[str], Entry | None] = look_up) -> None:
        super().__init__(settings)
        self._settings, self._look_up = settings, look_up
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="nss")

    async def find(self, username: str) -> Found | None:
        """The account as the system has it now."""
        try:
            async with asyncio.timeout(self._settings.within_s):
                entry = await asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, username)
        except LookupError:
            raise IdentityRefused(
                "The facility's account is in a group that the facility does not know."
            ) from None
        except (OSError, TimeoutError) as error:
            raise BackendUnavailable("The facility's accounts cannot be read.") from error
        if entry is None or entry.name != username or entry.shell in self._settings.locked_shells:
            return None
        if entry.uid < self._settings.least_uid:
            raise IdentityRefused("The facility's account has no usable numeric identity.")
        return Found(_account(entry), frozenset(entry.groups.values()))

    async def check(self, username: str, password: str) -> str:
        """Nobody: the system's passwords are not asked for."""
        raise AccessDenied("People sign on with the facility's own service here, not with a password.")


def _account(entry: Entry) -> Account:
    others = tuple(sorted(entry.groups.keys() - {entry.gid}))
    name = entry.gecos.split(",")[0].strip()
    home = Path(entry.folder or ".")
    return Account(entry.name, f"uid:{entry.uid}", entry.uid, entry.gid, others, home, name)


class NssPlugin:
    """The adapter `nss`."""

    settings = NssSettings

    @staticmethod
    def build(settings: NssSettings, site: Site) -> NssAccounts:
        """The adapter; asks nothing yet."""
        return NssAccounts(settings)
