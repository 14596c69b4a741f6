"""What one user may see of an ICAT, asked by an account that sees everything."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Protocol

from facility_agent.adapters.catalogue.icat_query import ROW, Source, one_of, quoted, select
from facility_agent.adapters.catalogue.icat_rules import Rule, rules_of, sources
from facility_agent.adapters.http import unusable
from shared.errors import AccessDenied, BackendError

Row = Mapping[str, Any]
EVERYTHING = (Source(),)
WITHOUT_INSTRUMENTS = (Source(where=f"{ROW}.datasetInstruments IS EMPTY"),)
"""Datasets that have no instruments of their own, hidden ones included."""
SOME = 100
"""So many ids are named in one question: it must fit into a request's line."""

_LEADS = {
    "Dataset": {"investigation": "Investigation", "sample": "Sample", "type": "DatasetType",
                "datasetInstruments": "DatasetInstrument", "datasetTechniques": "DatasetTechnique"},
    "DatasetInstrument": {"instrument": "Instrument"},
    "DatasetTechnique": {"technique": "Technique"},
    "Investigation": {"type": "InvestigationType", "keywords": "Keyword", "investigationInstruments": "InvestigationInstrument"},
    "InvestigationInstrument": {"instrument": "Instrument"},
}  # fmt: skip
"""Whither the relations lead that this adapter includes."""
_NEVER_A_STEP = ("Dataset", "investigation")
_TARGETS = {target for leads in _LEADS.values() for target in leads.values()}
_WHOLE = {"Datafile", "User", "UserGroup", "PublicStep", *_LEADS, *_TARGETS}


class Asking(Protocol):
    """A session at ICAT: the service account's, or a person's own."""

    def query(self, text: str) -> Coroutine[Any, Any, list[Any]]:
        """The rows of a query. Raises BackendUnavailable, BackendError."""

    def user(self) -> Coroutine[Any, Any, str]:
        """Whom ICAT takes the session's account for. Raises as `query`."""


@dataclass(frozen=True)
class Sight:
    """One user's view by the rules, groupings and public steps as they were when the question came."""

    asking: Asking
    user: str
    root: bool
    rules: tuple[Rule, ...]
    groups: frozenset[int]
    steps: frozenset[tuple[str, str]]
    _read: dict[tuple[str, bool], tuple[Source, ...]] = field(default_factory=dict, compare=False)

    def sources(self, entity: str, *, included: bool = False) -> tuple[Source, ...]:
        """The rows of an entity that the user sees are the union of these. Raises BackendError for a rule that is not known."""
        if self.root:
            return EVERYTHING
        key = (entity, included)
        if key not in self._read:
            self._read[key] = sources(self.rules, entity, self.user, self.groups, included=included)
        return self._read[key]

    async def among(self, entity: str, numbers: Iterable[int], *, included: bool = False) -> set[int]:
        """Those of these rows that the user sees."""
        wanted, seen = sorted(set(numbers)), self.sources(entity, included=included)
        return set(wanted) if seen == EVERYTHING else await self._asked(entity, seen, wanted)

    async def existing(self, entity: str, number: int) -> set[int]:
        """This row's id when there is such a row and the user sees it."""
        return await self._asked(entity, self.sources(entity), [number])

    async def _asked(self, entity: str, seen: Sequence[Source], wanted: Sequence[int]) -> set[int]:
        texts = [
            select(entity, source, [f"{ROW}.id {one_of(wanted[at : at + SOME])}"], what=f"{ROW}.id")
            for source in seen
            for at in range(0, len(wanted), SOME)
        ]
        return {number for part in await together([self.asking.query(each) for each in texts]) for number in part}

    def leads(self, origin: str, relation: str) -> bool:
        """Whether everything that this relation leads to is shown to whoever sees the row that it comes from."""
        step = (origin, relation) in self.steps and (origin, relation) != _NEVER_A_STEP
        return self.root or step or self.sources(_LEADS[origin][relation], included=True) == EVERYTHING

    async def veiled(self, entity: str, rows: Sequence[Row]) -> list[Row]:
        """The rows, each without what comes with it and the user may not see; unchanged ones are the same objects.

        ICAT's INCLUDE shows what the asking account may see. A dataset can be published alone; its investigation is
        then not told although a public step leads there, nor is its sample, and it must not be found by either.
        """
        behind: dict[str, set[int]] = {}
        for origin, relation, row in _behind(entity, rows):
            if not self.leads(origin, relation):
                behind.setdefault(_LEADS[origin][relation], set()).add(_id(row))
        names = list(behind)
        shown = await together([self.among(name, behind[name], included=True) for name in names])
        return [self._kept(entity, row, dict(zip(names, shown, strict=True))) for row in rows]

    def _kept(self, entity: str, row: Row, shown: Mapping[str, Set[int]]) -> Row:
        said = dict(row)
        for relation, target in _LEADS.get(entity, {}).items():
            if relation not in row:
                continue
            whole = self.leads(entity, relation)
            kept = [
                self._kept(target, each, shown)
                for each in _rows(row[relation])
                if whole or _id(each) in shown[target]
            ]
            if isinstance(row[relation], list):
                said[relation] = kept
            elif kept:
                said[relation] = kept[0]
            elif _rows(row[relation]):
                del said[relation]
        if entity == "Dataset":
            _settle(row, said)
        return said if said != row else row


