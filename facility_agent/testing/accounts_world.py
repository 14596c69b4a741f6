"""Where the suites of the three account ports take place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from facility_agent.ports.access_rules import AccessRules
from facility_agent.ports.directory import Account, Directory
from facility_agent.ports.sign_on import PasswordSignOn


@dataclass(frozen=True, slots=True)
class Person:
    """An account as the facility's own system has it, usable or not. An empty password lets nobody in."""

    username: str = "ada"
    immutable_id: str = "id-1"
    uid: int | None = 4001
    gid: int | None = 4001
    groups: tuple[int, ...] = (4002,)
    home: str | None = "/home/ada"
    display_name: str = "Ada L."
    password: str = "correct horse battery"  # noqa: S105 (of nobody)
    proposals: tuple[str, ...] = ("P-1", "P-2")
    enabled: bool = True


class CannotHold(Exception):
    """The facility's own system has no such accounts."""


class AccountsWorld(ABC):
    """The ports of one adapter, and the facility's system behind it.

    `put` raises CannotHold for an account that the facility's system has no way to keep. `failures` is how many wrong passwords in a row a username may have, `window` for how many seconds it is then shut.
    """

    directory: Directory
    sign_on: PasswordSignOn
    rules: AccessRules
    failures = 10
    window = 300.0

    def expected(self, person: Person) -> Account:
        """What the directory should say of a usable person."""
        assert person.uid is not None and person.gid is not None and person.home is not None  # noqa: PT018
        return Account(
            person.username, person.immutable_id, person.uid, person.gid, person.groups, Path(person.home),
            person.display_name,
        )  # fmt: skip

    @abstractmethod
    def put(self, person: Person) -> None:
        """Create or change the account of this username, as the facility's user office would."""

    @abstractmethod
    def remove(self, username: str) -> None:
        """Delete an account."""

    @abstractmethod
    def outage(self) -> AbstractContextManager[None]:
        """While it holds, the facility's system cannot be asked."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Let the adapter's clock go on."""
