"""Tokens of the facility's own sign-on, by which a catalogue that trusts it takes a person for themself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum

from facility_agent.ports.directory import Account


class PersonSession(StrEnum):
    """Whether people are asked for in a session of their own: never, where there is a token for it, or not otherwise."""

    NEVER = "never"
    WELCOME = "welcome"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class SignOnToken:
    """An access token of the facility's own sign-on, checked by who got it, and how many seconds it is good for."""

    text: str = field(repr=False)
    lifetime_s: float


@dataclass(frozen=True, slots=True)
class HeldToken:
    """What is held for an account. `mark` tells one token from the next; `text` is empty once it is over."""

    mark: str
    text: str = field(repr=False)


class Tokens(ABC):
    """What the agent holds, as a catalogue may use it. A token goes to the facility's own catalogue and nowhere else."""

    @abstractmethod
    async def held(self, immutable_id: str) -> HeldToken | None:
        """What is held for an account, while its account link is active and one of its grants lives; else None.

        Raises BackendUnavailable.
        """


class PersonalCatalogue(ABC):
    """What a catalogue also is that can be asked in a person's own session."""

    @property
    @abstractmethod
    def person_session(self) -> PersonSession:
        """What the site wants."""

    @abstractmethod
    def use(self, tokens: Tokens) -> None:
        """Take tokens from there; called once, before anything is asked."""

    @abstractmethod
    async def signed_in(self, account: Account) -> bool:
        """Whether the account is asked for in its own session now, which is opened when a token is held for it.

        False for every refusal. Raises BackendUnavailable.
        """

    @abstractmethod
    async def person_fault(self) -> str:
        """What keeps everybody from a session of their own, as one sentence for operators; empty for nothing.

        Raises BackendUnavailable, BackendError.
        """
