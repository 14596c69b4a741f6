"""The words that datasets and the questions for them are made of; `shared.catalogue` has them too."""

from __future__ import annotations

from enum import StrEnum


class ArchiveState(StrEnum):
    """Where a dataset's data are. UNKNOWN is not knowing; only what is ONLINE can be mounted."""

    ONLINE = "ONLINE"
    RESTORING = "RESTORING"
    ARCHIVED = "ARCHIVED"
    UNKNOWN = "UNKNOWN"


class Order(StrEnum):
    """How datasets are sorted: by `sort_key`, or the best match first as the catalogue judges it."""

    NEWEST = "NEWEST"
    RELEVANCE = "RELEVANCE"


class Belonging(StrEnum):
    """Whose data are looked for: all that one may read, or one's own alone, or what is open alone. Some are both.

    One's own is what belongs to the proposals that the facility's rules give; where they give none, what the
    catalogue's own rules show beyond what is open.
    """

    ANY = "ANY"
    OWN = "OWN"
    OPEN = "OPEN"
