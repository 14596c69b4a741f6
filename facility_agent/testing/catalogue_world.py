"""A catalogue under test: the adapter, and what the facility's own system has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from facility_agent.ports.catalogue import CatalogueBackend, Reader, RestorableCatalogue
from facility_agent.ports.directory import Account
from shared.catalogue import DataFile

STRANGE = (
    "'; drop table file; --", '" or ""="', "* OR 1=1", "pid:*", "NEAR(a b)", 'a" AND "b', "a AND", "NOT", "-x", "^x", "(",
    ")", "{", "%", "_", "\\", "\0", "a\0b", "\n", "\ud800", "${jndi:ldap://x}", "{{7*7}}", "<script>", "../../etc/passwd",
    "/", "..", "text:x", ";", "''", '"', "ﬀ", "🦄" * 50, "a " * 99, "\u202eabc",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A dataset as the facility's own system has it. `title` tells it from all others."""

    title: str
    proposal: str
    instrument: str = "I22"
    sample: str = ""
    definition: str = ""
    started: float | None = None
    techniques: tuple[str, ...] = ()
    files: tuple[DataFile, ...] = (DataFile("one.dat", 1),)
    """Where the adapter knows files; one for which a dataset is a file needs not heed it."""


MINE, THEIRS = "P-mine", "P-theirs"
ADA = Account("ada", "7", 1007, 1007, (), Path("/home/ada"))


class CatalogueWorld(ABC):
    """One adapter, and the system behind it. `open_proposal` is the one whose data anyone may read."""

    backend: CatalogueBackend
    open_proposal: str
    roots: tuple[Path, ...]
    holds_terms = True
    """Whether a dataset can be given any technique; False where techniques follow from something else."""
    has_own = True
    """Whether it shows people their own; False for one that has open data alone: what is mine is then open, and what is theirs not there."""
    holds_definitions = True
    """Whether a dataset says its application definition."""
    counts_files = True
    """Whether a dataset says how many files it has."""

    def opened(self) -> set[str]:
        """The proposals of these tests whose data anyone may read."""
        return {self.open_proposal} if self.has_own else {self.open_proposal, MINE}

    def reader(self, *proposals: str) -> Reader:
        """Somebody whose proposals these are. Where the catalogue keeps rules of its own, those say so too."""
        return Reader(ADA, frozenset(proposals))

    @abstractmethod
    async def put(self, *known: Known) -> None:
        """Add datasets with their data on disk; returns once the adapter can know of them."""

    @abstractmethod
    async def remove(self, title: str) -> None:
        """Delete one; returns once the adapter can know of it."""

    @abstractmethod
    def outage(self) -> AbstractContextManager[None]:
        """While it holds, the system behind the adapter cannot be read."""


class RestorableWorld(CatalogueWorld):
    """A catalogue with an archive that brings data back: the adapter implements `RestorableCatalogue` too."""

    @abstractmethod
    async def archive(self, title: str) -> None:
        """From now on its data are in the archive alone."""

    @abstractmethod
    async def arrive(self, title: str) -> None:
        """The archive has brought its data back."""

    @abstractmethod
    async def fail(self, title: str) -> None:
        """The archive gives up bringing its data back."""

    @abstractmethod
    async def asked(self, title: str) -> int:
        """How often the archive was really asked to bring it back."""

    @abstractmethod
    async def reopened(self) -> RestorableCatalogue:
        """Another adapter over the same system, as after a crash of the agent."""


def some(world: CatalogueWorld) -> list[Known]:
    """Nine datasets: of nobody, of mine and of theirs, some at the same time and some without one."""
    return [
        Known("open one", world.open_proposal, "I22", "silver behenate", "NXsas", 1_000_000.0),
        Known("open two", world.open_proposal, "ID11", "ceria", "NXxas", 2_000_000.0),
        Known("open timeless", world.open_proposal, "ID11"),
        Known("mine one", MINE, "I22", "silver behenate", "NXsas", 1_000_000.0),
        Known("mine two", MINE, "I22", "lysozyme", "NXsas", 1_000_000.0),
        Known("mine three", MINE, "I11", "quartz", "NXmonopd", 1_500_000.25),
        Known("mine timeless", MINE, "I22", "water"),
        Known("theirs one", THEIRS, "I99-secret", "unobtainium", "NXsas", 1_750_000.0),
        Known("theirs timeless", THEIRS, "I99-secret", "unobtainium"),
    ]
