"""ICAT's own Rule table as conditions: what one user may read, said in queries that a service account asks.

A rule that applies and is of a shape not known here refuses the question: leaving it out could hide what the site shows, and
guessing could show what it hides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from facility_agent.adapters.catalogue.icat_query import Source, quoted
from shared.errors import BackendError

OWN = "parasol"
"""No alias of a rule begins with this, so that joins may be added to it."""

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_HEAD = re.compile(rf"SELECT\s+(?:DISTINCT\s+)?(?P<said>{_NAME})\s+FROM\s+(?P<entity>{_NAME})\s+(?:AS\s+)?(?P<alias>{_NAME})\b\s*", re.I)  # fmt: skip
_JOIN = re.compile(rf"(?:INNER\s+)?JOIN\s+(?P<start>{_NAME})\.(?P<relation>{_NAME})\s+(?:AS\s+)?(?P<alias>{_NAME})\b\s*", re.I)  # fmt: skip
_TOKEN = re.compile(
    rf"\s*(?P<text>'(?:[^']|'')*')|\s*(?P<user>:user\b)|\s*(?P<now>CURRENT_TIMESTAMP\b)|\s*(?P<sign><=|>=|<>|[=<>])"
    rf"|\s*(?P<open>\()|\s*(?P<close>\))|\s*(?P<null>IS\s+(?:NOT\s+)?NULL\b)|\s*(?P<link>(?:AND|OR)\b)"
    rf"|\s*(?P<truth>(?:TRUE|FALSE)\b)|\s*(?P<number>\d+)\b|\s*(?P<path>{_NAME}(?:\.{_NAME})+)",
    re.I,
)
_VALUES = {"path", "text", "user", "now", "number", "truth"}
_NEXT = {
    "start": {"open", *_VALUES}, "open": {"open", *_VALUES}, "link": {"open", *_VALUES}, "sign": _VALUES,
    "close": {"close", "link"}, "null": {"close", "link"},
}  # fmt: skip


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
    if head is None and (what[:6].upper() == "SELECT" or not re.match(rf"{_NAME}(?:\s|\[|$)", what)):
        raise unknown_rule() from ValueError(what)
    return head["entity"] if head is not None else re.split(r"[\s\[]", what)[0]


def _source(what: str, user: str) -> Source:
    if re.fullmatch(_NAME, what):
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
    return Source(aliases[0], joins.strip(), _condition(rest[where.end() :], aliases, user) if where else "")


def _condition(text: str, aliases: list[str], user: str) -> str:
    """The condition with the user's name in it, when it is made of comparisons, AND, OR and parentheses alone."""
    said, last, at, depth, compared = list[str](), "start", 0, 0, False
    while at < len(text):
        token = _TOKEN.match(text, at)
        kind = token.lastgroup if token is not None else None
        expected = _NEXT.get(last) or ({"close", "link"} if compared else {"sign", "null"})
        if token is None or kind is None or kind not in expected:
            raise unknown_rule() from ValueError(text)
        value = token[kind]
        if kind == "path" and value.partition(".")[0] not in aliases:
            raise unknown_rule() from ValueError(text)
        depth += (kind == "open") - (kind == "close")
        if depth < 0:
            raise unknown_rule() from ValueError(text)
        compared = kind in _VALUES and last == "sign"
        said.append(quoted(user) if kind == "user" else value)
        last, at = kind, token.end()
    if depth or (last not in {"close", "null"} and not compared):
        raise unknown_rule() from ValueError(text)
    return " ".join(said)
