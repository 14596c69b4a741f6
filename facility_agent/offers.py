"""What a facility offers to start, as its configuration writes it: sizes, environments, amounts with units."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from facility_agent.tables import Table
from shared.errors import InvalidRequest
from shared.facilities import CarriedBy, UsedAs
from shared.techniques import LONGEST, canonical, title

_SIZES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_TIMES = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def _amount(units: dict[str, int], example: str) -> Any:
    def parse(value: object) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", value) if isinstance(value, str) else None
        if match is None or match[2] not in units:
            raise ValueError(f'write it like "{example}"; units: {", ".join(units)}')
        return int(float(match[1]) * units[match[2]])

    return BeforeValidator(parse)


def _technique(value: str) -> str:
    try:
        term = canonical(value)
    except InvalidRequest as error:
        raise ValueError(error.message) from None
    if not title(term) and ":" not in term and not re.fullmatch(r"PaNET(\d{5}|\d{7})", term):
        raise ValueError(
            "name a technique by its id in PaNET (PaNET01124), or by its address in another vocabulary"
        )
    return term


Technique = Annotated[str, Field(max_length=LONGEST), AfterValidator(_technique)]
Definition = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S+( \S+)*$")]
Size = Annotated[int, _amount(_SIZES, "2GiB")]
Duration = Annotated[int, _amount(_TIMES, "8h")]


class FlavourTable(Table):
    """A size."""

    id: str
    title: str
    cpus: int = Field(ge=1)
    memory: Size
    gpus: int = Field(default=0, ge=0)
    storage: Size = 0
    longest: Duration


class SoftwareTable(Table):
    """A program with its version."""

    name: str
    version: str


class EnvironmentTable(Table):
    """Something that can be started."""

    id: str
    title: str
    description: str = ""
    used_as: UsedAs
    carried_by: CarriedBy = CarriedBy.PROCESS
    command: tuple[str, ...] = Field(
        min_length=1, description="{socket}, {work}, {secret} and, of a task, {results} are filled in."
    )
    variables: dict[str, str] = Field(
        default_factory=dict, description="Environment variables, filled in likewise."
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Added by the gateway to each request.")
    software: tuple[SoftwareTable, ...] = ()
    flavours: tuple[str, ...] = Field(min_length=1)
    recommended: str = ""
    techniques: tuple[Technique, ...] = Field(
        default=(),
        max_length=50,
        description="PaNET terms (PaNET01124) of the data it is meant for, narrower ones included.",
    )
    definitions: tuple[Definition, ...] = Field(
        default=(),
        max_length=50,
        description="Application definitions of the data it is meant for (NXsas); naming neither, it is for all.",
    )

    @model_validator(mode="after")
    def _recommended(self) -> EnvironmentTable:
        if self.recommended and self.recommended not in self.flavours:
            raise ValueError("recommended must be one of its flavours")
        if any("{secret}" in word for word in self.command):
            raise ValueError("the secret must not stand in the command line; use a variable")
        return self
