"""Where data lie, as the configuration writes it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from facility_agent.offers import Table
from facility_agent.places.template import Rule, is_name, parse


class PlaceTable(Table):
    """A rule that says where the data of proposals lie; with one or more of them the catalogue is not asked for paths."""

    root: Path = Field(description="A folder; nothing outside of it is ever mounted by this rule, links followed.")
    path: str = Field(
        description="Below `root`, for example `{instrument:lower}/{year}/{proposal}`; see the manual for its grammar.",
    )
    separator: str = Field(
        default="", max_length=4, description="What lies between `{code}` and `{visit}` in a proposal's name."
    )
    titles: dict[str, str] = Field(
        default_factory=dict,
        description="Folder names of instruments that are not called like the instrument.",
    )

    @model_validator(mode="after")
    def _sound(self) -> PlaceTable:
        if not self.root.is_absolute():
            raise ValueError("root must be an absolute path")
        parse(self.path, self.separator)
        for title, name in self.titles.items():
            if not is_name(name):
                raise ValueError(f"titles: {name!r} of {title!r} is no name of a folder")
        return self

    def rule(self) -> Rule:
        """The rule that it writes."""
        return Rule(self.root, parse(self.path, self.separator), self.titles)


class ArchiveTable(Table):
    """What may be started from, and how much may be brought back at a time."""

    mount_unknown: bool = Field(
        default=False,
        description="Start from datasets of which the catalogue cannot tell whether they are on disk; for sites whose data all are.",
    )
    restores_per_account: int = Field(
        default=20,
        ge=1,
        le=1000,
        description="Datasets on their way back from the archive that one account asked for.",
    )
