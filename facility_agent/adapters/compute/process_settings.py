"""Settings of the adapter `process`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from facility_agent.tables import Table


class ProcessSettings(Table):
    """Settings of the adapter `process`."""

    isolation: Literal["account", "none"] = Field(
        description='"account": each workspace runs as the person\'s account, started by the helper. "none": everything runs as the agent\'s own user.'
    )

    @model_validator(mode="before")
    @classmethod
    def _switched_on(cls, said: Any) -> Any:
        if isinstance(said, dict) and said.get("isolation") not in ("account", "none"):
            raise ValueError(
                'isolation: write isolation = "none" to accept that everything runs as the agent\'s user,'
                ' or "account" and install the helper'
            )
        return said

    helper: Path = Field(
        default=Path("/run/parasol-helper/helper.sock"), description='With "account": the helper\'s socket.'
    )
    folder: Path = Field(
        description='Working folders of workspaces, one each; with "account" the folder of the helper\'s configuration.'
    )
    grace_s: float = Field(default=10.0, ge=0, le=120, description="Time between SIGTERM and SIGKILL.")
    readable: tuple[Path, ...] = Field(
        default=(), description="More folders that workspaces may read, e.g. software."
    )
    packages: Path | None = Field(
        default=None,
        description='With "none": where each account\'s own packages lie, a folder each; with "account" the helper says it.',
    )
