"""Settings of the adapter `slurm`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from facility_agent.adapters.compute import slurm_api
from facility_agent.tables import Table

WORD = r"^[A-Za-z0-9_][A-Za-z0-9_.,:/@&|*()\[\]+-]{0,199}$"
Word = Annotated[str, Field(pattern=WORD)]


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("write an absolute path")
    return path


Absolute = Annotated[Path, AfterValidator(_absolute)]


class Choice(Table):
    """What is asked of Slurm for some workspaces; what is not set here is the site's default above it."""

    partition: Word | None = Field(default=None, description="`--partition`.")
    account: Word | None = Field(default=None, description="`--account`.")
    qos: Word | None = Field(default=None, description="`--qos`.")
    reservation: Word | None = Field(default=None, description="`--reservation`.")
    constraint: Word | None = Field(
        default=None, description="`--constraint`: features of nodes, as `fast&avx512`."
    )
    gres: Word | None = Field(
        default=None,
        description="`--gres`, as `gpu:a100:1`; without it a flavour's GPUs are asked for as `gpu:` and their number.",
    )


class Software(Table):
    """How an environment's program is run in the job: as it is, after modules are loaded, or in an image."""

    modules: tuple[Word, ...] = Field(default=(), description="Modules to load first, in this order.")
    image: Absolute | None = Field(
        default=None, description="An Apptainer image, below one of the helper's folders of images."
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Software:
        if self.modules and self.image:
            raise ValueError("write modules or an image, not both")
        return self


class SlurmSettings(Table):
    """Settings of the adapter `slurm`."""

    helper: Path = Field(
        default=Path("/run/parasol-helper/helper.sock"),
        description="The helper's socket; its file needs a `[slurm]`.",
    )
    rest: str = Field(
        default="",
        description="Where slurmrestd listens, `unix:/path` or `https://host:port`; empty: Slurm's commands are used. "
        "The helper's file needs its own `rest`.",
    )
    rest_ca_file: Absolute | None = Field(
        default=None, description="Who signs slurmrestd's certificate; the system's authorities when not set."
    )
    programs: Absolute = Field(default=Path("/usr/bin"), description="Where squeue, sacct and sinfo lie.")
    conf: Absolute | None = Field(default=None, description="slurm.conf, where it is not at its usual place.")
    ports: tuple[int, int] = Field(
        default=(20000, 29999),
        description="The range, first and last, in which workspaces listen on the nodes; the gateway must reach it.",
    )
    listen: str = Field(
        default="",
        pattern=r"^[0-9a-f.:]*$",
        description="The address that workspaces listen on; empty: every one of the node.",
    )
    address: str = Field(
        default="{node}",
        description="How the gateway finds a node, of Slurm's name for it: `{node}` or, say, `{node}.cluster.example`.",
    )
    default: Choice = Field(default=Choice(), description="What is asked of Slurm for every workspace.")
    flavours: dict[str, Choice] = Field(default={}, description="… and for those of a flavour, by its id.")
    environments: dict[str, Software] = Field(
        default={}, description="How an environment's program is run, by its id; as it is when not named here."
    )
    readable: tuple[Absolute, ...] = Field(
        default=(), description="More folders of the nodes that programs without an image may read, e.g. software."
    )
    writable: tuple[Absolute, ...] = Field(
        default=(Path("/tmp"), Path("/var/tmp")),  # noqa: S108 (of the nodes, where each file is its account's)
        description="… and write, beside the workspace, the home and what `[[mounts]]` show; many programs know no other place than /tmp.",
    )
    poll_s: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="Slurm is asked about all workspaces at most this often; every 0.2 s while one is new.",
    )
    stop_within_s: float = Field(
        default=60.0, gt=0, le=600, description="How long a stop waits for Slurm before it is tried again."
    )

    @model_validator(mode="after")
    def _reachable(self) -> SlurmSettings:
        least, most = self.ports
        if not 1024 <= least <= most <= 65535:
            raise ValueError("ports: write first and last, from 1024 to 65535; a privileged port is never used")
        if self.rest:
            try:
                slurm_api.checked(self.rest)
            except ValueError as error:
                raise ValueError(f"rest: {error}") from None
        if not re.fullmatch(r"[A-Za-z0-9.-]*(\{node\})?[A-Za-z0-9.-]*", self.address) or not self.address:
            raise ValueError("address: write a host's name, with {node} in it")
        return self

    def asked(self, flavour: str, gpus: int) -> dict[str, str]:
        """Slurm's options for a flavour, empty where nothing is asked."""
        own = self.flavours.get(flavour, Choice())
        out = {name: getattr(own, name) or getattr(self.default, name) or "" for name in Choice.model_fields}
        if gpus and not out["gres"]:
            out["gres"] = f"gpu:{gpus}"
        return out
