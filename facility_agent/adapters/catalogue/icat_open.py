"""What anyone may know of an ICAT as a whole: its instruments, and the proposals whose data are all open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from facility_agent.adapters.catalogue.icat_map import FIELDS, Fields
from facility_agent.adapters.catalogue.icat_query import ROW, Source, one_of, select
from facility_agent.adapters.catalogue.icat_question import WITHOUT_OWN
from facility_agent.adapters.catalogue.icat_rules import OWN
from facility_agent.adapters.catalogue.icat_sight import SOME, Asking, Sight, sights, together
from facility_agent.adapters.http import unusable
from shared.errors import BackendError

T = TypeVar("T")
CHUNK, MOST = 1000, 1_000_000
_NAMED_BY = {"Dataset": "investigation.", "Datafile": "dataset.investigation.", "Investigation": ""}


class IcatOpen:
    """Asks as `Icat` does, for the user `anyone` alone. Raises as that."""

    def __init__(self, asking: Asking, anyone: str, fields: Fields = FIELDS) -> None:
        self._asking, self._anyone, self._fields = asking, anyone, fields

    async def instruments(self) -> frozenset[str]:
        """The instruments of datasets that anyone may see: their own, or those of their investigations if that is shown."""
        sight, found = await self._sight(), set[int]()
        for source in sight.sources("Dataset"):
            if sight.leads("Dataset", "datasetInstruments"):
                joins = f"JOIN {ROW}.datasetInstruments AS {OWN}1"
                found |= set(await self._every("Dataset", source, f"{OWN}1.instrument.id", int, joins=joins))
            if sight.leads("Investigation", "investigationInstruments"):
                behind = await self._every("Dataset", source, f"{ROW}.investigation.id", int, [WITHOUT_OWN])
                found |= await self._at(sorted(await sight.among("Investigation", behind, included=True)))
        if not sight.leads("DatasetInstrument", "instrument"):
            found = await sight.among("Instrument", found, included=True)
        names = [
            select("Instrument", Source(), [f"{ROW}.id {one_of(some)}"], what=f"{ROW}.{self._fields.instrument}")
            for some in _some(sorted(found), SOME)
        ]
        return frozenset(
            name
            for part in await together([self._asking.query(each) for each in names])
            for name in part
            if isinstance(name, str)
        )

    async def _at(self, investigations: Sequence[int]) -> set[int]:
        asking = [
            select("InvestigationInstrument", Source(), [f"{ROW}.investigation.id {one_of(some)}"], what=f"{ROW}.instrument.id")
            for some in _some(investigations, SOME)
        ]  # fmt: skip
        return {
            number for part in await together([self._asking.query(each) for each in asking]) for number in part
        }

    async def proposals(self) -> frozenset[str]:
        """Proposals of which anyone may see the investigations and every dataset and file, and that have datasets.

        That an investigation is shown says nothing of its data. What is shown is counted before what there is, so
        that data which come meanwhile close a proposal and never open one.
        """
        sight, shown = await self._sight(), list[set[str]]()
        for entity in ("Dataset", "Investigation"):
            name = f"{ROW}.{_NAMED_BY[entity]}{self._fields.proposal}"
            shown.append(
                {n for source in sight.sources(entity) for n in await self._every(entity, source, name, str)}
            )
        found = set[str]()
        for some in _some(sorted(set.intersection(*shown)), SOME // 2):
            found |= await self._whole(sight, some)
        return frozenset(found)

    async def _whole(self, sight: Sight, names: Sequence[str]) -> set[str]:
        """Those of these proposals of which nothing is hidden."""
        for entity in _NAMED_BY:
            if not await self._covered(sight, entity, names):
                break
        else:
            return set(names)
        if len(names) == 1:
            return set()
        middle = len(names) // 2
        return await self._whole(sight, names[:middle]) | await self._whole(sight, names[middle:])

    async def _covered(self, sight: Sight, entity: str, names: Sequence[str]) -> bool:
        """Whether one rule alone shows everything of these proposals; what several show in part is not added up."""
        named = [f"{ROW}.{_NAMED_BY[entity]}{self._fields.proposal} {one_of(names)}"]
        seen = sight.sources(entity)
        if Source() in seen:
            return True
        counts = [await self._count(entity, source, named) for source in seen]
        whole = await self._count(entity, Source(), named)
        return whole in counts or whole == 0

    async def _count(self, entity: str, source: Source, conditions: list[str]) -> int:
        answer = await self._asking.query(select(entity, source, conditions, count=True))
        if len(answer) != 1 or type(answer[0]) is not int or answer[0] < 0:
            raise unusable("catalogue", "is no number")
        return answer[0]

    async def _every(
        self,
        entity: str,
        source: Source,
        what: str,
        kind: type[T],
        conditions: Sequence[str] = (),
        joins: str = "",
    ) -> list[T]:
        """Every value of an attribute, each once."""
        found = list[T]()
        while True:
            limit = (len(found), CHUNK)
            rows = await self._asking.query(
                select(entity, source, conditions, joins=joins, what=what, order=what, limit=limit)
            )
            if not all(type(each) is kind for each in rows):
                raise unusable("catalogue", f"has other values than {kind.__name__}")
            found += rows
            if len(rows) < CHUNK:
                return found
            if len(found) > MOST:
                raise BackendError("The facility's catalogue has more than the portal can look through at once.")

    async def _sight(self) -> Sight:
        (sight,) = await sights(self._asking, (self._anyone,), frozenset())
        return sight


def _some(whole: Sequence[T], size: int) -> list[Sequence[T]]:
    return [whole[at : at + size] for at in range(0, len(whole), size)]
