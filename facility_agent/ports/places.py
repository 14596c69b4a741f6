"""Where the data of a proposal lie, by the site's own rules, whatever its catalogue knows of paths; and what else is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What the catalogue says of a proposal that may tell where its data lie, and who wants to know; without a proposal
    what lies there for that account.
    """

    proposal: str
    instruments: tuple[str, ...] = ()
    years: tuple[int, ...] = ()
    username: str = ""


class Places(ABC):
    """The site's rules. Nothing that a catalogue says leads out of a rule's root, links followed."""

    @property
    @abstractmethod
    def wants_facts(self) -> bool:
        """Whether instruments and years are of use; else the proposal's name alone says it."""

    @abstractmethod
    async def find(self, about: Whereabouts) -> Sequence[Path]:
        """The folders of a proposal that exist, resolved, none within another; none when there are none.

        Raises BackendUnavailable when the file system does not say.
        """


@dataclass(frozen=True, slots=True)
class MountRule:
    """Folders that workspaces show beside the proposals', under `name`: of each chosen proposal that is the account's own, or one."""

    name: str
    read_only: bool
    of_proposals: bool
    places: Places
