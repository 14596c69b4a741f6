"""Where data lie, as the configuration writes it."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from facility_agent.places.template import Rule, Template, is_name, parse, parse_mount
from facility_agent.tables import Table


class RuleTable(Table):
    """A rule that makes paths, by the grammar of mounts unless a kind of rule is narrower."""

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
    def _sound(self) -> RuleTable:
        if not self.root.is_absolute():
            raise ValueError("root must be an absolute path")
        self.template()
        for title, name in self.titles.items():
            if not is_name(name):
                raise ValueError(f"titles: {name!r} of {title!r} is no name of a folder")
        return self

    def template(self) -> Template:
        """Of its path. Raises ValueError."""
        return parse_mount(self.path, self.separator)

    def rule(self) -> Rule:
        """The rule that it writes."""
        return Rule(self.root, self.template(), self.titles)


class PlaceTable(RuleTable):
    """A rule that says where the data of proposals lie; with one or more of them the catalogue is not asked for paths."""

    def template(self) -> Template:
        """Of its path, which names the proposal."""
        return parse(self.path, self.separator)


class MountTable(RuleTable):
    """A folder that workspaces show beside the proposals': of each chosen proposal that is the account's own, of the account, or of all."""

    name: str = Field(description="The folder in the workspace under which it is shown, e.g. `processed`.")
    writable: bool = Field(
        default=False, description="Workspaces may write there, as far as the account's uid and groups may."
    )

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", value) or value == "proposals":
            raise ValueError("must be lower-case letters, digits, hyphens and underscores, and not `proposals`")
        return value


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
    entered_below: tuple[Path, ...] = Field(
        default=(),
        description="Folders below which people may enter, on a page of the gateway, where a dataset's data lie; without one there is no such page.",
    )

    @field_validator("entered_below")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        for root in value:
            if not root.is_absolute() or ".." in root.parts or root == Path("/"):
                raise ValueError("entered_below: each must be an absolute path without .., and not /")
        return value
