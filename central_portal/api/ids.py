"""Global ids: `Type:facility:key`, so that nothing of one facility can pose as another's."""

from __future__ import annotations

from shared.errors import NotFound
from shared.facilities import is_facility_id


def global_id(kind: str, *parts: str) -> str:
    """The id of an object."""
    return ":".join((kind, *parts))


def parse(kind: str, text: str) -> tuple[str, str]:
    """(facility, key) of an id of this kind; key is empty for a Facility. Raises NotFound for any other."""
    found, _, rest = text.partition(":")
    facility, _, key = rest.partition(":")
    if found != kind or not is_facility_id(facility) or (not key) != (kind == "Facility") or len(text) > 600:
        raise NotFound("There is nothing under this id.")
    return facility, key


def workspace_uuid(text: str) -> str:
    """The UUID of a workspace's id. Raises NotFound."""
    kind, _, uuid = text.partition(":")
    if kind != "Workspace":
        raise NotFound("There is nothing under this id.")
    return uuid
