"""Settings of the adapter `scicat`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from facility_agent.adapters import site_settings
from facility_agent.adapters.catalogue.scicat_records import Fields
from facility_agent.adapters.site_settings import Address, Template
from facility_agent.plugins import Fault
from facility_agent.tables import Table


def _key(value: str) -> str:
    if "." in value or "$" in value or not value.isprintable():
        raise ValueError("a key of scientificMetadata, without `.` and `$`")
    return value


Key = Annotated[str, AfterValidator(_key)]


class ScicatSettings(Table):
    """Settings of the adapter `scicat`."""

    url: Address = Field(description="SciCat's backend, before `/api`.")
    username: str = Field(min_length=1, description="The functional account's name.")
    password_file: Path = Field(description="Holds its password; mode 0600. Read at each sign-in.")
    reading_groups: tuple[str, ...] = Field(
        default=("admin",), min_length=1,
        description="SciCat's groups whose members read every dataset and proposal; the account must be in one of them.",
    )  # fmt: skip
    ca_file: Path | None = Field(default=None, description="Trust this CA instead of the system's.")
    proposal: Literal["proposalIds", "ownerGroup"] = Field(
        default="proposalIds", description="Which field of a dataset names its proposal."
    )
    group_prefix: str = Field(
        default="", description='With `proposal = "ownerGroup"`: what stands before the proposal in it.'
    )
    time: Literal["startTime", "creationTime"] = Field(
        default="startTime", description="Which field says when a dataset was begun."
    )
    sample: Key = Field(
        default="", description="Key of `scientificMetadata` that names the sample; empty for none."
    )
    parameters: tuple[Key, ...] = Field(
        default=(),
        max_length=100,
        description="Keys of `scientificMetadata` that may be shown; no other leaves the site.",
    )
    restoring: tuple[str, ...] = Field(
        default=(),
        description="Values of `retrieveStatusMessage` by which your archive says that data are on their way back to disk.",
    )
    retrieve_job: str = Field(
        default="",
        description="SciCat's type of job that brings a dataset back to disk, for example `retrieve`; empty: not offered.",
    )
    retrieve_parameters: dict[str, str] = Field(
        default_factory=dict, description="What such a job has in `jobParams` beside its list of datasets."
    )
    retrieve_ended: tuple[str, ...] = Field(
        default=("finishedSuccessful", "finishedUnsuccessful", "finishedWithDatasetErrors"), min_length=1,
        description="Values of a job's `statusCode` after which nothing more comes of it; the first one says that it went well.",
    )  # fmt: skip
    root: Path | None = Field(default=None, description="The data's root here; without it no data can be mounted.")
    folder: Template = Field(default="{proposal}", description="A proposal's folder below `root`.")
    timeout_s: float = Field(default=4.0, gt=0, le=60, description="The longest that one answer may take.")
    answer_bytes: int = Field(default=16 * 1024 * 1024, gt=0, description="The most that one answer may have.")
    remember_s: float = Field(
        default=30.0, ge=0, description="How long instruments and open proposals are remembered."
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.group_prefix and self.proposal != "ownerGroup":
            raise ValueError('group_prefix goes with proposal = "ownerGroup"')
        if self.retrieve_parameters and not self.retrieve_job:
            raise ValueError("retrieve_parameters goes with retrieve_job")
        if "datasetList" in self.retrieve_parameters:
            raise ValueError("retrieve_parameters: datasetList is the adapter's")
        return self

    def fields(self) -> Fields:
        """Where this SciCat says what."""
        return Fields(
            self.proposal, self.group_prefix, self.time, self.sample, self.parameters, frozenset(self.restoring)
        )


def faults(settings: ScicatSettings, folder: Path) -> Iterator[Fault]:
    """What is wrong at this site with these settings; relative paths are below `folder`."""
    return site_settings.faults(folder, settings.password_file, settings.ca_file, settings.root)
