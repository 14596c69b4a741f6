"""Who somebody is: the global identity and what the centre may know of an account link."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Subject:
    """A person's global identity `(issuer, sub)`; never an e-mail, never a username."""

    issuer: str
    sub: str

    def __post_init__(self) -> None:
        if not self.issuer or not self.sub or len(self.sub) > 255:
            raise ValueError("a subject needs an issuer and a sub of at most 255 characters")


class LinkState(StrEnum):
    """All that the centre ever learns of an account link."""

    LINKED = "LINKED"
    NOT_LINKED = "NOT_LINKED"
    UNKNOWN = "UNKNOWN"


class Scope(StrEnum):
    """What a grant allows: `READ` searches and looks, `RUN` starts and stops."""

    READ = "read"
    RUN = "run"
