"""Who may read what, by the Rule and PublicStep rows alone. A rule of an unknown shape is an error, never a permission.

As org.icatproject.core.manager.GateKeeper and org.icatproject.core.entity.Rule have it, surprises included: see the
package's text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from tests.standins.icat.errors import Refused
from tests.standins.icat.query import parse_rule
from tests.standins.icat.schema import ENTITIES
from tests.standins.icat.scope import Scope
from tests.standins.icat.world import Icat

_OLD = re.compile(r"(\w+(?: <-> \w+)*)(?: \[(\w+)=:user\])?")


@dataclass(frozen=True)
class _Rule:
    """What a rule is about and as JPQL; it is `open` when nothing stands in its WHERE."""

    entity: str
    open: bool
    text: str


@lru_cache(maxsize=4096)
def _known(flags: str, what: str) -> _Rule:
    if not flags or set(flags.strip().upper()) - set("CRUD"):
        raise Refused("INTERNAL", f"unknown flags of a rule: {flags!r}")
    try:
        text = what if what.upper().startswith("SELECT") else _new_style(what)
        query = parse_rule(Scope(Icat(), ""), text)
    except Refused as refused:
        raise Refused("INTERNAL", f"unknown rule {what!r}: {refused.message}") from None
    return _Rule(query.selected[0].entity, query.where is None, text)


class Rules:
    """The rules of a world as they are now, for one user and one question. Raises Refused (INTERNAL) for unknown ones."""

    def __init__(self, world: Icat, user: str) -> None:
        self._world, self._user, self._root = world, user, user in world.root
        users, members = world.rows["User"], world.rows["UserGroup"].values()
        self._mine = {row["grouping"] for row in members if users[row["user"]]["name"] == user}
        self._rules = [(row, _known(row["crudFlags"], row["what"])) for row in world.rows["Rule"].values()]
        self._public = {rule.entity for row, rule in self._rules if row.get("grouping") is None and rule.open}
        self._steps = {(row["origin"], row["field"]) for row in world.rows["PublicStep"].values()}
        self._seen = dict[tuple[str, bool], set[int]]()

    def public_step(self, entity: str, relation: str) -> bool:
        """Whether what a relation leads to is shown to whoever reads the row."""
        return (entity, relation) in self._steps

    def searched(self, entity: str) -> set[int]:
        """The ids of the rows that a search gives the user. As in ICAT, a rule without WHERE gives all of them."""
        return self._ids(entity, whole=True)

    def shown(self, entity: str) -> set[int]:
        """The ids of the rows that are included for the user where no public step leads."""
        return self._ids(entity, whole=False)

    def _ids(self, entity: str, whole: bool) -> set[int]:
        key = (entity, whole)
        if key not in self._seen:
            self._seen[key] = self._granted(entity, whole)
        return self._seen[key]

    def _granted(self, entity: str, whole: bool) -> set[int]:
        if self._root or entity in self._public:
            return set(self._world.rows[entity])
        seen = set[int]()
        for row, rule in self._rules:
            holds = row.get("grouping") is None or row["grouping"] in self._mine
            if not holds or "R" not in row["crudFlags"].upper() or rule.entity != entity:
                continue
            if whole and rule.open:
                return set(self._world.rows[entity])
            query = parse_rule(Scope(self._world, self._user), rule.text)
            rows = (binding[query.selected[0].alias] for binding in query.bindings())
            seen |= {found["id"] for found in rows if found is not None}
        return seen


def _new_style(what: str) -> str:
    """`Entity`, or `A <-> B <-> C [attribute=:user]` where the attribute is that of the last, as JPQL."""
    found = _OLD.fullmatch(what)
    names = found[1].split(" <-> ") if found else []
    if found is None or len(set(names)) != len(names) or not ENTITIES.keys() >= set(names):
        raise Refused("INTERNAL", "neither JPQL nor a chain of entities")
    text = f"SELECT {names[0]}$ FROM {names[0]} AS {names[0]}$"
    for here, there in pairwise(names):
        text += f" JOIN {here}$.{_between(here, there, names)} AS {there}$"
    return text + (f" WHERE {names[-1]}$.{found[2]} = :user" if found[2] else "")


def _between(here: str, there: str, names: list[str]) -> str:
    known = ENTITIES[here]
    ways = {relation: known.target(relation) for relation in [*known.one, *known.many]}
    at = names.index(here)
    if any(target in names and target not in names[max(0, at - 1) : at + 2] for target in ways.values()):
        raise Refused("INTERNAL", "the entities are linked in more than one way")
    [*fitting] = [relation for relation, target in ways.items() if target == there]
    if len(fitting) != 1:
        raise Refused("INTERNAL", f"{len(fitting)} ways from {here} to {there}")
    return fitting[0]
