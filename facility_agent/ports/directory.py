"""Who a local account is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from shared.errors import IdentityRefused


@dataclass(frozen=True, slots=True)
class Account:
    """A person's local identity; it never leaves the site.

    Raises IdentityRefused for a uid or gid that is 0 or negative: there is no default identity.
    `immutable_id` never changes and is never given to anybody else, whatever happens to `username`.
    """

    username: str
    immutable_id: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: Path
    display_name: str = ""

    def __post_init__(self) -> None:
        if self.uid <= 0 or self.gid <= 0 or any(group <= 0 for group in self.groups):
            raise IdentityRefused("The facility's account has no usable numeric identity.")
        if not self.username or not self.immutable_id or not self.home.is_absolute():
            raise IdentityRefused("The facility's account is incomplete.")


class Directory(ABC):
    """Accounts by username.

    Guarantees: what is returned is complete and current; nothing is cached beyond the source.
    """

    @abstractmethod
    async def account(self, username: str) -> Account:
        """The account of `username`.

        Raises NotFound when there is none, IdentityRefused when it lacks a usable uid, gid or
        group, BackendUnavailable when the source cannot be read.
        """
