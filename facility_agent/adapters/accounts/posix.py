"""What directories of POSIX accounts have in common: names, and proposals that are groups."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Set
from dataclasses import dataclass

from pydantic import Field, field_validator

from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account, Directory
from facility_agent.tables import Table
from shared.errors import IdentityRefused, NotFound

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]{0,63}")


def is_plausible(username: str) -> bool:
    """Whether it could be a username at all; others are asked of no system."""
    return _NAME.fullmatch(username) is not None


class GroupSettings(Table):
    """Which groups mean what."""

    proposal_group: str = Field(
        default="", description='The group of a proposal\'s members, e.g. "p{proposal}"; empty: groups give none.'
    )
    members_of: str = Field(
        default="", description="Only members of this group may use the facility through Parasol."
    )

    @field_validator("proposal_group")
    @classmethod
    def _one_place(cls, value: str) -> str:
        if value and value.count("{proposal}") != 1:
            raise ValueError("must contain {proposal} once")
        return value

    def proposals(self, groups: Iterable[str]) -> frozenset[str]:
        """The proposals that these groups' names stand for."""
        before, found, after = self.proposal_group.partition("{proposal}")
        if not found:
            return frozenset()
        fits = [name for name in groups if name.startswith(before) and name.endswith(after)]
        inner = [name[len(before) : len(name) - len(after)] for name in fits]
        return frozenset(name for name in inner if name)


@dataclass(frozen=True, slots=True)
class Found:
    """An account and the names of its groups."""

    account: Account
    groups: frozenset[str]


class PosixAccounts(Directory, AccessRules):
    """Directory and access rules over one look at the facility's own system."""

    def __init__(self, groups: GroupSettings) -> None:
        self._groups = groups

    @abstractmethod
    async def find(self, username: str) -> Found | None:
        """The account of a plausible username. Raises IdentityRefused, BackendUnavailable."""

    async def account(self, username: str) -> Account:
        """The account of a username."""
        found = await self.find(username) if is_plausible(username) else None
        if found is None or found.account.username != username:
            raise NotFound("The facility has no such account.")
        return found.account

    async def may_use(self, account: Account) -> bool:
        """Whether it is still the same account, and in the group that may."""
        groups = await self._groups_of(account)
        return groups is not None and (not self._groups.members_of or self._groups.members_of in groups)

    async def proposals(self, account: Account) -> Set[str]:
        """The proposals whose groups it is in."""
        return self._groups.proposals(await self._groups_of(account) or ())

    async def _groups_of(self, account: Account) -> frozenset[str] | None:
        try:
            found = await self.find(account.username) if is_plausible(account.username) else None
        except IdentityRefused:
            return None
        if found is None or found.account.immutable_id != account.immutable_id:
            return None
        return found.groups
