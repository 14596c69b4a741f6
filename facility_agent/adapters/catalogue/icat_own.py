"""What of an ICAT is a person's own: of the proposals that the facility's rules give, else what is theirs and not open."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from facility_agent.adapters.catalogue.icat_map import Fields, part, text
from facility_agent.adapters.catalogue.icat_sight import Row, Sight
from shared.catalogue import SearchQuery

NAMED = 50
"""So many proposals are named in a question; of more the rows are read and judged."""
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Own:
    """`wanted`: only what is one's own is. `anyone` is what everybody sees."""

    wanted: bool
    proposals: Set[str]
    anyone: Sight
    fields: Fields

    def named(self, query: SearchQuery) -> SearchQuery:
        """The question that names one's own proposals where that is possible."""
        fit = sorted(name for name in self._chosen(query) if 1 <= len(name) <= 100)
        if not self.wanted or not self.proposals or not 0 < len(fit) <= NAMED:
            return query
        return replace(query, proposals=tuple(fit))

    def _chosen(self, query: SearchQuery) -> Set[str]:
        return self.proposals & set(query.proposals) if query.proposals else self.proposals

    def rows(self, count: int) -> int:
        """How many rows to read at once when `count` are wanted: more where most may be others'."""
        is_named = 0 < len(self.proposals) <= NAMED
        return max(count, AT_ONCE) if self.wanted and not is_named else count

    async def among(self, rows: Sequence[Row]) -> set[int]:
        """The ids of those of these rows, as the reader is shown them, that are wanted."""
        ids = {row["id"] for row in rows}
        if not self.wanted:
            return ids
        if not self.proposals:
            return ids - await self.anyone.among("Dataset", ids)
        return {
            row["id"] for row in rows if text(part(row, "investigation"), self.fields.proposal) in self.proposals
        }
