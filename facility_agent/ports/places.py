"""Where the data of a proposal lie, by the site's own rules, whatever its catalogue knows of paths."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What the catalogue says of a proposal that may tell where its data lie."""

    proposal: str
    instruments: tuple[str, ...] = ()
    years: tuple[int, ...] = ()


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
