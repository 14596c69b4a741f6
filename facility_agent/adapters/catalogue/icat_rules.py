"""ICAT's own Rule table as conditions: what one user may read, said in queries that a service account asks.

A rule that applies and is of a shape not known here refuses the question: leaving it out could hide what the site shows, and
guessing could show what it hides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from facility_agent.adapters.catalogue.icat_conditions import NAME, Unknown, condition
from facility_agent.adapters.catalogue.icat_query import Source, quoted
from shared.errors import BackendError

OWN = "parasol"
"""No alias of a rule begins with this, so that joins may be added to it."""

_HEAD = re.compile(rf"SELECT\s+(?:DISTINCT\s+)?(?P<said>{NAME})\s+FROM\s+(?P<entity>{NAME})\s+(?:AS\s+)?(?P<alias>{NAME})\b\s*", re.I)  # fmt: skip
_JOIN = re.compile(rf"(?:INNER\s+)?JOIN\s+(?P<start>{NAME})\.(?P<relation>{NAME})\s+(?:AS\s+)?(?P<alias>{NAME})\b\s*", re.I)  # fmt: skip

UNKNOWN_RULE = (
    "The facility's catalogue has an access rule that the portal cannot read; its operators can tell more."
)


def unknown_rule() -> BackendError:
    """The refusal for an access rule of the site's ICAT that this adapter cannot read."""
    return BackendError(UNKNOWN_RULE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the Rule table that lets somebody read: `grouping` is None for everybody."""

    what: str
    grouping: int | None


def rules_of(rows: Iterable[Any]) -> tuple[Rule, ...]:
    """Those rows of the table that are about reading. Raises BackendError for a row that is not one.

    What is for everybody and has no WHERE makes its entity public, whatever its flags (GateKeeper.getPublicTables).
    """
    found = []
    for row in rows:
        try:
            flags, what, grouping = row["Rule"]["crudFlags"], row["Rule"]["what"], row["Rule"].get("grouping")
            group = None if grouping is None else int(grouping["id"])
            if not isinstance(what, str) or not isinstance(flags, str) or set(flags) - set("CRUD"):
                raise ValueError(f"flags {flags!r}")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise unknown_rule() from error
        if "R" in flags or (group is None and _unrestricted(what.strip())):
            found.append(Rule(what.strip(), group))
    return tuple(found)


def sources(
    rules: Iterable[Rule], entity: str, user: str, groups: Set[int], *, included: bool = False
) -> tuple[Source, ...]:
    """What `user`, a member of the groupings `groups`, may read of an entity: the union of these.

    `included` is for rows that come with others. A rule without WHERE gives all of its entity when it is for
    everybody, and to searches in any case, JOINs or not (Rule.restricted, GateKeeper). Raises BackendError.
    """
    found: dict[Source, None] = {}
    for rule in rules:
        if (rule.grouping is None or rule.grouping in groups) and _about(rule.what) == entity:
            source = _source(rule.what, user)
            if not source.where and (rule.grouping is None or not included or not source.joins):
                return (Source(),)
            found[source] = None
    return tuple(found)


def _unrestricted(what: str) -> bool:
    try:
        return not _source(what, "").where
    except BackendError:
        return False


def _about(what: str) -> str:
    """The entity that a rule is about, in either notation (ICAT's older one begins with its name)."""
    head = _HEAD.match(what)
    if head is None and (what[:6].upper() == "SELECT" or not re.match(rf"{NAME}(?:\s|\[|$)", what)):
        raise unknown_rule() from ValueError(what)
    return head["entity"] if head is not None else re.split(r"[\s\[]", what)[0]


@lru_cache(maxsize=4096)
def _source(what: str, user: str) -> Source:
    if re.fullmatch(NAME, what):
        return Source()
    head = _HEAD.match(what)
    if head is None or head["said"] != head["alias"]:
        raise unknown_rule() from ValueError(what)
    aliases, joins, rest = [head["alias"]], "", what[head.end() :]
    while (join := _JOIN.match(rest)) is not None:
        if join["start"] not in aliases or join["alias"] in aliases:
            raise unknown_rule() from ValueError(what)
        joins += f" JOIN {join['start']}.{join['relation']} AS {join['alias']}"
        aliases.append(join["alias"])
        rest = rest[join.end() :]
    if any(alias.lower().startswith(OWN) for alias in aliases):
        raise unknown_rule() from ValueError(what)
    where = re.match(r"WHERE\s+", rest, re.I)
    if rest and where is None:
        raise unknown_rule() from ValueError(what)
    try:
        said = condition(rest[where.end() :], aliases, quoted(user)) if where else ""
    except Unknown as error:
        raise unknown_rule() from error
    return Source(aliases[0], joins.strip(), said)
