"""What a facility says of itself, and how it answered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,39}")


def is_facility_id(text: str) -> bool:
    """Whether `text` is a facility's slug: lower case, digits, hyphens, at most 40 characters."""
    return _SLUG.fullmatch(text) is not None


class Outcome(StrEnum):
    """How one facility answered."""

    OK = "OK"
    PARTIAL = "PARTIAL"
    SIGN_IN_NEEDED = "SIGN_IN_NEEDED"
    NOT_LINKED = "NOT_LINKED"
    DENIED = "DENIED"
    OFFLINE = "OFFLINE"
    TIMED_OUT = "TIMED_OUT"
    FAILED = "FAILED"


class UsedAs(StrEnum):
    """What a person does with an environment."""

    NOTEBOOK = "notebook"
    DESKTOP = "desktop"
    WEB_APPLICATION = "web_application"
    TERMINAL = "terminal"
    TASK = "task"


class CarriedBy(StrEnum):
    """What an environment runs in."""

    PROCESS = "process"
    BATCH_JOB = "batch_job"
    CONTAINER = "container"
    VIRTUAL_MACHINE = "virtual_machine"


@dataclass(frozen=True, slots=True)
class Software:
    """One program of an environment with its version as the facility states it."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Flavour:
    """A size. Memory and storage in bytes, `longest_s` in seconds."""

    id: str
    title: str
    cpus: int
    memory: int
    gpus: int
    storage: int
    longest_s: int


@dataclass(frozen=True, slots=True)
class Environment:
    """Something that can be started. `flavours` are ids; `recommended` is one of them.

    `isolation` is `"account"` or `"none"` (runs as the agent's own user; the portal shows it). It is meant for datasets of
    any of its `techniques`, as `shared.techniques.canonical` writes them, or `definitions`; for all when it names neither.
    """

    id: str
    title: str
    description: str
    used_as: UsedAs
    carried_by: CarriedBy
    software: tuple[Software, ...]
    flavours: tuple[str, ...]
    recommended: str
    isolation: str
    techniques: tuple[str, ...] = ()
    definitions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing that the facility's agent can do, e.g. kind `"catalogue"`, title `"NeXus folder"`."""

    id: str
    kind: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the facility itself, with an https link (http on loopback)."""

    id: str
    title: str
    description: str
    url: str


@dataclass(frozen=True, slots=True)
class FacilityDescription:
    """Everything a facility advertises. Strings are data: plain text, never markup."""

    facility_id: str
    name: str
    place: str
    country: str
    description: str
    website: str
    data_portal: str
    contact: str
    agent_version: str
    instruments: tuple[str, ...] = ()
    open_proposals: tuple[str, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    services: tuple[Service, ...] = ()
    environments: tuple[Environment, ...] = ()
    flavours: tuple[Flavour, ...] = ()