class InPerson(Sight):
    """The view of somebody in their own session, where ICAT applies its rules itself."""

    @classmethod
    def of(cls, own: Asking, user: str) -> InPerson:
        """The view of `user`, whose session `own` is."""
        return cls(own, user, root=True, rules=(), groups=frozenset(), steps=frozenset())

    async def among(self, entity: str, numbers: Iterable[int], *, included: bool = False) -> set[int]:
        """Those of these rows that ICAT shows."""
        return await self._asked(entity, EVERYTHING, sorted(set(numbers)))

    def leads(self, origin: str, relation: str) -> bool:
        """What ICAT gave was for the person to see, but for what a step alone leads to that is never one here."""
        return (origin, relation) != _NEVER_A_STEP

    async def veiled(self, entity: str, rows: Sequence[Row]) -> list[Row]:
        """The rows, always as other objects: ICAT's WHERE looks at what it does not show, so each is judged anew."""
        shown = [dict(row) for row in await super().veiled(entity, rows)]
        if entity == "Dataset":
            bare = [_id(row) for row in shown if not _rows(row.get("datasetInstruments"))]
            hidden = set(bare) - await self._asked("Dataset", WITHOUT_INSTRUMENTS, bare)
            for row in shown:
                if row["id"] in hidden and "investigation" in row:
                    row["investigation"] = {**row["investigation"], "investigationInstruments": []}
        return list[Row](shown)


def _settle(row: Row, said: dict[str, Any]) -> None:
    """A sample goes with its investigation; and an investigation's instruments do not stand in for hidden ones."""
    if "investigation" in row and "investigation" not in said:
        said.pop("sample", None)
    own = [each for each in _rows(said.get("datasetInstruments")) if "instrument" in each]
    if row.get("datasetInstruments") and not own and "investigation" in said:
        said["investigation"] = {**said["investigation"], "investigationInstruments": []}


async def sights(asking: Asking, users: Sequence[str], roots: Set[str]) -> list[Sight]:
    """The views of these users.

    Raises BackendError when the service account may not see all that is needed for that, and AccessDenied when the
    catalogue's database takes a name for somebody else's.
    """
    whole = [*users, await asking.user()]
    waiting = [asking.query("SELECT r FROM Rule r INCLUDE r.grouping"), asking.query("SELECT s FROM PublicStep s")]
    waiting += [asking.query(_of(user, "UserGroup", "o.user.name", "o.grouping.id")) for user in whole]
    waiting += [asking.query(_of(user, "User", "o.name", "o.name")) for user in whole]
    table, steps, *rest = await together(waiting)
    groups, names = rest[: len(whole)], rest[len(whole) :]
    for user, known in zip(whole, names, strict=True):
        if set(known) - {user}:
            raise AccessDenied(
                "Your account's name is written otherwise in the facility's catalogue; its operators can mend it."
            )
    rules, public = rules_of(table), frozenset(_steps(steps))
    found = [
        Sight(asking, user, user in roots, rules, frozenset(mine), public)
        for user, mine in zip(whole, groups, strict=True)
    ]
    if not table or not _sees_all(found.pop()):
        raise BackendError(
            "The portal's account may not see all of the facility's catalogue; its operators can tell more."
        ) from ValueError(f"{whole[-1]} must be one of ICAT's rootUserNames, or have rules for all that is read")
    return found


def _of(user: str, entity: str, named: str, what: str) -> str:
    """The question for what is a user's. Many databases take capital and small letters, or accents, for the same."""
    return select(entity, Source(), [f"{named} = {quoted(user)}"], what=what)


def _sees_all(service: Sight) -> bool:
    """Whether an account that sees the Rule table sees all the rest: without a rule for that table it is one of ICAT's roots.

    What it does not see would look as if it did not exist, and a proposal with hidden data would look open.
    """
    return not service.sources("Rule") or all(service.sources(entity) == EVERYTHING for entity in _WHOLE)


def _steps(table: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for row in table:
        step = row.get("PublicStep") if isinstance(row, dict) else None
        if not isinstance(step, dict) or not all(isinstance(step.get(name), str) for name in ("origin", "field")):
            raise unusable("catalogue", "has public steps of an unknown form")
        yield step["origin"], step["field"]


def _behind(entity: str, rows: Iterable[Row]) -> Iterator[tuple[str, str, Row]]:
    """Everything that comes with these rows: the entity and relation that it comes by, and the row."""
    for row in rows:
        for relation, target in _LEADS.get(entity, {}).items():
            for each in _rows(row.get(relation)):
                yield entity, relation, each
                yield from _behind(target, [each])


def _rows(value: Any) -> list[Row]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


def _id(row: Row) -> int:
    number = row.get("id")
    if type(number) is not int:
        raise unusable("catalogue", f"has a row with the id {number!r}")
    return number


async def together(waiting: Sequence[Any]) -> list[Any]:
    """All of them at the same time; the first error ends the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in waiting]
    except ExceptionGroup as several:
        first = several.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]
