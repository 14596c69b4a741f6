"""Settings of the adapter `panosc`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from facility_agent.adapters.catalogue.panosc_records import Reading
from facility_agent.adapters.site_settings import Address, Template
from facility_agent.plugins import Fault
from facility_agent.tables import Table


class PanoscSettings(Table):
    """Settings of the adapter `panosc`."""

    url: Address = Field(description="The search API, before `/Datasets`; usually it ends with `/api`.")
    facility: str = Field(
        default="", pattern=r"^[a-z0-9-]*$",
        description="Read this facility alone; for a Parasol portal, which serves several under one address.",
    )  # fmt: skip
    ca_file: Path | None = Field(default=None, description="Trust this CA instead of the system's.")
    proposal_prefix: str = Field(
        default="",
        description="What stands before a proposal's own name in the pid of its Document; other Documents are no proposals.",
    )
    types: tuple[str, ...] = Field(
        default=(), description="Types of Documents that count as proposals; every type when empty."
    )
    all_open: bool = Field(
        default=False,
        description="Whether everything in the folder of a public proposal is open to every account here.",
    )
    root: Path | None = Field(default=None, description="The data's root here; without it no data can be mounted.")
    folder: Template = Field(default="{proposal}", description="A proposal's folder below `root`.")
    page: int = Field(default=500, ge=2, le=1000, description="How many records one request asks for.")
    reread_s: float = Field(
        default=30.0, gt=0,
        description="Pause between two readings of the API; at least four times as long as one takes.",
    )  # fmt: skip
    keep_s: float = Field(
        default=86_400.0, gt=0, description="What was read longer ago is no longer shown to anyone."
    )
    timeout_s: float = Field(default=30.0, gt=0, le=300, description="The longest that one answer may take.")
    answer_bytes: int = Field(default=32 * 1024 * 1024, gt=0, description="The most that one answer may have.")

    def reading(self) -> Reading:
        """How records are read here."""
        return Reading(self.proposal_prefix, frozenset(self.types))


def faults(settings: PanoscSettings, folder: Path) -> Iterator[Fault]:
    """What is wrong at this site with these settings; relative paths are below `folder`."""
    if settings.ca_file and not (folder / settings.ca_file).is_file():
        yield Fault("ca_file", f"{folder / settings.ca_file} is not a file.", "Put the CA's certificate there.")
    if settings.root is None:
        yield Fault(
            "root", "No data can be mounted in workspaces.", "Name the folder that holds the data.", fatal=False
        )
    elif not (folder / settings.root).is_dir():
        yield Fault("root", f"{folder / settings.root} is not a folder.", "Create it, mount it or mend the path.")
