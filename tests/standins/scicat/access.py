"""Who sees what: SciCat's own rules, as its ability factory and controllers have them."""

from __future__ import annotations

from typing import Any

from tests.standins.scicat.errors import Refused
from tests.standins.scicat.mongo import Document
from tests.standins.scicat.world import ADMIN_GROUPS, READ_ALL_GROUPS, User


def is_admin(user: User | None) -> bool:
    """Whether the user is of one of ADMIN_GROUPS."""
    return user is not None and bool(ADMIN_GROUPS & set(user.groups))


def signed_in(user: User | None) -> User:
    """What `PoliciesGuard` lets pass. Raises Refused (403): a bad token is nobody's."""
    if user is None:
        raise Refused(403, "Forbidden resource")
    return user


def sees(user: User, row: Document, *, all_groups: frozenset[str] = ADMIN_GROUPS | READ_ALL_GROUPS) -> bool:
    """Whether a list shows this dataset or block: one's groups', what is shared with one's e-mail, and what is public."""
    groups = set(user.groups)
    return bool(
        groups & all_groups
        or row["ownerGroup"] in groups
        or groups & set(row["accessGroups"])
        or user.email in row.get("sharedWith", ())
        or row["isPublished"]
    )


def may_read(user: User, row: Document) -> bool:
    """Whether one dataset is shown by its pid; sharing by e-mail does not reach this far."""
    groups = set(user.groups)
    everywhere = groups & (ADMIN_GROUPS | READ_ALL_GROUPS)
    return bool(
        everywhere or row["ownerGroup"] in groups or groups & set(row["accessGroups"]) or row["isPublished"]
    )


def narrowed(user: User | None, where: dict[str, Any]) -> dict[str, Any]:
    """A proposals' query with what the user may list: published ones for nobody, one's groups' for a user."""
    if user is None:
        return {**where, "isPublished": True}
    if is_admin(user):
        return where
    mine = {"$or": [{"ownerGroup": {"$in": user.groups}}, {"accessGroups": {"$in": user.groups}}]}
    return {"$and": [where, mine]} if where else mine
