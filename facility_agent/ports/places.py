"""Where data lie, by the site's own rules, whatever its catalogue knows of paths, and where a person says they do; what else is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facility_agent.ports.directory import Account


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


class FolderCheck(ABC):
    """Judges folders that people name. What it says of one that it does not allow never tells why, nor what lies there."""

    @property
    @abstractmethod
    def roots(self) -> Sequence[Path]:
        """The site's folders, as it wrote them, below which alone a folder is allowed; none when nobody may name any."""

    @abstractmethod
    async def allowed(self, path: PurePosixPath, account: Account) -> Path | None:
        """The folder at an absolute path without `..`, resolved; None for one that is not allowed.

        Allowed is what exists, is a folder, lies below a root with all links followed and is none itself, and may be read by the account.
        Nothing outside of the roots is looked at unless a link within leads there. Bounded in time. Raises
        BackendUnavailable when the file system does not say: then nobody knows.
        """

    @abstractmethod
    async def is_empty(self, folder: Path) -> bool:
        """Whether nothing lies in a folder; False when that cannot be told. Bounded in time."""
